//! How many labels are wrong, estimated from the layers' losses and answers; and how well the wrong ones are found.

use crate::config::{Trust, TrustRate};
use crate::engine::Job;
use crate::layout::{EPOCH_MASK, Note, Trust as Shape, WHOLE};
use serde::{Deserialize, Serialize};

/// The most that is believed of an estimate: networks that have not learned yet disagree with most labels.
pub const MOST_WRONG: f64 = 0.5;

/// How images were selected in an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrustReport {
    /// The share of wrong labels that was expected.
    pub rate: f64,
    /// The share of the images about which the two output layers said the same, where the rate is estimated: by those images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// Layers that selected, from 0.
    pub layers: Vec<usize>,
    /// Share of the images that each kept whose label is true, mean of both models; where the truth is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_true: Vec<f64>,
    /// Share of the wrong labels that each left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_found: Vec<f64>,
}

/// Networks that agree less often than this are mistaken too often to judge labels. (MNIST: 0.81 or more, even with 45 % wrong labels;
/// 10,000 images of CIFAR-10, of which half are taken for the wrong class: 0.55 to 0.7.)
const UNSURE: f64 = 0.75;

impl TrustReport {
    /// Whether the share of wrong labels was estimated by networks that disagree too often, or that call as many wrong as they may.
    pub fn is_unsure(&self) -> bool {
        self.agreement.is_some_and(|agreement| agreement < UNSURE || self.rate >= MOST_WRONG)
    }
}

/// Losses and answers of all layers of all networks for the images of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    /// `[layer][slot, images, 2]`.
    words: &'a [Vec<u32>],
    images: usize,
    epoch: u32,
}

impl<'a> Records<'a> {
    /// Those of `epoch`, as [`crate::engine::Backend::trust_records_async`] gives them.
    pub fn new(words: &'a [Vec<u32>], images: usize, epoch: u32) -> Self {
        Self { words, images, epoch }
    }

    /// The epoch, from 1.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Layers that select.
    pub fn layers(&self) -> usize {
        self.words.len()
    }

    /// The notes of a layer of a slot; none of an image that the epoch left out.
    pub fn of(&self, layer: usize, slot: usize) -> impl Iterator<Item = Option<Note>> + use<'a> {
        let epoch = self.epoch & EPOCH_MASK;
        let words = &self.words[layer][2 * slot * self.images..][..2 * self.images];
        words.chunks_exact(2).map(move |words| Some(Shape::note(words[0], words[1])).filter(|note| note.epoch == epoch))
    }

    /// How many labels are wrong, by the predictions of a replica's layers.
    ///
    /// Two shares are too low and too high. Where all layers of both networks say the same, they are hardly ever mistaken; but an image's
    /// own label is in what hidden layers say of it (the prototypes of a batch are means of few images, and one of them is that image), so
    /// that they are less often unanimous about a wrong label, the more so the more are wrong. Where only the output layers say the same, labels have
    /// no part in it; but both may be mistaken alike, which matters where few labels are wrong. The estimate goes from the one to the other
    /// as the share grows to [`MOST_WRONG`].
    pub fn estimate(&self, replica: usize, labels: &[u8]) -> Estimate {
        let last = self.layers() - 1;
        let mut by_output = Votes::default();
        let mut by_all = Votes::default();
        let mut answers: Vec<(Option<u8>, bool)> = self
            .of(last, 2 * replica)
            .zip(self.of(last, 2 * replica + 1))
            .map(|(a, b)| {
                let both = a.zip(b).map(|(a, b)| (a.answer, a.answer == b.answer));
                (both.map(|(answer, _)| answer), both.is_some_and(|(_, agree)| agree))
            })
            .collect();
        by_output.count(&answers, labels);
        for (layer, slot) in (0..last).flat_map(|layer| [(layer, 2 * replica), (layer, 2 * replica + 1)]) {
            for ((answer, agree), note) in answers.iter_mut().zip(self.of(layer, slot)) {
                *agree &= note.map(|note| note.answer) == *answer;
            }
        }
        by_all.count(&answers, labels);
        let (low, high) = (by_all.wrong().min(by_output.wrong()), by_output.wrong());
        let weight = (high / MOST_WRONG).min(1.0);
        let wrong = (low + (high - low) * weight).min(MOST_WRONG);
        Estimate { wrong, agreement: share(by_output.agreed, by_output.seen) }
    }
}

/// What was said of images, and how many are labelled otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Votes {
    seen: u32,
    agreed: u32,
    otherwise: u32,
}

impl Votes {
    /// Of each image an answer, and whether the others agree with it.
    fn count(&mut self, answers: &[(Option<u8>, bool)], labels: &[u8]) {
        for (&(answer, agree), &label) in answers.iter().zip(labels) {
            let Some(answer) = answer else { continue };
            self.seen += 1;
            self.agreed += u32::from(agree);
            self.otherwise += u32::from(agree && answer != label);
        }
    }

    fn wrong(self) -> f64 {
        share(self.otherwise, self.agreed)
    }
}

