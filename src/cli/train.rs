//! `ffcl-gpu train`.

use super::arguments::TrainOptions;
use super::display::Display;
use super::{print_line, session};
use ffcl_gpu::config::TrainingConfig;
use ffcl_gpu::engine::Job;
use ffcl_gpu::error::Result;
use ffcl_gpu::memory;
use ffcl_gpu::model::Architecture;
use ffcl_gpu::output::run_directory::{RunDirectory, RunRecord};
use ffcl_gpu::output::weights;
use ffcl_gpu::train::{Event, train};

pub fn run(options: &TrainOptions) -> Result<()> {
    // What is wrong by itself is said before any data is read.
    check(&options.config())?;
    let dataset = options.data.load(options.quiet)?;
    let config = options.fitted_to(&dataset);
    let architecture = check(&config)?;
    config.check_against(dataset.train.count(), dataset.train.pixels_per_image(), dataset.classes())?;
    let mut parameters = config.initial_parameters()?;
    if let Some(path) = &options.init_from {
        parameters = weights::load(path, &architecture, parameters)?;
    }
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = session::open(&options.device.device, options.plan.plan(), job)?;
    backend.set_parameters(&parameters)?;
    let record = RunRecord {
        version: env!("CARGO_PKG_VERSION"),
        dataset: &dataset.name,
        data_dir: options.data.data_dir(),
        folder: options.data.folder(),
        train_images: dataset.train.count(),
        test_images: dataset.test.count(),
        init_from: options.init_from.as_deref(),
        training: &config,
        device: backend.device(),
    };
    let mut directory = options.out.as_deref().map(|path| RunDirectory::create(path, &record)).transpose()?;

    let mut display = Display::new(options, job, backend.as_ref())?;
    let outcome = train(job, backend.as_mut(), &mut |event| {
        if let (Event::Epoch(reports), Some(directory)) = (&event, &mut directory) {
            directory.append(reports)?;
        }
        display.show(&event)
    });
    display.close();
    let outcome = outcome?;
    let saved = directory.map(|directory| directory.finish(&outcome.parameters)).transpose()?;
    display.summary(&outcome)?;
    if let (Some(path), false) = (saved, options.quiet || options.json) {
        print_line(&format!("weights in {}", path.display()))?;
    }
    Ok(())
}

/// The networks' shape, if they are possible and fit into memory.
fn check(config: &TrainingConfig) -> Result<Architecture> {
    let architecture = config.architecture()?;
    // One copy to begin with and one to end with, on any device.
    memory::require(2 * config.parameter_bytes(&architecture), "the weights of this run")?;
    Ok(architecture)
}
