//! Shapes of networks, and their parameters as the host sees them.

mod architecture;

pub use architecture::{Architecture, Layer, LayerSpec, MAX_WIDTH, Map, Product};

use crate::random::{Generator, Stream, philox, unit};
use serde::{Deserialize, Serialize};

/// Which networks of the pairs are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A; of several pairs each one's A.
    A,
    /// B, likewise.
    B,
    /// All networks together.
    #[default]
    Ensemble,
}

impl Network {
    /// The slots that are meant, among those of `replicas` pairs.
    pub fn slots(self, replicas: usize) -> impl ExactSizeIterator<Item = usize> {
        let (first, step) = match self {
            Self::A => (0, 2),
            Self::B => (1, 2),
            Self::Ensemble => (0, 1),
        };
        (first..2 * replicas).step_by(step)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::Ensemble => "A+B",
        })
    }
}

/// One layer of one model, unpadded, in PyTorch's order.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameters {
    /// The axes of the weight: `[outputs, inputs]` of a dense layer.
    pub shape: Vec<usize>,
    /// The weight, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

impl LayerParameters {
    /// Those of a dense layer, with a bias for each output.
    pub fn dense(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        Self { shape: vec![bias.len(), weight.len() / bias.len().max(1)], weight, bias }
    }

    /// Whether there is a weight for each place of the shape, and a bias for each output.
    pub fn is_whole(&self) -> bool {
        let count = self.shape.iter().try_fold(1, |count: usize, &axis| count.checked_mul(axis));
        count == Some(self.weight.len()) && self.shape.first() == Some(&self.bias.len())
    }

    /// Numbers in it.
    pub fn number_count(&self) -> usize {
        self.weight.len() + self.bias.len()
    }
}

/// The parameters of every model: `[slot][layer]`, slot = 2·replica + (0 for A, 1 for B).
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// `[slot][layer]`.
    pub slots: Vec<Vec<LayerParameters>>,
    /// The projections behind hidden layers, `[slot][hidden layer]`; their biases are zero. Empty where a run has none.
    pub projections: Vec<Vec<LayerParameters>>,
}

impl Parameters {
    /// Uniform in ±1/sqrt(fan_in) for weights and biases (the usual default of linear layers). Number `i` of a layer, in the
    /// order weights then biases, is word `i` of the layer's random stream, so every replica's numbers depend on its own seed only.
    pub fn initialize(architecture: &Architecture, seed: u64, replicas: usize) -> Self {
        let slots = (0..2 * replicas).map(|slot| {
            let seed = seed.wrapping_add(slot as u64 / 2);
            let layers = architecture.layers().enumerate().map(|(index, layer)| {
                let Product { inner: inputs, columns: outputs, .. } = layer.product();
                let stream = Stream::Parameters { model: (slot % 2) as u8, layer: index as u16 };
                let bound = 1.0 / (inputs as f32).sqrt();
                let count = inputs * outputs + outputs;
                let mut values: Vec<f32> = (0..count.div_ceil(4) as u64)
                    .flat_map(|counter| philox(seed, stream, counter))
                    .take(count)
                    .map(|word| (2.0 * unit(word) - 1.0) * bound)
                    .collect();
                let bias = values.split_off(inputs * outputs);
                LayerParameters { shape: layer.weight_shape(), weight: values, bias }
            });
            layers.collect()
        });
        Self { slots: slots.collect(), projections: vec![Vec::new(); 2 * replicas] }
    }

    /// The same with projections to `width` numbers, normal with variance 1/inputs.
    pub fn with_projections(self, architecture: &Architecture, width: usize, seed: u64) -> Self {
        let slot = |slot: usize| {
            let layers = architecture.hidden().enumerate().map(|(layer, inputs)| {
                let stream = Stream::Projection { model: (slot % 2) as u8, layer: layer as u16 };
                let mut generator = Generator::new(seed.wrapping_add(slot as u64 / 2), stream, 0);
                let deviation = 1.0 / (inputs as f32).sqrt();
                let weight = (0..inputs * width).map(|_| generator.normal() * deviation).collect();
                LayerParameters { shape: vec![width, inputs], weight, bias: vec![0.0; width] }
            });
            layers.collect()
        };
        Self { projections: (0..self.slots.len()).map(slot).collect(), ..self }
    }

    /// The name of a layer's tensor in a safetensors file, without its final `.weight` or `.bias`.
    pub fn tensor_name(slot: usize, layer: usize) -> String {
        format!("r{}.{}.layers.{layer}", slot / 2, if slot.is_multiple_of(2) { "a" } else { "b" })
    }

    /// The same for the projection behind a hidden layer.
    pub fn projection_name(slot: usize, layer: usize) -> String {
        format!("r{}.{}.projections.{layer}", slot / 2, if slot.is_multiple_of(2) { "a" } else { "b" })
    }

    /// The first number that is not finite, described for an error message.
    pub fn find_non_finite(&self) -> Option<String> {
        for (slots, name) in
            [(&self.slots, Self::tensor_name as fn(usize, usize) -> String), (&self.projections, Self::projection_name)]
        {
            for (slot, layers) in slots.iter().enumerate() {
                for (layer, parameters) in layers.iter().enumerate() {
                    for (kind, values) in [("weight", &parameters.weight), ("bias", &parameters.bias)] {
                        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                            return Some(format!("{}.{kind}[{index}] is {}", name(slot, layer), values[index]));
                        }
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_parameters_are_bounded_and_independent() {
        let architecture = Architecture::dense(&[9, 5, 3]);
        let parameters = Parameters::initialize(&architecture, 3, 2);
        assert_eq!(parameters.slots.len(), 4);
        for layers in &parameters.slots {
            assert_eq!((layers[0].weight.len(), layers[0].bias.len()), (45, 5));
            assert!(layers.iter().all(LayerParameters::is_whole));
            assert!(layers[0].weight.iter().all(|value| value.abs() <= 1.0 / 3.0));
        }
        assert_ne!(parameters.slots[0], parameters.slots[1]);
        // Replica 1 of seed 3 is replica 0 of seed 4.
        assert_eq!(parameters.slots[2..], Parameters::initialize(&architecture, 4, 1).slots[..]);
    }

    #[test]
    fn networks_are_slots() {
        let slots = |network: Network| network.slots(2).collect::<Vec<_>>();
        assert_eq!((slots(Network::A), slots(Network::B)), (vec![0, 2], vec![1, 3]));
        assert_eq!(slots(Network::Ensemble), [0, 1, 2, 3]);
    }
}