/// How many labels are wrong, as a pair of networks sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The share of wrong labels; at most [`MOST_WRONG`].
    pub wrong: f64,
    /// The share of the images for which both output layers predict the same class.
    pub agreement: f64,
}

/// The selection of a run: what it expects.
#[derive(Clone, Debug)]
pub(super) struct Selecting {
    /// For each replica the share of wrong labels that it expects, of [`WHOLE`].
    pub rates: Vec<u32>,
    is_auto: bool,
}

impl Selecting {
    /// As a run begins; none where it learns from all images.
    pub fn new(job: Job) -> Option<Self> {
        let config = job.config;
        if config.trust.trust == Trust::None {
            return None;
        }
        let (rate, is_auto) = match config.trust.trust_rate {
            TrustRate::Given(rate) => (rate, false),
            TrustRate::Auto => (0.0, true),
        };
        Some(Self { rates: vec![Shape::rate(rate); config.replicas], is_auto })
    }

    /// Takes an epoch's records in: its report for each replica, and what is expected from now on. An epoch that is not `whole` changes
    /// nothing: a run that goes on inside it must not differ from one that never stopped.
    pub fn observe(&mut self, job: Job, records: Records, truth: Option<&[u8]>, whole: bool) -> Vec<TrustReport> {
        let labels = &job.dataset.train.labels;
        let layers: Vec<usize> = job.config.selecting_layers().collect();
        let mut reports = Vec::with_capacity(self.rates.len());
        for (replica, rate) in self.rates.iter_mut().enumerate() {
            let mut report = TrustReport {
                rate: f64::from(*rate) / f64::from(WHOLE),
                agreement: None,
                layers: layers.clone(),
                kept_true: Vec::new(),
                wrong_found: Vec::new(),
            };
            if let Some(truth) = truth {
                for layer in 0..records.layers() {
                    let (kept_true, wrong_found) = found(&records, layer, replica, labels, truth);
                    report.kept_true.push(kept_true);
                    report.wrong_found.push(wrong_found);
                }
            }
            if self.is_auto {
                let estimate = records.estimate(replica, labels);
                report.agreement = Some(estimate.agreement);
                if whole {
                    *rate = Shape::rate(estimate.wrong).min(WHOLE - 1);
                }
            }
            reports.push(report);
        }
        reports
    }
}

/// Shares of what a layer kept that is true, and of what is wrong that it left out.
fn found(records: &Records, layer: usize, replica: usize, labels: &[u8], truth: &[u8]) -> (f64, f64) {
    let (mut kept, mut kept_true, mut wrong, mut wrong_found) = (0u32, 0u32, 0u32, 0u32);
    for slot in [2 * replica, 2 * replica + 1] {
        for ((note, label), truth) in records.of(layer, slot).zip(labels).zip(truth) {
            let Some(note) = note else { continue };
            let is_true = label == truth;
            kept += u32::from(note.is_kept);
            kept_true += u32::from(note.is_kept && is_true);
            wrong += u32::from(!is_true);
            wrong_found += u32::from(!note.is_kept && !is_true);
        }
    }
    (share(kept_true, kept), share(wrong_found, wrong))
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_lies_between_that_of_all_layers_and_that_of_the_outputs() {
        // Two layers of two slots and five images, of which the last was not seen in this epoch.
        let note = |answer: u32, epoch: u32| [0, answer | epoch << 8];
        let words = |answers: [u32; 5]| [0, 1, 2, 3, 4].map(|i| note(answers[i], if i < 4 { 3 } else { 2 })).concat();
        let estimate = |hidden: [u32; 5], labels: [u8; 5]| {
            let output = [words([1, 2, 3, 0, 0]), words([1, 2, 3, 1, 1])].concat();
            Records::new(&[[words(hidden), words(hidden)].concat(), output], 5, 3).estimate(0, &labels)
        };
        // Outputs agree about three images, one of them labelled otherwise, about which hidden layers say what the label says.
        let between = estimate([1, 2, 4, 0, 0], [1, 2, 4, 0, 0]);
        assert_eq!(between, Estimate { wrong: 1.0 / 3.0 * (1.0 / 3.0 / MOST_WRONG), agreement: 0.75 });
        // Where hidden layers say what the outputs say, both shares are the same.
        assert!((estimate([1, 2, 3, 0, 0], [1, 2, 4, 0, 0]).wrong - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(estimate([1, 2, 3, 0, 0], [7; 5]).wrong, MOST_WRONG);
    }

    #[test]
    fn networks_that_disagree_or_doubt_everything_cannot_judge_labels() {
        let report = |agreement, rate| TrustReport { rate, agreement, layers: vec![0], kept_true: vec![], wrong_found: vec![] };
        assert!(report(Some(0.7), 0.2).is_unsure() && report(Some(0.9), MOST_WRONG).is_unsure());
        assert!(!report(Some(0.8), 0.47).is_unsure() && !report(None, 0.5).is_unsure());
    }
}
