//! What the hidden layers look like after an epoch, and the signs of a run that fails.

use serde::{Deserialize, Serialize};

/// The first images of the test set, on which representations are diagnosed; fewer if the set or an adapter's buffers hold fewer.
pub const SAMPLE: usize = 512;

/// Sums that a device makes for one layer of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerSums {
    /// Over the sample, `1 − cos` between the slot's activations and the partner's; 0 for the output layer, as the next three.
    pub misalignment: f64,
    /// Sum of the squared entries of the summed covariance.
    pub covariance_squares: f64,
    /// Trace of the summed covariance.
    pub covariance_trace: f64,
    /// Units that are 0 on the whole sample.
    pub dead: f64,
    /// Sum of the squared weights.
    pub weights: f64,
    /// Sum of the squared changes of the weights over the epoch.
    pub update: f64,
    /// Squared distance of the weights from the partner's.
    pub distance: f64,
}

impl LayerSums {
    /// The sums that are finite for as long as weights and activations are, with what they are of.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("sum of squared weights", self.weights),
            ("sum of squared changes of the weights", self.update),
            ("squared distance from the partner", self.distance),
            ("sum of cosine distances", self.misalignment),
        ]
    }
}

/// One replica's layers; each number the mean of A and B. The first three have an entry for each hidden layer, the others for each
/// layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Mean cosine between A's and B's activations of the same image.
    pub alignment: Vec<f64>,
    /// Directions that share the variance of the activations: (Σλ)² / Σλ² over the covariance's eigenvalues, 1 to the layer's
    /// width; 0 where nothing varies, or activations above some 10⁸ make the device's sums of fourth powers overflow.
    pub participation_ratio: Vec<f64>,
    /// Share of units that are 0 on all images of the sample.
    pub dead_units: Vec<f64>,
    /// Euclidean norm of weights and biases.
    pub weight_norm: Vec<f64>,
    /// The same of their change over the epoch.
    pub update_norm: Vec<f64>,
    /// Distance of A's weights from B's over √(|A|² + |B|²): 0 for equal ones, 1 for unrelated ones.
    pub divergence: Vec<f64>,
}

impl Diagnosis {
    /// From the sums of A and of B, `[layer]`, over `sample` images; `widths` are the layers' outputs.
    pub fn new(pair: [&[LayerSums]; 2], sample: usize, widths: &[usize]) -> Self {
        let of = |layers: usize, value: &dyn Fn(&LayerSums, usize) -> f64| {
            (0..layers).map(|layer| 0.5 * pair.iter().map(|sums| value(&sums[layer], widths[layer])).sum::<f64>()).collect()
        };
        let (layers, hidden) = (widths.len(), widths.len() - 1);
        let ratio = |trace: f64, squares: f64| if squares > 0.0 && squares.is_finite() { trace * trace / squares } else { 0.0 };
        let distance = |layer: usize| {
            let [a, b] = pair.map(|sums| sums[layer]);
            let size = (a.weights + b.weights).sqrt();
            if size > 0.0 { a.distance.sqrt() / size } else { 0.0 }
        };
        Self {
            alignment: of(hidden, &|sums, _| 1.0 - sums.misalignment / sample as f64),
            participation_ratio: of(hidden, &|sums, _| ratio(sums.covariance_trace, sums.covariance_squares)),
            dead_units: of(hidden, &|sums, width| sums.dead / width as f64),
            weight_norm: of(layers, &|sums, _| sums.weights.sqrt()),
            update_norm: of(layers, &|sums, _| sums.update.sqrt()),
            divergence: (0..layers).map(distance).collect(),
        }
    }
}

/// A sign of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A hidden layer maps every image to nearly one direction, on which both models agree.
    Collapse,
    /// Losses stand still, and so does the accuracy, before it is good.
    Plateau,
    /// A hidden layer's loss rises again: the models lose each other.
    Diverging,
    /// The output is no better than guessing.
    NearChance,
    /// The networks are mistaken too often to tell wrong labels from their own mistakes.
    UnsureOfLabels,
}

impl Sign {
    /// What it means and what helps.
    pub const fn advice(self) -> &'static str {
        match self {
            Sign::Collapse => {
                "hidden layers collapsed: A and B agree because every image has nearly one representation; try the default recipe if another was asked for, or --centre"
            }
            Sign::Plateau => {
                "losses and accuracy stand still; try a larger --learning-rate, or the default recipe if another was asked for"
            }
            Sign::Diverging => "a hidden layer's loss rises again: A and B lose each other; try a smaller --learning-rate",
            Sign::NearChance => {
                "the accuracy is near that of guessing; if an epoch has few steps, try a smaller --batch-size; else look for collapsed or dead layers in metrics.jsonl, and try the default recipe if another was asked for"
            }
            Sign::UnsureOfLabels => {
                "A and B are often mistaken themselves, so that the estimated share of wrong labels is too high; give the share by --trust-rate"
            }
        }
    }
}

