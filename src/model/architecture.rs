//! The shape of a network: what enters it, and its layers.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};

/// What enters or leaves a layer for one image: places, each with so many numbers. A vector is one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Rows of places.
    pub height: usize,
    /// Places in a row.
    pub width: usize,
    /// Numbers of a place.
    pub channels: usize,
}

impl Map {
    /// One place with `length` numbers.
    pub const fn vector(length: usize) -> Self {
        Self { height: 1, width: 1, channels: length }
    }

    /// Places.
    pub const fn places(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Numbers of all places together; as many as there can be where the product is larger.
    pub const fn numbers(self) -> usize {
        self.places().saturating_mul(self.channels)
    }
}

impl Display for Map {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { height: 1, width: 1, channels } => write!(formatter, "{channels}"),
            Self { height, width, channels } => write!(formatter, "{height}x{width}x{channels}"),
        }
    }
}

/// What a layer makes of its input. Another kind of layer is another variant; the compiler then names every place that must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LayerSpec {
    /// Every output sees every input: a dense layer.
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

/// Wider dense layers are surely mistakes, and this bound keeps every index of their weights inside 32 bits.
pub const MAX_WIDTH: usize = 1 << 16;
/// Depth is bounded by the 16 bits that a layer's index has in its random stream; far below that is sanity.
const MAX_LAYERS: usize = 256;

impl LayerSpec {
    /// Refuses a layer that this program cannot compute.
    fn check(self, input: Map) -> Result<()> {
        match self {
            Self::Linear { outputs } => {
                match [input.numbers(), outputs].into_iter().find(|width| !(1..=MAX_WIDTH).contains(width)) {
                    Some(width) => Err(Error::Configuration(format!(
                        "--layers holds the width {width}; each must be 1 to {MAX_WIDTH} (images that are larger shrink by --image-size)"
                    ))),
                    None => Ok(()),
                }
            }
        }
    }

    /// What leaves for one image.
    pub const fn output(self, _input: Map) -> Map {
        match self {
            Self::Linear { outputs } => Map::vector(outputs),
        }
    }

    /// The product that computes it.
    pub const fn product(self, input: Map) -> Product {
        match self {
            Self::Linear { outputs } => Product { rows: 1, inner: input.numbers(), columns: outputs },
        }
    }

    /// The axes of its weight, in PyTorch's order.
    pub fn weight_shape(self, input: Map) -> Vec<usize> {
        match self {
            Self::Linear { outputs } => vec![outputs, input.numbers()],
        }
    }
}

impl Display for LayerSpec {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linear { outputs } => write!(formatter, "{outputs}"),
        }
    }
}

/// A layer in its place in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What it does.
    pub spec: LayerSpec,
    /// What enters.
    pub input: Map,
    /// What leaves.
    pub output: Map,
}

impl Layer {
    /// The product that computes it.
    pub const fn product(&self) -> Product {
        self.spec.product(self.input)
    }

    /// The axes of its weight, in PyTorch's order.
    pub fn weight_shape(&self) -> Vec<usize> {
        self.spec.weight_shape(self.input)
    }
}

/// The shape of a network: its input, and its layers. [`Architecture::check`] refuses what cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Architecture {
    input: Map,
    layers: Vec<LayerSpec>,
}

/// How files have it: as it is, or in older ones as the widths of dense layers, input first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Layers { input: Map, layers: Vec<LayerSpec> },
    Widths(Vec<usize>),
}

impl From<Written> for Architecture {
    fn from(written: Written) -> Self {
        match written {
            Written::Layers { input, layers } => Self { input, layers },
            Written::Widths(widths) => Self::dense(&widths),
        }
    }
}

impl Architecture {
    /// A network of dense layers; `widths` are those of its input, of the hidden layers, and the number of classes.
    pub fn dense(widths: &[usize]) -> Self {
        let (input, outputs) = widths.split_first().map_or((0, widths), |(&input, outputs)| (input, outputs));
        let layers = outputs.iter().map(|&outputs| LayerSpec::Linear { outputs }).collect();
        Self { input: Map::vector(input), layers }
    }

