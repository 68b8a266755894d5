//! What layers thought of the training images: how many labels are wrong, and how well the wrong ones are found.

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
    /// Layers that selected, from 0.
    pub layers: Vec<usize>,
    /// Share of the images that each kept whose label is true, mean of both models; where the truth is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_true: Vec<f64>,
    /// Share of the wrong labels that each left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_found: Vec<f64>,
}

/// What all layers of all networks thought of the images of one epoch.
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

    /// The share of wrong labels of a replica: of the images about which all layers of both networks say the same, those that are labelled
    /// otherwise; at most [`MOST_WRONG`].
    ///
    /// Layers say what they do before they learn from an image, in an epoch for the first time, and those of the partner never learn from
    /// what is left out, so that they do not repeat a wrong label that they know by heart. Where they are unanimous they are hardly ever
    /// mistaken themselves; and whether a label is wrong has little to do with whether its image is an easy one.
    pub fn wrong_share(&self, replica: usize, labels: &[u8]) -> f64 {
        let slots = [2 * replica, 2 * replica + 1];
        let mut answers: Vec<Option<u8>> = self.of(0, slots[0]).map(|note| note.map(|note| note.answer)).collect();
        for (layer, slot) in (0..self.layers()).flat_map(|layer| slots.map(|slot| (layer, slot))) {
            for (answer, note) in answers.iter_mut().zip(self.of(layer, slot)) {
                *answer = answer.filter(|&answer| note.is_some_and(|note| note.answer == answer));
            }
        }
        let unanimous = || answers.iter().zip(labels).filter_map(|(answer, label)| Some((*answer)? != *label));
        let wrong = unanimous().filter(|&wrong| wrong).count();
        (wrong as f64 / unanimous().count().max(1) as f64).min(MOST_WRONG)
    }
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
            if self.is_auto && whole {
                *rate = Shape::rate(records.wrong_share(replica, labels)).min(WHOLE - 1);
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
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
    (share(kept_true, kept), share(wrong_found, wrong))
}
