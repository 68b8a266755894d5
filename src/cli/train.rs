//! `ffcl-gpu train`.

use super::display::Display;
use super::interruption::{EXIT_CODE, Interruption};
use super::recorder::Recorder;
use super::session;
use super::terminal::report as warn;
use super::train_options::TrainOptions;
use ffcl_gpu::config::{Schedule, TrainingConfig};
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::memory;
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::learned;
use ffcl_gpu::output::run_directory::{self, Reopened, RunDirectory, RunRecord};
use ffcl_gpu::output::weights;
use ffcl_gpu::train::{Advance, Event, Position, Trainer};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The pause before a lost device is opened again.
const RECOVERY: Duration = Duration::from_secs(1);

pub fn run(options: &TrainOptions) -> Result<ExitCode> {
    // What is wrong by itself is said before any data is read.
    check(&options.run.check(options.extent(), options.idle())?)?;
    if options.no_out && options.retry_on_device_loss > 0 {
        let problem = "--retry-on-device-loss needs a checkpoint, and --no-out writes none; remove one of them";
        return Err(Error::Configuration(problem.into()));
    }
    let dataset = options.data.load(options.quiet)?;
    let prepared = options.run.on(Cow::Owned(dataset), options.extent(), options.idle())?;
    check(&prepared.config)?;
    if !options.no_out {
        checkpoint::check(&prepared.config)?;
    }
    let (job, truth) = (prepared.job(), prepared.truth.as_deref());
    let (model, data) = (ModelDescription::of(job), if options.no_out { String::new() } else { job.dataset.checksum() });
    let of = Identity { model: &model, seed: job.config.seed, data: &data };
    let complete = options.complete(&prepared.complete);
    let run = Run { options, complete, job, of, truth, interruption: OnceCell::new() };

    let (mut folder, mut losses) = (options.resume.clone(), 0);
    loop {
        match run.attempt(&mut folder) {
            Err(error) if error.is_device_loss() && losses < options.retry_on_device_loss => {
                losses += 1;
                warn(&format!("note: {error}; opening it again ({losses} of {})", options.retry_on_device_loss));
                std::thread::sleep(RECOVERY);
            }
            result => return result,
        }
    }
}

/// Runs of fewer steps are warned about: they learn less than their images allow.
const FEW_STEPS: usize = 200;

/// A run, and what is kept if its device is lost.
struct Run<'a> {
    options: &'a TrainOptions,
    /// The same, so that they repeat the run.
    complete: TrainOptions,
    job: Job<'a>,
    of: Identity<'a>,
    truth: Option<&'a [u8]>,
    interruption: OnceCell<Interruption>,
}

