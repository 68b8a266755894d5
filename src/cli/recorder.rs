//! What `train` writes while it trains, and at the end.

use super::terminal::print_line;
use super::train_options::TrainOptions;
use ffcl_gpu::dataset::Dataset;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::evaluation::{Answers, Evaluation};
use ffcl_gpu::output::checkpoint::CHECKPOINT;
use ffcl_gpu::output::checkpoint::Identity;
use ffcl_gpu::output::run_directory::{Reopened, RunDirectory, RunRecord};
use ffcl_gpu::output::tensorboard::{self, EventFiles};
use ffcl_gpu::report::{self, TestAnswers};
use ffcl_gpu::text;
use ffcl_gpu::train::{Outcome, Position, ReplicaReport, Trainer};
use std::num::NonZeroU32;
use std::path::Path;

/// Writes a run, unless it is to leave nothing.
pub struct Recorder<'a> {
    directory: Option<RunDirectory>,
    events: Option<EventFiles>,
    of: Identity<'a>,
    checkpoint_every: NonZeroU32,
    /// Where the last checkpoint stands.
    kept: Option<Position>,
}

impl<'a> Recorder<'a> {
    /// Opens the folder of a run that goes on, or creates one. If nothing is left to do, `reopened` is not changed.
    pub fn new(
        options: &TrainOptions,
        record: &RunRecord<TrainOptions>,
        of: Identity<'a>,
        reopened: Option<Reopened>,
        history: &[ReplicaReport],
        position: Position,
        is_done: bool,
    ) -> Result<Self> {
        let directory = match reopened {
            Some(reopened) if is_done => Some(reopened.directory),
            Some(reopened) => Some(reopened.go_on(record)?),
            None => create(options, record)?,
        };
        let events = match &directory {
            Some(directory) if options.tensorboard => {
                let folder = directory.path().join(tensorboard::FOLDER);
                Some(EventFiles::create(&folder, options.replicas, history)?)
            }
            _ => None,
        };
        let kept = (position.epoch > 0).then_some(position);
        Ok(Self { directory, events, of, checkpoint_every: options.checkpoint_every, kept })
    }

    /// Where it writes.
    pub fn path(&self) -> Option<&Path> {
        self.directory.as_ref().map(RunDirectory::path)
    }

    /// Appends an epoch.
    pub fn append(&mut self, reports: &[ReplicaReport]) -> Result<()> {
        if let Some(directory) = &mut self.directory {
            directory.append(reports)?;
        }
        match &mut self.events {
            Some(events) => events.append(reports),
            None => Ok(()),
        }
    }

    /// Writes a checkpoint if one is due after an epoch, or if the run `stops`.
    pub fn checkpoint(&mut self, trainer: &mut Trainer, stops: bool) -> Result<()> {
        match &self.directory {
            Some(directory) if stops || trainer.position().epoch.is_multiple_of(self.checkpoint_every.get()) => {
                directory.checkpoint(&trainer.state()?, self.of)?;
                self.kept = Some(trainer.position());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `error`, which ended the run, with what is left of it.
    pub fn interrupted(&self, error: Error) -> Error {
        let Some(folder) = self.path().map(Path::display) else { return error };
        let kept = match (self.kept, &error) {
            (None, _) => format!("there was no checkpoint yet in {folder}"),
            // To go on from there would end in the same way.
            (Some(Position { epoch, .. }), Error::NotFinite(_)) => {
                format!("the last good weights, of epoch {epoch}, are in {folder}/{CHECKPOINT}, which --init-from takes")
            }
            (Some(Position { epoch, .. }), _) => {
                format!("all until its checkpoint in epoch {epoch} is kept: ffcl-gpu train --resume {folder} goes on from there")
            }
        };
        Error::Interrupted { source: Box::new(error), kept }
    }

    /// Writes what a run that has ended has; `probabilities` are those of [`Trainer::probabilities`].
    pub fn finish(&self, outcome: &Outcome, probabilities: &[Vec<f32>], dataset: &Dataset, options: &TrainOptions) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut written = vec![directory.finish(&outcome.parameters, self.of.model)?];
        let answers = Answers::new(probabilities, dataset.classes());
        TestAnswers::new(Evaluation::new(&answers, &dataset.test.labels)?, dataset).write(directory.path())?;
        if !options.no_report {
            written.push(report::write(directory.path())?);
        }
        if !(options.quiet || options.json) {
            for (what, path) in ["weights", "report"].into_iter().zip(written) {
                print_line(&format!("{what:<8} {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// The folder of a new run.
fn create(options: &TrainOptions, record: &RunRecord<TrainOptions>) -> Result<Option<RunDirectory>> {
    if options.no_out {
        return Ok(None);
    }
    // Said before a folder is made for it.
    serde_json::to_value(record).map_err(|error| {
        Error::Configuration(format!("config.json cannot hold these options ({error}); rename the path, or give --no-out"))
    })?;
    let directory = match &options.out {
        Some(path) => RunDirectory::create(path, record)?,
        None => {
            let name = format!("{}-{}-{}", jiff::ZonedDateTime::now().date(), record.dataset, options.seed);
            let name = text::file_name(&name);
            RunDirectory::create_named(&name, record)?
        }
    };
    Ok(Some(directory))
}
