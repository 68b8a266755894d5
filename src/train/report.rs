//! What a run tells of an epoch.

use super::trust::TrustReport;
use crate::config::TrainingConfig;
use crate::diagnosis::{Diagnosis, Sign};
use crate::engine::{EpochMetrics, Job};
use crate::error::{Error, Result};
use crate::layout::{EVALUATION_METRICS, labelled_rows};
use serde::{Deserialize, Serialize};

/// One replica's numbers after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Replica, from 0.
    pub replica: usize,
    /// Mean loss of each layer over the epoch's training images and both models.
    pub layer_losses: Vec<f64>,
    /// Share of right answers on the training images with labels as they passed by, mean of A and B.
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
    /// How images were selected, in runs that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustReport>,
    /// Wall time of the epoch, evaluation and read-back included.
    pub seconds: f64,
    /// Training images of all replicas in each of these seconds.
    pub samples_per_second: f64,
}

impl ReplicaReport {
    /// Whether `reports` are those of the first epochs of a run of `config`, all replicas of each, in their order, with numbers
    /// of all its layers.
    pub fn are_history(reports: &[Self], config: &TrainingConfig) -> bool {
        let (replicas, layers) = (config.replicas.max(1), config.architecture.layer_count());
        let has = |values: &Vec<f64>, count: usize| values.len() == count;
        let fits = |(index, report): (usize, &Self)| {
            let diagnosis = &report.diagnosis;
            let of_hidden = [&diagnosis.alignment, &diagnosis.participation_ratio, &diagnosis.dead_units];
            let of_all = [&report.layer_losses, &diagnosis.weight_norm, &diagnosis.update_norm, &diagnosis.divergence];
            report.epoch as usize == index / replicas + 1
                && report.replica == index % replicas
                && of_all.iter().all(|values| has(values, layers))
                && of_hidden.iter().all(|values| has(values, layers.saturating_sub(1)))
        };
        reports.len().is_multiple_of(replicas) && reports.iter().enumerate().all(fits)
    }
}

/// The reports of an epoch of `steps` steps, a replica each; `signs` are still to come.
pub(super) fn reports(job: Job, epoch: u32, steps: usize, metrics: &EpochMetrics, seconds: f64) -> Vec<ReplicaReport> {
    let (config, test_images) = (job.config, job.dataset.test.count());
    let images = (steps * config.batch_size) as f64;
    // Where not all have labels, right answers are counted among those that do.
    let counted = if job.dataset.unlabelled.is_empty() { images } else { (steps * labelled_rows(config.batch_size)) as f64 };
    let report = |(replica, counts): (usize, &[f32; EVALUATION_METRICS])| {
        let [a, b] = [0, 1].map(|model| &metrics.training[2 * replica + model]);
        let mut means: Vec<f64> = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) + f64::from(b)) / (2.0 * images)).collect();
        let train_accuracy = means.pop().unwrap_or_default() * (images / counted);
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
                &config.architecture.outputs().collect::<Vec<_>>(),
            ),
            signs: Vec::new(),
            trust: None,
            seconds,
            samples_per_second: images * config.replicas as f64 / seconds,
        }
    };
    metrics.test.iter().enumerate().map(report).collect()
}

/// Fails where a loss, a weight or an activation of the diagnostics is not finite. Each is looked at, since none follows from another: a
/// rectified NaN may be 0.
pub(super) fn check_finite(reports: &[ReplicaReport], metrics: &EpochMetrics) -> Result<()> {
    let fail = |report: &ReplicaReport, what: &str, layer: usize, value: f64| {
        let (epoch, replica) = (report.epoch, report.replica);
        let problem =
            format!("after epoch {epoch} {what} of layer {layer} of replica {replica} is {value}; use a smaller --learning-rate");
        Err(Error::NotFinite(problem))
    };
    for (report, slots) in reports.iter().zip(metrics.layers.chunks_exact(2)) {
        if let Some(layer) = report.layer_losses.iter().position(|loss| !loss.is_finite()) {
            return fail(report, "the loss", layer, report.layer_losses[layer]);
        }
        for (layers, model) in slots.iter().zip(["A", "B"]) {
            for (layer, sums) in layers.iter().enumerate() {
                if let Some((what, value)) = sums.named().into_iter().find(|(_, value)| !value.is_finite()) {
                    return fail(report, &format!("{model}'s {what}"), layer, value);
                }
            }
        }
    }
    Ok(())
}