/// What [`Watch`] looks at after an epoch.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Mean loss of each layer, 0 where it has none.
    pub losses: &'a [f64],
    /// Accuracy on the training images; `None` while the output layer does not learn.
    pub accuracy: Option<f64>,
    /// The hidden layers.
    pub diagnosis: &'a Diagnosis,
    /// The schedule has brought the learning rate near zero: standing still is what it is for.
    pub decayed: bool,
    /// The share of wrong labels is estimated, and the estimate is doubtful.
    pub unsure_of_labels: bool,
}

/// A layer has collapsed if its alignment is above this and its participation ratio below [`COLLAPSED_RATIO`]. Neither alone is a
/// collapse: well-trained partners agree, and a layer of two units has few directions.
const COLLAPSED_ALIGNMENT: f64 = 0.99;
/// See [`COLLAPSED_ALIGNMENT`].
const COLLAPSED_RATIO: f64 = 2.0;
/// A plateau is so many epochs without movement.
const PLATEAU_EPOCHS: usize = 5;
/// Without movement: the relative change of each loss is below this, and the gain in accuracy below [`PLATEAU_GAIN`].
const PLATEAU_CHANGE: f64 = 0.01;
/// See [`PLATEAU_CHANGE`].
const PLATEAU_GAIN: f64 = 0.002;
/// Above this accuracy a plateau is not a failure.
const GOOD_ENOUGH: f64 = 0.95;
/// A hidden loss diverges if it stays above this multiple of its lowest value, and above half of its first one, for
/// [`DIVERGED_EPOCHS`]. One epoch's rise is noise; far below its start a loss may wander.
const DIVERGED: f64 = 1.1;
/// See [`DIVERGED`].
const DIVERGED_EPOCHS: usize = 3;
/// Epochs after which guessing is a failure.
const PATIENCE: usize = 3;
/// An accuracy below this multiple of 1 / classes is guessing.
const NEAR_CHANCE: f64 = 1.5;

/// Watches one replica.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    losses: Vec<Vec<f64>>,
    accuracies: Vec<f64>,
}

impl Watch {
    /// Forgets what came before: another stage begins.
    pub fn begin_stage(&mut self) {
        *self = Self::default();
    }

    /// Takes in an epoch; the signs that it shows.
    pub fn observe(&mut self, observation: &Observation, classes: usize) -> Vec<Sign> {
        let hidden = observation.losses.len() - 1;
        self.losses.push(observation.losses.to_vec());
        self.accuracies.extend(observation.accuracy);
        let diagnosis = observation.diagnosis;
        let mut signs = Vec::new();
        let collapsed = |layer: usize| {
            diagnosis.alignment[layer] > COLLAPSED_ALIGNMENT && diagnosis.participation_ratio[layer] < COLLAPSED_RATIO
        };
        if (0..hidden).any(collapsed) {
            signs.push(Sign::Collapse);
        }
        if !observation.decayed && self.stands_still() {
            signs.push(Sign::Plateau);
        }
        let (before, recent) = self.losses.split_at(self.losses.len().saturating_sub(DIVERGED_EPOCHS));
        let diverges = |layer: usize| {
            let lowest = before.iter().map(|losses| losses[layer]).fold(f64::INFINITY, f64::min);
            recent.iter().all(|losses| losses[layer] > DIVERGED * lowest && losses[layer] > 0.5 * self.losses[0][layer])
        };
        if (0..hidden).any(diverges) {
            signs.push(Sign::Diverging);
        }
        let guess = NEAR_CHANCE / classes as f64;
        if self.accuracies.len() >= PATIENCE && self.accuracies.last().is_some_and(|&accuracy| accuracy < guess) {
            signs.push(Sign::NearChance);
        }
        if observation.unsure_of_labels {
            signs.push(Sign::UnsureOfLabels);
        }
        signs
    }