    /// Refuses too few or too many layers, and layers that this program cannot compute.
    pub fn check(&self) -> Result<()> {
        let count = self.layers.len();
        if !(1..=MAX_LAYERS).contains(&count) {
            return Err(Error::Configuration(format!(
                "--layers describes {count} layers; give 1 to {MAX_LAYERS}: two widths or more (input, hidden …, classes), such as 784,64,64,10"
            )));
        }
        self.layers().try_for_each(|layer| layer.spec.check(layer.input))
    }

    /// The layers with what enters and leaves them.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> {
        let mut input = self.input;
        self.layers.iter().map(move |&spec| {
            let layer = Layer { spec, input, output: spec.output(input) };
            input = layer.output;
            layer
        })
    }

    /// Layers with weights.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Numbers that enter for one image.
    pub fn inputs(&self) -> usize {
        self.input.numbers()
    }

    /// Numbers that leave each layer for one image.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = usize> {
        self.layers().map(|layer| layer.output.numbers())
    }

    /// Numbers that leave each hidden layer for one image.
    pub fn hidden(&self) -> impl ExactSizeIterator<Item = usize> {
        self.outputs().take(self.layers.len().saturating_sub(1))
    }

    /// Numbers that leave the last layer, one a class.
    pub fn classes(&self) -> usize {
        self.outputs().last().unwrap_or(0)
    }

    /// Numbers that enter, and that leave each layer, for one image.
    pub fn widths(&self) -> Vec<usize> {
        std::iter::once(self.inputs()).chain(self.outputs()).collect()
    }

    /// Input and layers in one word, such as 784-64-64-10.
    pub fn summary(&self) -> String {
        let layers = self.layers.iter().map(LayerSpec::to_string);
        std::iter::once(self.input.to_string()).chain(layers).collect::<Vec<_>>().join("-")
    }

    /// Bytes of one model's parameters.
    pub fn parameter_bytes(&self) -> u128 {
        let count = |product: Product| (product.inner as u128 + 1) * product.columns as u128;
        4 * self.layers().map(|layer| count(layer.product())).sum::<u128>()
    }

    /// Floating-point operations that one image costs in training, both models: 2 in the forward pass and 2 in the weight
    /// gradient for each weight. (With the plain cosine loss no layer needs the gradient of its input.)
    pub fn training_flops_per_image(&self) -> f64 {
        let of = |product: Product| product.rows as f64 * (product.inner * product.columns) as f64;
        2.0 * 4.0 * self.layers().map(|layer| of(layer.product())).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dense_network_is_its_widths() {
        let network = Architecture::dense(&[784, 64, 32, 10]);
        assert_eq!((network.inputs(), network.classes(), network.layer_count()), (784, 10, 3));
        assert_eq!(network.hidden().collect::<Vec<_>>(), [64, 32]);
        assert_eq!(network.widths(), [784, 64, 32, 10]);
        assert_eq!(network.summary(), "784-64-32-10");
        assert_eq!(network.parameter_bytes(), 4 * (785 * 64 + 65 * 32 + 33 * 10));
        let shapes: Vec<_> = network.layers().map(|layer| layer.weight_shape()).collect();
        assert_eq!(shapes, [[64, 784], [32, 64], [10, 32]]);
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        for widths in
            [vec![], vec![5], vec![5, 0], vec![0, 5], vec![5, MAX_WIDTH + 1], vec![2; MAX_LAYERS + 2], vec![usize::MAX; 3]]
        {
            assert!(Architecture::dense(&widths).check().is_err(), "{widths:?}");
        }
        Architecture::dense(&[MAX_WIDTH; 3]).check().unwrap();
        Architecture::dense(&[2; MAX_LAYERS + 1]).check().unwrap();
    }

    #[test]
    fn older_files_have_widths() {
        let network = Architecture::dense(&[6, 5, 3]);
        let json = serde_json::to_string(&network).unwrap();
        assert_eq!(
            json,
            r#"{"input":{"height":1,"width":1,"channels":6},"layers":[{"kind":"linear","outputs":5},{"kind":"linear","outputs":3}]}"#
        );
        for json in [&json, "[6,5,3]"] {
            assert_eq!(serde_json::from_str::<Architecture>(json).unwrap(), network);
        }
        for json in ["[6,-5]", "{}", r#"{"input":{"height":1,"width":1,"channels":6},"layers":[{"kind":"sum"}]}"#] {
            assert!(serde_json::from_str::<Architecture>(json).is_err(), "{json}");
        }
    }
}
