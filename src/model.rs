//! Shapes of networks, and their parameters as the host sees them.

use crate::error::{Error, Result};
use crate::random::{Generator, Stream, philox, unit};
use serde::{Deserialize, Serialize};

/// One layer of a network: what it makes of its input. Another kind of layer is another variant here, and what the functions below say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerSpec {
    /// Every output sees every input.
    Linear {
        /// Numbers that leave.
        outputs: usize,
    },
}

/// A layer as the matrix product that it is computed by, for one image: `[rows, inner] × [inner, columns]`, plus a bias for each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows that one image has: 1 where it is one vector.
    pub rows: usize,
    /// Numbers that each output is a sum over.
    pub inner: usize,
    /// Outputs of a row.
    pub columns: usize,
}

impl LayerSpec {
    /// Numbers that leave for one image of `inputs` numbers.
    pub const fn outputs(self, inputs: usize) -> usize {
        let product = self.product(inputs);
        product.rows * product.columns
    }

    /// The product that computes it.
    pub const fn product(self, inputs: usize) -> Product {
        match self {
            Self::Linear { outputs } => Product { rows: 1, inner: inputs, columns: outputs },
        }
    }

    /// Numbers of its weight, which is `[columns, inner]`, and of its bias.
    pub const fn parameters(self, inputs: usize) -> [usize; 2] {
        let product = self.product(inputs);
        [product.columns * product.inner, product.columns]
    }
}

/// The shape of a network: its input, and its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    layers: Vec<LayerSpec>,
    /// Numbers that enter, and that leave each layer.
    widths: Vec<usize>,
}

/// Wider layers are surely mistakes, and this bound keeps every index of a layer inside 32 bits.
pub const MAX_WIDTH: usize = 1 << 16;
/// Depth is bounded by the 16 bits that a layer's index has in its random stream; far below that is sanity.
const MAX_LAYERS: usize = 256;

impl Architecture {
    /// A network of linear layers. Checks widths: two or more, each between 1 and 65,536.
    pub fn new(widths: Vec<usize>) -> Result<Self> {
        if widths.len() < 2 || widths.len() > MAX_LAYERS + 1 {
            return Err(Error::Configuration(format!(
                "--layers names {} widths; give 2 to {} (input, hidden …, classes), such as 784,64,64,10",
                widths.len(),
                MAX_LAYERS + 1
            )));
        }
        if let Some(&width) = widths.iter().find(|&&width| width == 0 || width > MAX_WIDTH) {
            return Err(Error::Configuration(format!(
                "--layers holds the width {width}; each must be 1 to {MAX_WIDTH} (images that are larger shrink by --image-size)"
            )));
        }
        let layers = widths.iter().skip(1).map(|&outputs| LayerSpec::Linear { outputs }).collect();
        Ok(Self { layers, widths })
    }

    /// The layers with the width of their inputs.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (usize, LayerSpec)> {
        self.widths.iter().copied().zip(self.layers.iter().copied())
    }

    /// The layers as matrix products.
    pub fn products(&self) -> impl ExactSizeIterator<Item = Product> {
        self.layers().map(|(inputs, layer)| layer.product(inputs))
    }

    /// Input width, hidden widths, classes.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Layers with weights.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Output width of the last layer.
    pub fn classes(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// Bytes of one model's parameters.
    pub fn parameter_bytes(&self) -> u128 {
        4 * self.layers().flat_map(|(inputs, layer)| layer.parameters(inputs)).map(|count| count as u128).sum::<u128>()
    }

    /// Numbers that leave all layers for one image, the image itself included.
    pub fn activations(&self) -> u128 {
        self.widths.iter().map(|&width| width as u128).sum()
    }

    /// Floating-point operations that one image costs in training, both models: 2 in the forward pass and 2 in the weight
    /// gradient for each weight. (With the plain cosine loss no layer needs the gradient of its input.)
    pub fn training_flops_per_image(&self) -> f64 {
        2.0 * 4.0 * self.products().map(|product| product.rows as f64 * (product.inner * product.columns) as f64).sum::<f64>()
    }
}

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

/// One layer of one model, unpadded, in the shape of a PyTorch linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameters {
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

impl LayerParameters {
    /// Outputs and inputs.
    pub fn shape(&self) -> [usize; 2] {
        [self.bias.len(), self.weight.len() / self.bias.len()]
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
            let layers = architecture.products().enumerate().map(|(layer, product)| {
                let (inputs, outputs) = (product.inner, product.columns);
                let stream = Stream::Parameters { model: (slot % 2) as u8, layer: layer as u16 };
                let bound = 1.0 / (inputs as f32).sqrt();
                let count = inputs * outputs + outputs;
                let mut values: Vec<f32> = (0..count.div_ceil(4) as u64)
                    .flat_map(|counter| philox(seed, stream, counter))
                    .take(count)
                    .map(|word| (2.0 * unit(word) - 1.0) * bound)
                    .collect();
                let bias = values.split_off(inputs * outputs);
                LayerParameters { weight: values, bias }
            });
            layers.collect()
        });
        Self { slots: slots.collect(), projections: vec![Vec::new(); 2 * replicas] }
    }

    /// The same with projections to `width` numbers, normal with variance 1/inputs.
    pub fn with_projections(self, architecture: &Architecture, width: usize, seed: u64) -> Self {
        let hidden = &architecture.widths[1..architecture.layer_count()];
        let slot = |slot: usize| {
            let layers = hidden.iter().enumerate().map(|(layer, &inputs)| {
                let stream = Stream::Projection { model: (slot % 2) as u8, layer: layer as u16 };
                let mut generator = Generator::new(seed.wrapping_add(slot as u64 / 2), stream, 0);
                let deviation = 1.0 / (inputs as f32).sqrt();
                LayerParameters {
                    weight: (0..inputs * width).map(|_| generator.normal() * deviation).collect(),
                    bias: vec![0.0; width],
                }
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
        let architecture = Architecture::new(vec![9, 5, 3]).unwrap();
        let parameters = Parameters::initialize(&architecture, 3, 2);
        assert_eq!(parameters.slots.len(), 4);
        for layers in &parameters.slots {
            assert_eq!((layers[0].weight.len(), layers[0].bias.len()), (45, 5));
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

    #[test]
    fn bad_widths_are_refused() {
        for widths in [vec![], vec![5], vec![5, 0], vec![5, MAX_WIDTH + 1], vec![2; MAX_LAYERS + 2]] {
            assert!(Architecture::new(widths).is_err());
        }
    }
}
