//! What `train` writes while it trains, and at the end.

use super::print_line;
use super::train_options::TrainOptions;
use ffcl_gpu::dataset::Dataset;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::evaluation::{Answers, Evaluation};
use ffcl_gpu::output::checkpoint::Identity;
use ffcl_gpu::output::run_directory::{Reopened, RunDirectory, RunRecord};
use ffcl_gpu::output::tensorboard::{self, EventFiles};
use ffcl_gpu::report::{self, TestAnswers};
use ffcl_gpu::train::{Outcome, ReplicaReport, Trainer};
use std::num::NonZeroU32;
use std::path::Path;

/// Writes a run, unless it is to leave nothing.
pub struct Recorder<'a> {
    directory: Option<RunDirectory>,
    events: Option<EventFiles>,
    of: Identity<'a>,
    checkpoint_every: NonZeroU32,
}

impl<'a> Recorder<'a> {
    /// Takes up the folder of a run that goes on, or makes one. With nothing left to do, `reopened` stays as it is.
    pub fn new(
        options: &TrainOptions,
        record: &RunRecord<TrainOptions>,
        of: Identity<'a>,
        reopened: Option<Reopened>,
        history: &[ReplicaReport],
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
        Ok(Self { directory, events, of, checkpoint_every: options.checkpoint_every })
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
    pub fn checkpoint(&self, trainer: &mut Trainer, stops: bool) -> Result<()> {
        match &self.directory {
            Some(directory) if stops || trainer.position().epoch.is_multiple_of(self.checkpoint_every.get()) => {
                directory.checkpoint(&trainer.state()?, self.of)
            }
            _ => Ok(()),
        }
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
            RunDirectory::create_named(&name, record)?
        }
    };
    Ok(Some(directory))
}
