//! Which labels the layers doubt: the one score of suspects, for `ffcl-gpu audit` and for the Python module.

use super::Records;

/// Epochs whose doubts are forgotten where others follow: networks that have learned little doubt everything.
pub const EARLY: u32 = 5;

/// Words of an image beside its votes.
const WORDS: usize = 5;

/// Losses and answers of the selecting layers for each training image, over the epochs after the first [`EARLY`].
///
/// The score of an image is its loss at its label, mean over the hidden layers, all networks and these epochs; where only the output layer
/// selects, it is the output's. The label that is proposed is what most of those layers took the image for.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubts {
    classes: usize,
    /// Of losses at the label: the sum, and how many.
    losses: Vec<(f64, u32)>,
    /// `[images, classes]`: how often an image was taken for a class.
    votes: Vec<u32>,
    /// How many layers and networks, the output's too, called an image worth learning from when they saw it last, and of how many.
    kept: Vec<(u32, u32)>,
}

/// The verdict on a training image and its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The image's place among the training images, from 0.
    pub index: usize,
    /// The label that it has.
    pub label: u8,
    /// The class that most layers of most networks predict; the label, if as many predict that.
    pub proposed: u8,
    /// Mean loss at the label, in nats: the larger, the less it fits.
    pub score: f64,
    /// Share of the answers that were the proposed class.
    pub agreement: f64,
}

impl Doubt {
    /// Whether the networks would label the image otherwise.
    pub fn is_suspect(&self) -> bool {
        self.proposed != self.label
    }
}

impl Doubts {
    /// Of so many training images, of which nothing is known yet.
    pub fn new(images: usize, classes: usize) -> Self {
        Self { classes, losses: vec![(0.0, 0); images], votes: vec![0; images * classes], kept: vec![(0, 0); images] }
    }

    /// How many words [`Doubts::to_words`] gives.
    pub fn words(images: usize, classes: usize) -> usize {
        images * (WORDS + classes)
    }