    fn stands_still(&self) -> bool {
        let (Some(first), Some(last)) = (self.losses.len().checked_sub(PLATEAU_EPOCHS + 1), self.losses.last()) else {
            return false;
        };
        let Some([before, .., now]) = self.accuracies.len().checked_sub(PLATEAU_EPOCHS + 1).map(|at| &self.accuracies[at..])
        else {
            return false;
        };
        let still = |(then, now): (&f64, &f64)| (now - then).abs() <= PLATEAU_CHANGE * then.abs();
        *now < GOOD_ENOUGH && now - before < PLATEAU_GAIN && self.losses[first].iter().zip(last).all(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(alignment: f64, ratio: f64) -> Diagnosis {
        Diagnosis { alignment: vec![alignment], participation_ratio: vec![ratio], ..Diagnosis::default() }
    }

    /// Signs of the last of some epochs, each `(hidden loss, output loss, accuracy)`.
    fn signs(epochs: &[(f64, f64, f64)], diagnosis: &Diagnosis) -> Vec<Sign> {
        let mut watch = Watch::default();
        let mut signs = Vec::new();
        for &(hidden, output, accuracy) in epochs {
            let (losses, accuracy) = (&[hidden, output], Some(accuracy));
            signs = watch.observe(&Observation { losses, accuracy, diagnosis, decayed: false, unsure_of_labels: false }, 10);
        }
        signs
    }

    #[test]
    fn a_healthy_run_shows_no_sign() {
        let epochs: Vec<_> = (1..20).map(|epoch| (1.0 / f64::from(epoch), 1.0 / f64::from(epoch), 0.9)).collect();
        assert_eq!(signs(&epochs, &diagnosis(0.3, 20.0)), []);
        // Agreement of rich representations is what the method wants, and few directions without agreement are no collapse.
        assert_eq!(signs(&epochs, &diagnosis(0.999, 20.0)), []);
        assert_eq!(signs(&epochs, &diagnosis(0.5, 1.5)), []);
        // Standing still at the top is success.
        assert_eq!(signs(&[(0.1, 0.1, 0.99); 10], &diagnosis(0.3, 20.0)), []);
    }

    #[test]
    fn each_failure_has_its_sign() {
        assert_eq!(signs(&[(0.1, 0.1, 0.5)], &diagnosis(0.995, 1.2)), [Sign::Collapse]);
        assert_eq!(signs(&[(0.1, 0.1, 0.5); 6], &diagnosis(0.3, 20.0)), [Sign::Plateau]);
        assert_eq!(signs(&[(0.1, 0.1, 0.5); 5], &diagnosis(0.3, 20.0)), []);
        let rising = [(1.0, 0.9, 0.5), (0.5, 0.8, 0.6), (0.6, 0.7, 0.7), (0.58, 0.7, 0.72), (0.65, 0.6, 0.74)];
        assert_eq!(signs(&rising, &diagnosis(0.3, 20.0)), [Sign::Diverging]);
        assert_eq!(signs(&rising[..4], &diagnosis(0.3, 20.0)), []);
        assert_eq!(signs(&[(1.0, 0.9, 0.1), (0.8, 0.8, 0.1), (0.7, 0.7, 0.1)], &diagnosis(0.3, 20.0)), [Sign::NearChance]);
    }

    #[test]
    fn standing_still_at_the_end_of_a_schedule_is_no_failure() {
        let (mut watch, diagnosis) = (Watch::default(), diagnosis(0.3, 20.0));
        for epoch in 1..10 {
            let (losses, accuracy, decayed) = (&[0.1, 0.1], Some(0.5), epoch > 5);
            let observation = Observation { losses, accuracy, diagnosis: &diagnosis, decayed, unsure_of_labels: false };
            assert_eq!(watch.observe(&observation, 10), []);
        }
    }

    #[test]
    fn numbers_of_a_pair() {
        let a =
            LayerSums { misalignment: 1.0, covariance_squares: 8.0, covariance_trace: 4.0, dead: 1.0, ..LayerSums::default() };
        let b = LayerSums { misalignment: 1.0, ..LayerSums::default() };
        let [out_a, out_b] = [3.0, 4.0].map(|size| LayerSums { weights: size * size, distance: 25.0, ..LayerSums::default() });
        let diagnosis = Diagnosis::new([&[a, out_a], &[b, out_b]], 4, &[5, 3]);
        assert_eq!(diagnosis.alignment, [0.75]);
        assert_eq!(diagnosis.participation_ratio, [1.0]);
        assert_eq!(diagnosis.dead_units, [0.1]);
        assert_eq!(diagnosis.weight_norm, [0.0, 3.5]);
        assert_eq!(diagnosis.divergence, [0.0, 1.0]);
    }
}
