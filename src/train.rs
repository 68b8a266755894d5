//! The training loop: epochs in, typed events out. It prints nothing and writes nothing.

mod doubts;
mod judgements;
mod report;
mod state;
mod trust;
mod verdicts;
mod watches;

pub use doubts::{Doubt, Doubts, EARLY};
pub use judgements::Judgements;
pub use report::ReplicaReport;
pub use state::{Position, RunningEpoch, TrainingState, TrustState};
pub use trust::{MOST_WRONG, Records, TrustReport};
pub use verdicts::{Verdict, Verdicts, WrongCount};

use crate::diagnosis::Sign;
use crate::engine::{Backend, Job, Quantity};
use crate::error::{Error, Result};
use crate::layout::{Step, WHOLE};
use crate::model::Parameters;
use crate::waiting::{Instant, wait};
use report::{check_finite, reports};
use std::ops::ControlFlow;
use trust::Selecting;
use watches::Watches;

/// What the loop tells its observer.
#[derive(Debug)]
pub enum Event<'a> {
    /// Steps of the running epoch are done.
    Progress {
        /// Epoch, from 1.
        epoch: u32,
        /// Steps done of this epoch.
        steps_done: usize,
        /// Steps of this epoch.
        steps: usize,
    },
    /// The layers' losses and answers for the images of a finished epoch, in runs that select images: comes before its reports.
    Records(&'a Records<'a>),
    /// What the networks say of the training images that their replica leaves out, after an epoch: the probabilities of each layer that
    /// answers, for each slot, as [`Backend::judge`] gives them. Comes before the epoch's reports.
    Judged {
        /// Epoch, from 1.
        epoch: u32,
        /// `[layer][slot][images, classes]`.
        probabilities: &'a [Vec<Vec<f32>>],
    },
    /// An epoch is done: a report for each replica.
    Epoch(&'a [ReplicaReport]),
    /// A sign of failure appeared for the first time in this stage.
    Warning {
        /// The sign.
        sign: Sign,
        /// Epoch, from 1.
        epoch: u32,
        /// Replicas that show it.
        replicas: usize,
    },
}

/// A callback for events. `Break` stops the run at once, in the middle of an epoch too; an error ends it.
pub type Observer<'a> = dyn FnMut(Event) -> Result<ControlFlow<()>> + 'a;

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It ended, and others are left.
    Epoch,
    /// The observer stopped the run.
    Stopped,
    /// The run has ended.
    Done,
}

/// What a run ends with.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The last epoch's reports.
    pub last: Vec<ReplicaReport>,
    /// All parameters at the end.
    pub parameters: Parameters,
    /// Steps taken.
    pub steps: u64,
    /// Wall time of all epochs.
    pub seconds: f64,
}

/// A run that advances epoch by epoch.
pub struct Trainer<'a> {
    job: Job<'a>,
    backend: &'a mut dyn Backend,
    position: Position,
    watches: Watches,
    last: Vec<ReplicaReport>,
    begin: Instant,
    steps_before: u64,
    selecting: Option<Selecting>,
    truth: Option<&'a [u8]>,
}

impl<'a> Trainer<'a> {
    /// A run from its beginning, with the parameters that `backend` holds.
    pub fn new(job: Job<'a>, backend: &'a mut dyn Backend) -> Self {
        Self {
            job,
            backend,
            position: Position::default(),
            watches: Watches::new(job.config.replicas),
            last: Vec::new(),
            begin: Instant::now(),
            steps_before: 0,
            selecting: Selecting::new(job),
            truth: None,
        }
    }

    /// The labels that the training images had before some were made wrong: reports then have the number that was found.
    pub fn with_truth(self, truth: Option<&'a [u8]>) -> Self {
        Self { truth, ..self }
    }

