//! A watch for each replica.

use super::report::ReplicaReport;
use super::trust::TrustReport;
use crate::diagnosis::{Observation, Sign, Watch};
use crate::engine::Job;
use std::collections::BTreeSet;

/// Below this share of its first value the learning rate has done its work.
const DECAYED: f64 = 0.2;

/// Watches all replicas of a run, and remembers what it warned of.
pub(super) struct Watches {
    replicas: Vec<Watch>,
    warned: BTreeSet<Sign>,
}

impl Watches {
    pub(super) fn new(replicas: usize) -> Self {
        Self { replicas: vec![Watch::default(); replicas], warned: BTreeSet::new() }
    }

    /// Adds the signs to an epoch's reports, and returns those that are new in this stage, each with the number of replicas that
    /// show it. Must see all epochs in their order.
    pub(super) fn observe(&mut self, job: Job, steps: usize, reports: &mut [ReplicaReport]) -> Vec<(Sign, usize)> {
        let Some(epoch) = reports.first().map(|report| report.epoch) else { return Vec::new() };
        let config = job.config;
        let (_, first_epoch, epochs) = config.stage_of(epoch);
        if epoch == first_epoch {
            self.replicas.iter_mut().for_each(Watch::begin_stage);
            self.warned.clear();
        }
        let per_epoch = job.steps_per_epoch() as u64;
        let end = u64::from(epoch - first_epoch) * per_epoch + steps as u64;
        let rate = config.adam_at(end, u64::from(epochs) * per_epoch).learning_rate;
        for (watch, report) in self.replicas.iter_mut().zip(reports.iter_mut()) {
            let accuracy = config.trains_output(epoch).then_some(report.train_accuracy);
            let (losses, diagnosis) = (&report.layer_losses[..], &report.diagnosis);
            let decayed = rate < DECAYED * config.adam.learning_rate;
            let learned = epoch - first_epoch >= config.trust.trust_ramp;
            let unsure_of_labels = learned && report.trust.as_ref().is_some_and(TrustReport::is_unsure);
            report.signs =
                watch.observe(&Observation { losses, accuracy, diagnosis, decayed, unsure_of_labels }, job.dataset.classes());
        }
        let signs: BTreeSet<Sign> = reports.iter().flat_map(|report| &report.signs).copied().collect();
        let new = signs.into_iter().filter(|&sign| self.warned.insert(sign));
        new.map(|sign| (sign, reports.iter().filter(|report| report.signs.contains(&sign)).count())).collect()
    }
}
