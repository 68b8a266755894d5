//! `ffcl-gpu train`.

use super::arguments::TrainOptions;
use super::display::Display;
use super::interruption::{EXIT_CODE, Interruption};
use super::{print_line, report as warn, session};
use ffcl_gpu::config::{Schedule, TrainingConfig};
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::evaluation::Evaluation;
use ffcl_gpu::memory;
use ffcl_gpu::model::Architecture;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::run_directory::{self, Reopened, RunDirectory, RunRecord};
use ffcl_gpu::output::tensorboard::{self, EventFiles};
use ffcl_gpu::output::weights;
use ffcl_gpu::report::{self, TestAnswers};
use ffcl_gpu::train::{Advance, Event, Trainer};
use ffcl_gpu::trained::Answers;
use std::ops::ControlFlow;
use std::process::ExitCode;

pub fn run(options: &TrainOptions) -> Result<ExitCode> {
    // What is wrong by itself is said before any data is read.
    check(&options.config())?;
    let dataset = options.data.load(options.quiet)?;
    let config = options.fitted_to(&dataset);
    let architecture = check(&config)?;
    config.check_against(dataset.train.count(), dataset.train.pixels_per_image(), dataset.classes())?;
    let job = Job { config: &config, dataset: &dataset };
    let steps_per_epoch = config.steps_per_epoch(dataset.train.count());
    let reopened = options.resume.as_deref().map(|path| RunDirectory::reopen(path, &config, steps_per_epoch)).transpose()?;
    if let Some(Reopened { directory, state: Some(state), .. }) = &reopened {
        check_continuation(directory, &config, state.position.epoch, options.quiet || options.json)?;
    }
    let mut parameters = config.initial_parameters()?;
    if let Some(path) = &options.init_from {
        parameters = weights::load(path, &architecture, parameters)?;
    }
    let mut backend = session::open(&options.device.device, options.plan.plan(), job)?;
    backend.set_parameters(&parameters)?;
    drop(parameters);
    let complete = options.complete(&config);
    let device = backend.device().clone();
    let record = record(&complete, job, &device);
    let (mut directory, state, mut history) = match reopened {
        Some(Reopened { directory, state, history }) => {
            directory.rewrite(&record)?;
            directory.forget_results()?;
            (Some(directory), state, history)
        }
        None => (create(options, &record)?, None, Vec::new()),
    };

    let mut events = match &directory {
        Some(directory) if options.tensorboard => {
            Some(EventFiles::create(&directory.path().join(tensorboard::FOLDER), config.replicas, &history)?)
        }
        _ => None,
    };
    let interruption = Interruption::listen()?;
    let model = ModelDescription::of(job);
    let mut display = Display::new(options, job, backend.as_ref(), directory.as_ref().map(RunDirectory::path))?;
    let mut trainer = match &state {
        Some(state) => Trainer::resume(job, backend.as_mut(), state, &mut history)?,
        None => Trainer::new(job, backend.as_mut()),
    };
    drop(state);
    display.begin(trainer.position());
    let ended = (|| loop {
        let before = trainer.position().epoch;
        let advance = trainer.epoch(&mut |event| {
            if let (Event::Epoch(reports), Some(directory)) = (&event, &mut directory) {
                directory.append(reports)?;
            }
            if let (Event::Epoch(reports), Some(events)) = (&event, &mut events) {
                events.append(reports)?;
            }
            display.show(&event)?;
            Ok(if interruption.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let due = advance != Advance::Epoch || trainer.position().epoch.is_multiple_of(options.checkpoint_every.get());
        let moved = advance != Advance::Done || before < trainer.position().epoch;
        if let (Some(directory), true) = (&directory, due && moved) {
            directory.checkpoint(&trainer.state()?, &model, config.seed)?;
        }
        if advance != Advance::Epoch {
            return Ok(advance);
        }
    })();
    display.close();
    if ended? == Advance::Stopped {
        warn(&stopped(&trainer, steps_per_epoch, directory.as_ref()));
        return Ok(ExitCode::from(EXIT_CODE));
    }
    let probabilities = directory.as_ref().map(|_| trainer.probabilities()).transpose()?;
    let outcome = trainer.finish()?;
    display.summary(&outcome)?;
    if let (Some(directory), Some(probabilities)) = (&directory, probabilities) {
        let mut written = vec![directory.finish(&outcome.parameters, &model)?];
        let answers = Answers::new(&probabilities, dataset.classes());
        TestAnswers::new(Evaluation::new(&answers, &dataset.test.labels)?, &dataset).write(directory.path())?;
        if !options.no_report {
            written.push(report::write(directory.path())?);
        }
        if !(options.quiet || options.json) {
            for (what, path) in ["weights", "report"].into_iter().zip(written) {
                print_line(&format!("{what:<8} {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of a new run.
fn create(options: &TrainOptions, record: &RunRecord<TrainOptions>) -> Result<Option<RunDirectory>> {
    match &options.out {
        _ if options.no_out => Ok(None),
        Some(path) => RunDirectory::create(path, record).map(Some),
        None => {
            let name = format!("{}-{}-{}", jiff::ZonedDateTime::now().date(), record.dataset, options.seed);
            RunDirectory::create_named(&name, record).map(Some)
        }
    }
}

fn record<'a>(options: &'a TrainOptions, job: Job<'a>, device: &'a DeviceDescription) -> RunRecord<'a, TrainOptions> {
    RunRecord {
        version: env!("CARGO_PKG_VERSION"),
        options,
        dataset: &job.dataset.name,
        train_images: job.dataset.train.count(),
        test_images: job.dataset.test.count(),
        device,
    }
}

/// Whether a run can go on with another number of epochs than it began with; where that is not the same as having begun with it, it
/// says so.
fn check_continuation(directory: &RunDirectory, config: &TrainingConfig, epoch: u32, quiet: bool) -> Result<()> {
    let options =
        run_directory::read_options(&directory.path().join(run_directory::CONFIG), "give --resume the folder of a run")?;
    let before = options.get("epochs").and_then(serde_json::Value::as_u64);
    if before == Some(config.epochs.into()) {
        return Ok(());
    }
    if config.epochs < epoch {
        return Err(Error::Configuration(format!(
            "--epochs {} is less than the {epoch} epochs that the run has seen; give more",
            config.epochs
        )));
    }
    if config.stages().len() > 1 {
        return Err(Error::Configuration(
            "--epochs cannot change when a run of several stages goes on, since their lengths follow from it; leave it out"
                .into(),
        ));
    }
    if config.schedule == Schedule::Cosine && !quiet {
        warn(&format!(
            "note: so far the learning rate followed a schedule of {} epochs, from here on that of {}; {} epochs from the beginning would differ",
            before.map_or_else(|| "fewer".into(), |epochs| epochs.to_string()),
            config.epochs,
            config.epochs
        ));
    }
    Ok(())
}

/// The networks' shape, if they are possible and fit into memory.
fn check(config: &TrainingConfig) -> Result<Architecture> {
    let architecture = config.architecture()?;
    // Weights, two moments and a copy, as checkpoints hold them, and the bytes of the file.
    memory::require(6 * config.parameter_bytes(&architecture), "the weights of this run")?;
    Ok(architecture)
}

/// Where a run that was stopped stands, and how it goes on.
fn stopped(trainer: &Trainer, steps_per_epoch: usize, directory: Option<&RunDirectory>) -> String {
    let position = trainer.position();
    let place = format!("stopped in epoch {} after step {} of {steps_per_epoch}", position.epoch, position.epoch_steps);
    match directory {
        Some(directory) => format!("{place}; go on with: ffcl-gpu train --resume {}", directory.path().display()),
        None => format!("{place}; nothing was kept, as --no-out asks"),
    }
}