    /// A run that goes on from `state`; `history` are the reports of its whole epochs, in their order (where nothing is
    /// left to do, of all its epochs). On the device where the state was
    /// read, in the same build, it ends with the same bits as a run that never stopped.
    pub fn resume(
        job: Job<'a>,
        backend: &'a mut dyn Backend,
        state: &TrainingState,
        history: &mut [ReplicaReport],
    ) -> Result<Self> {
        if !ReplicaReport::are_history(history, job.config) {
            return Err(Error::Configuration(
                "the history is not one of this run: give the reports of its whole epochs, all replicas of each, in their order"
                    .into(),
            ));
        }
        let mut trainer = Self { position: state.position, steps_before: state.position.steps, ..Self::new(job, backend) };
        let backend = &mut trainer.backend;
        if state.position.epoch > 0 {
            // The stage that the moments belong to.
            backend.begin_epoch(state.position.epoch)?;
        }
        backend.write(Quantity::Weights, &state.parameters)?;
        backend.write(Quantity::FirstMoments, &state.first_moments)?;
        backend.write(Quantity::SecondMoments, &state.second_moments)?;
        if let Some(running) = &state.running {
            backend.write(Quantity::EpochStart, &running.start)?;
            backend.set_row_sums(&running.row_sums)?;
        }
        if let (Some(selecting), Some(TrustState { rates, records })) = (&mut trainer.selecting, &state.trust) {
            let words = 2 * 2 * job.config.replicas * job.dataset.train.count();
            if rates.len() != selecting.rates.len() || records.iter().any(|record| record.len() != words) {
                return Err(Error::Configuration(
                    "the state is one of another run: its images or replicas are not as many".into(),
                ));
            }
            selecting.rates.clone_from(rates);
            backend.set_trust_records(records)?;
        }
        for reports in history.chunk_by_mut(|a, b| a.epoch == b.epoch) {
            trainer.watches.observe(job, trainer.steps_per_epoch(), reports);
            trainer.last = reports.to_vec();
        }
        Ok(trainer)
    }

    /// Where the run stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The last epoch's reports.
    pub fn last(&self) -> &[ReplicaReport] {
        &self.last
    }

    fn steps_per_epoch(&self) -> usize {
        self.job.steps_per_epoch()
    }

    fn is_inside_epoch(&self) -> bool {
        self.position.is_inside_epoch(self.steps_per_epoch())
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.position.is_end_of(self.job.config, self.steps_per_epoch())
    }

    /// Trains until the end of the next epoch, or of the one that was left in the middle.
    pub fn epoch(&mut self, observe: &mut Observer) -> Result<Advance> {
        wait(self.epoch_async(observe))
    }

    /// [`Trainer::epoch`], async, for callers that must not block.
    pub async fn epoch_async(&mut self, observe: &mut Observer<'_>) -> Result<Advance> {
        if self.is_done() {
            return Ok(Advance::Done);
        }
        let (config, per_epoch) = (self.job.config, self.steps_per_epoch());
        if !self.is_inside_epoch() {
            self.position = Position { epoch: self.position.epoch + 1, epoch_steps: 0, epoch_seconds: 0.0, ..self.position };
            self.backend.begin_epoch(self.position.epoch)?;
        }
        if let Some(selecting) = &self.selecting {
            self.backend.set_trust_rates(&selecting.rates)?;
        }
        let Position { epoch, epoch_steps: before, epoch_seconds, steps: steps_before } = self.position;
        let started = Instant::now();
        // Of the whole run, as if it had never stopped.
        let left = config.max_steps.map_or(u64::MAX, |most| most - (steps_before - before as u64));
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(per_epoch);
        let steps: Vec<Step> = (before..count).map(|index| self.step(epoch, index)).collect();
        let (mut done, mut observed) = (before, Ok(ControlFlow::Continue(())));
        let mut progress = |finished| {
            done += finished;
            // Once it breaks, the steps that are still under way are only counted.
            if matches!(observed, Ok(ControlFlow::Continue(()))) {
                observed = observe(Event::Progress { epoch, steps_done: done, steps: count });
            }
            *observed.as_ref().unwrap_or(&ControlFlow::Break(()))
        };
        let trained = self.backend.train_async(&steps, &mut progress).await?;
        let mut stopped = observed?.is_break();
        self.position.epoch_steps += trained;
        self.position.steps += trained as u64;
        if self.position.epoch_steps < count {
            self.position.epoch_seconds += started.elapsed().as_secs_f64();
            return Ok(Advance::Stopped);
        }
        let metrics = self.backend.end_epoch_async().await?;
        self.position.epoch_seconds = epoch_seconds + started.elapsed().as_secs_f64();
        let mut last = reports(self.job, epoch, count, &metrics, self.position.epoch_seconds);
        check_finite(&last, &metrics)?;
        if let Some(selecting) = &mut self.selecting {
            let words = self.backend.trust_records_async().await?;
            let records = Records::new(&words, self.job.dataset.train.count(), epoch);
            stopped |= observe(Event::Records(&records))?.is_break();
            for (report, trust) in last.iter_mut().zip(selecting.observe(self.job, records, self.truth, count == per_epoch)) {
                report.trust = Some(trust);
            }
        }
        if self.job.dataset.folds.is_some() && count == per_epoch {
            let probabilities = self.backend.judge_async().await?;
            stopped |= observe(Event::Judged { epoch, probabilities: &probabilities })?.is_break();
        }
        let warnings = self.watches.observe(self.job, count, &mut last);
        self.last = last;
        stopped |= observe(Event::Epoch(&self.last))?.is_break();
        for (sign, replicas) in warnings {
            stopped |= observe(Event::Warning { sign, epoch, replicas })?.is_break();
        }
        Ok(match (self.is_done(), stopped) {
            (true, _) => Advance::Done,
            (false, true) => Advance::Stopped,
            (false, false) => Advance::Epoch,
        })
    }

