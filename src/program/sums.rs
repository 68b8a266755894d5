//! Where each of an epoch's sums stands among those that the host reads.

use crate::diagnosis::LayerSums;
use crate::engine::EpochMetrics;
use crate::layout::{DIAGNOSIS_SUMS, EVALUATION_METRICS};

/// The sums in their order: of training `[slot][layers + 1]`, of the test set `[replica][3]`, of the sample `[slot][layers + 1]`, then
/// three of each hidden layer `[hidden layer][slot]` and three of each layer's weights `[layer][slot]`.
#[derive(Clone, Copy, Debug)]
pub struct SumLayout {
    /// Models.
    pub slots: usize,
    /// Layers of the network.
    pub layers: usize,
    /// Images of the sample.
    pub sample: usize,
}

impl SumLayout {
    /// All of them.
    pub fn count(&self) -> usize {
        let Self { slots, layers, .. } = *self;
        2 * slots * (layers + 1) + slots / 2 * EVALUATION_METRICS + (2 * layers - 1) * slots * DIAGNOSIS_SUMS
    }

    /// The sums by name.
    pub fn metrics(&self, sums: &[f32]) -> EpochMetrics {
        let Self { slots, layers, sample: images } = *self;
        let (training, rest) = sums.split_at(slots * (layers + 1));
        let (test, rest) = rest.split_at(slots / 2 * EVALUATION_METRICS);
        let (sample, rest) = rest.split_at(slots * (layers + 1));
        let (spreads, norms) = rest.split_at((layers - 1) * slots * DIAGNOSIS_SUMS);
        let of = |sums: &[f32], layer: usize, slot: usize| {
            let first = (layer * slots + slot) * DIAGNOSIS_SUMS;
            [0, 1, 2].map(|sum: usize| sums.get(first + sum).map_or(0.0, |&value| f64::from(value)))
        };
        let layer = |slot: usize, layer: usize| {
            let [covariance_squares, covariance_trace, dead] = of(spreads, layer, slot);
            let [weights, update, distance] = of(norms, layer, slot);
            let hidden = layer + 1 < layers;
            let misalignment = if hidden { f64::from(sample[slot * (layers + 1) + layer]) } else { 0.0 };
            LayerSums { misalignment, covariance_squares, covariance_trace, dead, weights, update, distance }
        };
        EpochMetrics {
            training: training.chunks_exact(layers + 1).map(<[f32]>::to_vec).collect(),
            test: test.as_chunks::<EVALUATION_METRICS>().0.to_vec(),
            layers: (0..slots).map(|slot| (0..layers).map(|index| layer(slot, index)).collect()).collect(),
            sample: images,
        }
    }
}