impl Run<'_> {
    /// Opens the device and trains to the end: from the checkpoint in `folder`, or from the beginning, where `folder` becomes
    /// that of the new run.
    fn attempt(&self, folder: &mut Option<PathBuf>) -> Result<ExitCode> {
        let Self { options, job, of, .. } = *self;
        let config = job.config;
        let reopen = |path: &PathBuf| RunDirectory::reopen(path, config, of, self.steps_per_epoch());
        let mut reopened = folder.as_ref().map(reopen).transpose()?;
        if let Some(Reopened { forgotten: epochs @ 1.., .. }) = &reopened {
            warn(&format!(
                "note: the run stopped before its first checkpoint; it begins anew, and writes its {epochs} epochs again"
            ));
        }
        let state = reopened.as_mut().and_then(|reopened| reopened.state.take());
        let mut history = reopened.as_mut().map_or_else(Vec::new, |reopened| std::mem::take(&mut reopened.history));
        let mut backend = session::open(&options.device, options.plan.plan(), job)?;
        let device = backend.device().clone();
        if let (Some(reopened), Some(state)) = (&reopened, &state) {
            check_continuation(reopened.directory.path(), config, state.position, &device, options.quiet || options.json)?;
        }
        if state.is_none() {
            self.note_few_steps();
            let mut parameters = config.initial_parameters()?;
            if let Some(path) = &options.init_from {
                let converted;
                (parameters, converted) = weights::load(path, &config.architecture, parameters)?;
                if let Some(from) = converted {
                    warn(&format!("note: the weights of {} are {from}; they are converted to F32", path.display()));
                }
            }
            backend.set_parameters(&parameters)?;
        }
        let memory = backend.memory();
        let mut trainer = match &state {
            Some(state) => Trainer::resume(job, backend.as_mut(), state, &mut history)?,
            None => Trainer::new(job, backend.as_mut()),
        }
        .with_truth(self.truth);
        drop(state);
        let interruption = match self.interruption.get() {
            Some(interruption) => interruption,
            None => self.interruption.get_or_init({
                let listening = Interruption::listen()?;
                || listening
            }),
        };
        let record = record(&self.complete, job, &device);
        let (position, is_done) = (trainer.position(), trainer.is_done());
        let mut recorder = Recorder::new(options, &record, of, reopened, &history, position, is_done)?;
        *folder = recorder.path().map(Path::to_owned);
        if let Some(folder) = recorder.path() {
            learned::save(folder, &job.dataset.train)?;
        }
        let mut display = Display::new(options, job, &device, memory, recorder.path())?;
        let ended = self.train(&mut trainer, &mut recorder, &mut display, interruption);
        display.close();
        let finished = ended.and_then(|advance| {
            if advance == Advance::Stopped {
                warn(&stopped(&trainer, self.steps_per_epoch(), recorder.path()));
                return Ok(ExitCode::from(EXIT_CODE));
            }
            let probabilities = if recorder.path().is_some() { trainer.probabilities()? } else { Vec::new() };
            let outcome = trainer.finish()?;
            display.summary(&outcome)?;
            recorder.finish(&outcome, &probabilities, job.dataset, options)?;
            Ok(ExitCode::SUCCESS)
        });
        finished.map_err(|error| recorder.interrupted(error))
    }

    /// Trains until the run ends or is stopped, and writes its files.
    fn train(
        &self,
        trainer: &mut Trainer,
        recorder: &mut Recorder,
        display: &mut Display,
        interruption: &Interruption,
    ) -> Result<Advance> {
        display.begin(trainer.position());
        loop {
            let before = trainer.position();
            let advance = trainer.epoch(&mut |event| {
                if let Event::Epoch(reports) = &event {
                    recorder.append(reports)?;
                }
                display.show(&event)?;
                Ok(if interruption.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if trainer.position() != before {
                recorder.checkpoint(trainer, advance != Advance::Epoch)?;
            }
            if advance != Advance::Epoch {
                return Ok(advance);
            }
        }
    }

    /// Warns if a small data set in batches of the usual size gives few steps, unless the batch size was typed.
    fn note_few_steps(&self) {
        let Self { options, job, .. } = self;
        let (config, images) = (job.config, job.dataset.train.count());
        let steps = self.steps_per_epoch() * config.epochs as usize;
        let asked = options.run.epochs.is_some() || options.run.batch_size.is_some() || config.max_steps.is_some();
        if steps < FEW_STEPS && !asked && !options.quiet && !options.json {
            let batch_size = (images / 16).max(8).min(config.batch_size);
            warn(&format!(
                "note: {steps} steps are few; with {images} images, a smaller --batch-size such as {batch_size}, or more --epochs, learn better"
            ));
        }
    }

    fn steps_per_epoch(&self) -> usize {
        self.job.config.steps_per_epoch(self.job.dataset.train.count())
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

/// Whether a run can go on with another number of epochs than it began with. Where going on is not the same as having begun so,
/// it says so, unless `quiet`.
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
        note(format!("this run continues on {}, after {name}: its bits are not those of one device", device.name));
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
            "--epochs cannot change when a run of several stages goes on, since their lengths follow from it; remove it".into(),
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
pub fn check(config: &TrainingConfig) -> Result<()> {
    config.check()?;
    // Weights, two moments and those of the epoch's beginning, as checkpoints hold them, and the bytes of the file.
    memory::require(8 * config.parameter_bytes(), "the weights of this run")
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
