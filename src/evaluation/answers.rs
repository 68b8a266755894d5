//! What networks answer about images.

use crate::model::Network;

/// The probabilities that A, B and all networks together give to each class of each image. Together means the mean of the networks'
/// softmax outputs; of several pairs A is the mean of all A, and B that of all B.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    classes: usize,
    /// `[images, classes]` each.
    a: Vec<f32>,
    b: Vec<f32>,
    ensemble: Vec<f32>,
}

impl Answers {
    /// Of the softmax outputs of every slot, `[images, classes]` each, as backends and trainers give them.
    pub fn new(slots: &[Vec<f32>], classes: usize) -> Self {
        let mean = |network: Network| mean(network.slots(slots.len() / 2).map(|slot| &slots[slot][..]));
        Self { classes, a: mean(Network::A), b: mean(Network::B), ensemble: mean(Network::Ensemble) }
    }

    /// Number of images.
    pub fn count(&self) -> usize {
        self.ensemble.len() / self.classes
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The probability of each class for one image.
    pub fn probabilities(&self, network: Network, image: usize) -> &[f32] {
        let all = match network {
            Network::A => &self.a,
            Network::B => &self.b,
            Network::Ensemble => &self.ensemble,
        };
        &all[image * self.classes..][..self.classes]
    }

    /// The most probable class; of equals the first, as everywhere in this program.
    pub fn answer(&self, network: Network, image: usize) -> usize {
        let of = self.probabilities(network, image);
        (1..self.classes).fold(0, |best, class| if of[class] > of[best] { class } else { best })
    }

    /// The most probable classes, best first, and their probabilities.
    pub fn top(&self, network: Network, image: usize, count: usize) -> Vec<(usize, f32)> {
        let mut all: Vec<_> = self.probabilities(network, image).iter().copied().enumerate().collect();
        // Stable: of equals the first stays first.
        all.sort_by(|one, other| other.1.total_cmp(&one.1));
        all.truncate(count);
        all
    }
}

/// In f32, as the devices sum when they count right answers, so that the counts are the same.
fn mean<'a>(networks: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let scale = 1.0 / networks.len() as f32;
    let sum = networks.fold(Vec::new(), |sum: Vec<f32>, next| match sum.is_empty() {
        true => next.to_vec(),
        false => sum.iter().zip(next).map(|(sum, next)| sum + next).collect(),
    });
    sum.into_iter().map(|value| value * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn together_is_the_mean_over_all_networks() {
        let slots = [vec![0.5, 0.5, 1.0, 0.0], vec![0.75, 0.25, 0.25, 0.75]];
        let answers = Answers::new(&slots, 2);
        assert_eq!((answers.count(), answers.classes()), (2, 2));
        assert_eq!(answers.probabilities(Network::A, 1), [1.0, 0.0]);
        assert_eq!(answers.probabilities(Network::Ensemble, 0), [0.625, 0.375]);
        assert_eq!(answers.answer(Network::B, 1), 1);
        assert_eq!(answers.answer(Network::A, 0), 0, "of equals the first");
        assert_eq!(answers.top(Network::Ensemble, 1, 3), [(0, 0.625), (1, 0.375)]);
        let four = [slots[0].clone(), slots[1].clone(), vec![0.0, 1.0, 0.0, 1.0], vec![0.25, 0.75, 0.25, 0.75]];
        let answers = Answers::new(&four, 2);
        assert_eq!(answers.probabilities(Network::A, 0), [0.25, 0.75]);
        assert_eq!(answers.probabilities(Network::B, 0), [0.5, 0.5]);
        assert_eq!(answers.probabilities(Network::Ensemble, 0), [0.375, 0.625]);
    }
}
