//! The training loop: epochs in, typed events out. It prints nothing and writes nothing.

use crate::diagnosis::{Diagnosis, Observation, Sign, Watch};
use crate::engine::{Backend, EpochMetrics, Job};
use crate::error::{Error, Result};
use crate::layout::{EVALUATION_METRICS, Step};
use crate::model::Parameters;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// Below this share of its first value the learning rate has done its work.
const DECAYED: f64 = 0.2;

/// One replica's numbers after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Replica, from 0.
    pub replica: usize,
    /// Mean loss of each layer over the epoch's training images and both models.
    pub layer_losses: Vec<f64>,
    /// Share of right answers on the training images as they passed by, mean of A and B.
    pub train_accuracy: f64,
    /// Share of right answers of A on the test set.
    pub test_accuracy_a: f64,
    /// The same for B.
    pub test_accuracy_b: f64,
    /// The same for the mean of both softmax outputs.
    pub test_accuracy_ensemble: f64,
    /// The look at the layers.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// What looks like failure.
    pub signs: Vec<Sign>,
    /// Wall time of the epoch, evaluation and read-back included.
    pub seconds: f64,
    /// Training images of all replicas in each of these seconds.
    pub samples_per_second: f64,
}

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

/// Trains `backend`, whose parameters must have been set, and reports to `observe`, whose error ends the run.
pub fn train(job: Job, backend: &mut dyn Backend, observe: &mut dyn FnMut(Event) -> Result<()>) -> Result<Outcome> {
    let config = job.config;
    let steps_per_epoch = config.steps_per_epoch(job.dataset.train.count());
    let per_epoch = steps_per_epoch as u64;
    let begin = Instant::now();
    let mut steps_taken = 0u64;
    let mut last = Vec::new();
    let (mut watches, mut warned) = (vec![Watch::default(); config.replicas], BTreeSet::new());
    for epoch in 1..=config.epochs {
        let left = config.max_steps.map_or(u64::MAX, |steps| steps - steps_taken);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(steps_per_epoch);
        if count == 0 {
            break;
        }
        let started = Instant::now();
        // Adam and the schedule begin anew with each stage.
        let (_, first_epoch, epochs) = config.stage_of(epoch);
        if epoch == first_epoch {
            watches.iter_mut().for_each(Watch::begin_stage);
            warned.clear();
        }
        let before = u64::from(epoch - first_epoch) * per_epoch;
        let steps: Vec<Step> = (0..count)
            .map(|index| {
                let time = before + index as u64;
                let adam = config.adam_at(time, u64::from(epochs) * per_epoch);
                Step::new(index * config.batch_size, config.batch_size, &adam, time + 1).in_epoch(epoch)
            })
            .collect();
        backend.begin_epoch(epoch)?;
        let (mut done, mut observed) = (0, Ok(()));
        backend.train(&steps, &mut |finished| {
            done += finished;
            if observed.is_ok() {
                observed = observe(Event::Progress { epoch, steps_done: done, steps: count });
            }
        })?;
        observed?;
        let metrics = backend.end_epoch()?;
        steps_taken += count as u64;
        last = reports(job, epoch, count, &metrics, started.elapsed().as_secs_f64());
        check_finite(&last)?;
        let end = config.adam_at(before + count as u64, u64::from(epochs) * per_epoch).learning_rate;
        let decayed = end < DECAYED * config.adam.learning_rate;
        for (watch, report) in watches.iter_mut().zip(&mut last) {
            let accuracy = config.trains_output(epoch).then_some(report.train_accuracy);
            let (losses, diagnosis) = (&report.layer_losses[..], &report.diagnosis);
            let observation = Observation { losses, accuracy, diagnosis, decayed };
            report.signs = watch.observe(&observation, job.dataset.classes());
        }
        observe(Event::Epoch(&last))?;
        let signs: BTreeSet<Sign> = last.iter().flat_map(|report| &report.signs).copied().collect();
        for sign in signs {
            if warned.insert(sign) {
                let replicas = last.iter().filter(|report| report.signs.contains(&sign)).count();
                observe(Event::Warning { sign, epoch, replicas })?;
            }
        }
    }
    let parameters = backend.parameters()?;
    if let Some(number) = parameters.find_non_finite() {
        return Err(Error::NotFinite(format!("after {steps_taken} steps {number}; use a smaller --learning-rate")));
    }
    Ok(Outcome { last, parameters, steps: steps_taken, seconds: begin.elapsed().as_secs_f64() })
}

fn reports(job: Job, epoch: u32, steps: usize, metrics: &EpochMetrics, seconds: f64) -> Vec<ReplicaReport> {
    let (config, test_images) = (job.config, job.dataset.test.count());
    let images = (steps * config.batch_size) as f64;
    let report = |(replica, counts): (usize, &[f32; EVALUATION_METRICS])| {
        let [a, b] = [0, 1].map(|model| &metrics.training[2 * replica + model]);
        let mut means: Vec<f64> = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) + f64::from(b)) / (2.0 * images)).collect();
        let train_accuracy = means.pop().unwrap_or_default();
        let [test_accuracy_a, test_accuracy_b, test_accuracy_ensemble] =
            counts.map(|count| f64::from(count) / test_images as f64);
        ReplicaReport {
            epoch,
            replica,
            layer_losses: means,
            train_accuracy,
            test_accuracy_a,
            test_accuracy_b,
            test_accuracy_ensemble,
            diagnosis: Diagnosis::new(
                [0, 1].map(|model| &metrics.layers[2 * replica + model][..]),
                metrics.sample,
                &config.layers[1..],
            ),
            signs: Vec::new(),
            seconds,
            samples_per_second: images * config.replicas as f64 / seconds,
        }
    };
    metrics.test.iter().enumerate().map(report).collect()
}

fn check_finite(reports: &[ReplicaReport]) -> Result<()> {
    for report in reports {
        if let Some(layer) = report.layer_losses.iter().position(|loss| !loss.is_finite()) {
            return Err(Error::NotFinite(format!(
                "the loss of layer {layer} of replica {} is {} after epoch {}; use a smaller --learning-rate",
                report.replica, report.layer_losses[layer], report.epoch
            )));
        }
    }
    Ok(())
}
