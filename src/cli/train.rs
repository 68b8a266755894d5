//! `ffcl-gpu train`.

use super::display::Display;
use super::interruption::{EXIT_CODE, Interruption};
use super::recorder::Recorder;
use super::train_options::TrainOptions;
use super::{report as warn, session};
use ffcl_gpu::config::{Schedule, TrainingConfig};
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::memory;
use ffcl_gpu::model::Architecture;
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::run_directory::{self, RunDirectory, RunRecord};
use ffcl_gpu::output::weights;
use ffcl_gpu::train::{Advance, Event, Position, Trainer};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub fn run(options: &TrainOptions) -> Result<ExitCode> {
    // What is wrong by itself is said before any data is read.
    check(&options.config())?;
    let dataset = options.data.load(options.quiet)?;
    let config = options.fitted_to(&dataset);
    let architecture = check(&config)?;
    if !options.no_out {
        checkpoint::check(&config)?;
    }
    config.check_against(dataset.train.count(), dataset.train.pixels_per_image(), dataset.classes())?;
    let job = Job { config: &config, dataset: &dataset };
    let steps_per_epoch = config.steps_per_epoch(dataset.train.count());
    let (model, data) = (ModelDescription::of(job), if options.no_out { String::new() } else { dataset.checksum() });
    let of = Identity { model: &model, seed: config.seed, data: &data };

    let reopen = |path: &PathBuf| RunDirectory::reopen(path, &config, of, steps_per_epoch);
    let mut reopened = options.resume.as_ref().map(reopen).transpose()?;
    let state = reopened.as_mut().and_then(|reopened| reopened.state.take());
    let mut history = reopened.as_mut().map_or_else(Vec::new, |reopened| std::mem::take(&mut reopened.history));
    let mut backend = session::open(&options.device.device, options.plan.plan(), job)?;
    let device = backend.device().clone();
    if let (Some(reopened), Some(state)) = (&reopened, &state) {
        check_continuation(reopened.directory.path(), &config, state.position, &device, options.quiet || options.json)?;
    }
    if state.is_none() {
        let mut parameters = config.initial_parameters()?;
        if let Some(path) = &options.init_from {
            parameters = weights::load(path, &architecture, parameters)?;
        }
        backend.set_parameters(&parameters)?;
    }
    let memory = backend.memory();
    let mut trainer = match &state {
        Some(state) => Trainer::resume(job, backend.as_mut(), state, &mut history)?,
        None => Trainer::new(job, backend.as_mut()),
    };
    drop(state);
    let interruption = Interruption::listen()?;
    let complete = options.complete(&config);
    let mut recorder = Recorder::new(options, &record(&complete, job, &device), of, reopened, &history, trainer.is_done())?;
    let mut display = Display::new(options, job, &device, memory, recorder.path())?;
    display.begin(trainer.position());
    let ended = (|| loop {
        let before = trainer.position();
        let advance = trainer.epoch(&mut |event| {
            if let Event::Epoch(reports) = &event {
                recorder.append(reports)?;
            }
            display.show(&event)?;
            Ok(if interruption.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if trainer.position() != before {
            recorder.checkpoint(&mut trainer, advance != Advance::Epoch)?;
        }
        if advance != Advance::Epoch {
            return Ok(advance);
        }
    })();
    display.close();
    if ended? == Advance::Stopped {
        warn(&stopped(&trainer, steps_per_epoch, recorder.path()));
        return Ok(ExitCode::from(EXIT_CODE));
    }
    let probabilities = if recorder.path().is_some() { trainer.probabilities()? } else { Vec::new() };
    let outcome = trainer.finish()?;
    display.summary(&outcome)?;
    recorder.finish(&outcome, &probabilities, &dataset, options)?;
    Ok(ExitCode::SUCCESS)
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

/// Whether a run can go on with another number of epochs than it began with. Where going on is not the same as having begun so, it says
/// so, unless `quiet`.
fn check_continuation(
    folder: &Path,
    config: &TrainingConfig,
    position: Position,
    device: &DeviceDescription,
    quiet: bool,
) -> Result<()> {
    let note = |text: String| {
        if !quiet {
            warn(&format!("note: {text}"));
        }
    };
    let before = run_directory::read_record(folder)?;
    let name = before.get("device").and_then(|device| device.get("name")).and_then(Value::as_str).unwrap_or_default();
    if name != device.name {
        note(format!(
            "so far this run was on {name}, and it goes on on {}: its bits are no longer those of one device",
            device.name
        ));
    }
    let epochs = before.get("options").and_then(|options| options.get("epochs")).and_then(Value::as_u64);
    if epochs == Some(config.epochs.into()) {
        return Ok(());
    }
    if config.epochs < position.epoch {
        let seen = position.epoch;
        return Err(Error::Configuration(format!(
            "--epochs {} is less than the {seen} epochs that the run has seen; give more",
            config.epochs
        )));
    }
    if config.stages().len() > 1 {
        return Err(Error::Configuration(
            "--epochs cannot change when a run of several stages goes on, since their lengths follow from it; leave it out"
                .into(),
        ));
    }
    if config.schedule == Schedule::Cosine {
        let (before, now) = (epochs.unwrap_or_default(), config.epochs);
        note(format!(
            "so far the learning rate followed a schedule of {before} epochs, from here on that of {now}; {now} epochs from the beginning would differ"
        ));
    }
    Ok(())
}

/// The networks' shape, if they are possible and fit into memory.
fn check(config: &TrainingConfig) -> Result<Architecture> {
    let architecture = config.architecture()?;
    // Weights, two moments and those of the epoch's beginning, as checkpoints hold them, and the bytes of the file.
    memory::require(8 * config.parameter_bytes(&architecture), "the weights of this run")?;
    Ok(architecture)
}

/// Where a run that was stopped stands, and how it goes on.
fn stopped(trainer: &Trainer, steps_per_epoch: usize, folder: Option<&Path>) -> String {
    let position = trainer.position();
    let place = format!("stopped in epoch {} after step {} of {steps_per_epoch}", position.epoch, position.epoch_steps);
    match folder {
        Some(folder) => format!("{place}; go on with: ffcl-gpu train --resume {}", folder.display()),
        None => format!("{place}; nothing was kept, as --no-out asks"),
    }
}