    fn step(&self, epoch: u32, index: usize) -> Step {
        let (config, per_epoch) = (self.job.config, self.steps_per_epoch() as u64);
        // Adam and the schedule begin anew with each stage.
        let (_, first_epoch, epochs) = config.stage_of(epoch);
        let time = u64::from(epoch - first_epoch) * per_epoch + index as u64;
        let adam = config.adam_at(time, u64::from(epochs) * per_epoch);
        let has_unlabelled = !self.job.dataset.unlabelled.is_empty();
        let ramp = if has_unlabelled { config.few.pseudo_ramp } else { config.trust.trust_ramp };
        let ramp = u64::from(ramp) * per_epoch;
        let trust_ramp = if time < ramp { (time as f64 / ramp as f64 * f64::from(WHOLE)).round() as u32 } else { WHOLE };
        let step = Step::new(index * config.batch_size, config.batch_size, &adam, time + 1).in_epoch(epoch);
        Step { trust_ramp, ..step }
    }

    /// Reads what the run needs to go on from here.
    pub fn state(&mut self) -> Result<TrainingState> {
        wait(self.state_async())
    }

    /// [`Trainer::state`], async, for callers that must not block.
    pub async fn state_async(&mut self) -> Result<TrainingState> {
        let parameters = self.parameters_async().await?;
        let running = if self.is_inside_epoch() {
            Some(RunningEpoch {
                start: self.backend.read_async(Quantity::EpochStart).await?,
                row_sums: self.backend.row_sums_async().await?,
            })
        } else {
            None
        };
        let trust = match &self.selecting {
            Some(Selecting { rates, .. }) => {
                let rates = rates.clone();
                let records = if running.is_some() { self.backend.trust_records_async().await? } else { Vec::new() };
                Some(TrustState { rates, records })
            }
            None => None,
        };
        Ok(TrainingState {
            trust,
            position: self.position,
            parameters,
            first_moments: self.backend.read_async(Quantity::FirstMoments).await?,
            second_moments: self.backend.read_async(Quantity::SecondMoments).await?,
            running,
        })
    }

    /// Replaces the parameters where the run stands; the optimiser's moments stay as they are.
    pub fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        self.backend.set_parameters(parameters)
    }

    /// Reads the parameters; each must be a finite number.
    pub fn parameters(&mut self) -> Result<Parameters> {
        wait(self.parameters_async())
    }

    /// [`Trainer::parameters`], async, for callers that must not block.
    pub async fn parameters_async(&mut self) -> Result<Parameters> {
        let parameters = self.backend.read_async(Quantity::Weights).await?;
        match parameters.find_non_finite() {
            Some(number) => {
                Err(Error::NotFinite(format!("after {} steps {number}; use a smaller --learning-rate", self.position.steps)))
            }
            None => Ok(parameters),
        }
    }

    /// The softmax outputs on the test set, for each slot `[images, classes]`.
    pub fn probabilities(&mut self) -> Result<Vec<Vec<f32>>> {
        self.backend.probabilities()
    }

    /// Ends the run here.
    pub fn finish(mut self) -> Result<Outcome> {
        let parameters = self.parameters()?;
        let steps = self.position.steps - self.steps_before;
        Ok(Outcome { last: self.last, parameters, steps, seconds: self.begin.elapsed().as_secs_f64() })
    }
}

/// Trains `backend`, whose parameters must have been set, to the end of the run or until `observe` breaks.
pub fn train(job: Job, backend: &mut dyn Backend, observe: &mut Observer) -> Result<Outcome> {
    let mut trainer = Trainer::new(job, backend);
    while trainer.epoch(observe)? == Advance::Epoch {}
    trainer.finish()
}