    /// All of it, to be kept: of each image the bits of the sum, the three counts, and the votes.
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = Vec::with_capacity(Self::words(self.losses.len(), self.classes));
        for (image, (&(sum, count), &(kept, of))) in self.losses.iter().zip(&self.kept).enumerate() {
            let bits = sum.to_bits();
            words.extend([bits as u32, (bits >> 32) as u32, count, kept, of]);
            words.extend(&self.votes[image * self.classes..][..self.classes]);
        }
        words
    }

    /// What was kept as so many words; none where they are not as many.
    pub fn from_words(images: usize, classes: usize, words: &[u32]) -> Option<Self> {
        if words.len() != Self::words(images, classes) {
            return None;
        }
        let mut doubts = Self::new(images, classes);
        for (image, words) in words.chunks_exact(WORDS + classes).enumerate() {
            let (numbers, votes) = words.split_at(WORDS);
            let &[low, high, count, kept, of] = numbers else { return None };
            doubts.losses[image] = (f64::from_bits(u64::from(high) << 32 | u64::from(low)), count);
            doubts.kept[image] = (kept, of);
            doubts.votes[image * classes..][..classes].copy_from_slice(votes);
        }
        Some(doubts)
    }

    /// Takes in what the networks in so many slots thought in an epoch.
    pub fn observe(&mut self, records: &Records, slots: usize) {
        if records.epoch() <= EARLY + 1 {
            self.losses.fill((0.0, 0));
            self.votes.fill(0);
        }
        // The last selecting layer is the output's, which finds fewer wrong labels than those below it.
        let scoring = (records.layers() - 1).max(1);
        let mut kept = vec![(0, 0); self.kept.len()];
        for (layer, slot) in (0..records.layers()).flat_map(|layer| (0..slots).map(move |slot| (layer, slot))) {
            for (image, note) in records.of(layer, slot).enumerate() {
                let Some(note) = note else { continue };
                kept[image] = (kept[image].0 + u32::from(note.is_kept), kept[image].1 + 1);
                if layer < scoring {
                    let (sum, count) = self.losses[image];
                    self.losses[image] = (sum + f64::from(note.loss), count + 1);
                    self.votes[image * self.classes + usize::from(note.answer)] += 1;
                }
            }
        }
        // The last images of an order fill no batch, and were seen in an earlier epoch.
        self.kept.iter_mut().zip(kept).filter(|(_, new)| new.1 > 0).for_each(|(old, new)| *old = new);
    }

    /// Share of layers and networks that called each image worth learning from when they saw it last; not a number where none did.
    pub fn kept(&self) -> Vec<f32> {
        self.kept.iter().map(|&(kept, of)| kept as f32 / of as f32).collect()
    }

    /// The score of each image; not a number where it was never in a batch.
    pub fn scores(&self) -> Vec<f32> {
        self.losses.iter().map(|&(sum, count)| (sum / f64::from(count)) as f32).collect()
    }

    /// All images that were seen, with their labels, those of the largest score first; of equal scores the earlier one.
    pub fn ranked(&self, labels: &[u8]) -> Vec<Doubt> {
        let mut all: Vec<Doubt> = labels.iter().enumerate().filter_map(|(index, &label)| self.of(index, label)).collect();
        all.sort_by(|one, other| other.score.total_cmp(&one.score));
        all
    }

    /// Those that the networks would label otherwise, likewise.
    pub fn suspects(&self, labels: &[u8]) -> Vec<Doubt> {
        self.ranked(labels).into_iter().filter(Doubt::is_suspect).collect()
    }

    fn of(&self, index: usize, label: u8) -> Option<Doubt> {
        let (sum, count) = self.losses[index];
        if count == 0 {
            return None;
        }
        let votes = &self.votes[index * self.classes..][..self.classes];
        let (mut proposed, mut most) = (label, votes[usize::from(label)]);
        for (class, &votes) in (0u8..).zip(votes) {
            if votes > most {
                (proposed, most) = (class, votes);
            }
        }
        let count = f64::from(count);
        Some(Doubt { index, label, proposed, score: sum / count, agreement: f64::from(most) / count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::KEPT;

    /// A note as the kernel `trust` writes it.
    fn note(loss: f32, answer: u8, epoch: u32, kept: bool) -> [u32; 2] {
        [loss.to_bits(), u32::from(answer) | epoch << 8 | if kept { KEPT } else { 0 }]
    }

    #[test]
    fn hidden_layers_score_and_the_later_epochs_count() {
        let mut doubts = Doubts::new(3, 4);
        let mut observe = |epoch: u32, hidden: [(f32, u8); 4]| {
            // One hidden layer and the output, two slots, three images, of which the epoch left the last one out.
            let of = |slot: usize| {
                let [first, second] = [hidden[2 * slot], hidden[2 * slot + 1]];
                [note(first.0, first.1, epoch, true), note(second.0, second.1, epoch, false), note(9.0, 3, epoch - 1, true)]
                    .concat()
            };
            let output = [note(50.0, 3, epoch, false), note(50.0, 3, epoch, true), [0; 2]].concat();
            let words = [[of(0), of(1)].concat(), [output.clone(), output].concat()];
            doubts.observe(&Records::new(&words, 3, epoch), 2);
        };
        // Early predictions are forgotten; the losses of the output are not part of the score.
        observe(5, [(100.0, 3), (100.0, 3), (100.0, 3), (100.0, 3)]);
        observe(6, [(1.0, 0), (4.0, 2), (2.0, 0), (4.0, 1)]);
        observe(7, [(1.0, 1), (4.0, 2), (2.0, 1), (8.0, 2)]);
        let ranked = doubts.ranked(&[0, 1, 0]);
        let as_tuple = |doubt: &Doubt| (doubt.index, doubt.proposed, doubt.score, doubt.agreement);
        assert_eq!(ranked.iter().map(as_tuple).collect::<Vec<_>>(), [(1, 2, 20.0 / 4.0, 0.75), (0, 0, 6.0 / 4.0, 0.5)]);
        // A label stays if as many predict it as predict otherwise.
        let kept = doubts.to_words();
        assert_eq!(kept.len(), Doubts::words(3, 4));
        assert_eq!(Doubts::from_words(3, 4, &kept), Some(doubts.clone()));
        assert_eq!(Doubts::from_words(3, 3, &kept), None);
        let suspects = |labels: [u8; 3]| doubts.suspects(&labels).len();
        assert_eq!([suspects([0, 1, 0]), suspects([1, 1, 0]), suspects([3, 1, 0])], [1, 1, 2]);
        assert!(doubts.scores()[2].is_nan() && doubts.kept()[2].is_nan());
        assert_eq!(doubts.kept()[..2], [0.5, 0.5]);
    }
}
