//! The shape of one layer, and the lengths that follow from it.

use super::{Views, quads};
use crate::config::{Guide, TrainingConfig};
use crate::model::{Architecture, LayerParameters};

device_struct! {
    /// The shape of one layer and of the batch that passes through it.
    Layer {
        /// Numbers that enter, without the constant 1.
        input_width: u32,
        /// Numbers that leave.
        output_width: u32,
        /// Row length of the input activations, in quads: `quads(input_width + 1)`.
        input_quads: u32,
        /// Row length of the output activations, in quads: `quads(output_width + 1)`.
        output_quads: u32,
        /// Row length of weights and deltas, in quads: `quads(output_width)`.
        weight_quads: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// The input's leading index is `slot >> view_shift`: 0 one a slot, 1 one a replica, 31 one for all.
        view_shift: u32,
        /// Where this layer's loss stands among the row metrics.
        index: u32,
        /// Layers of the network.
        layer_count: u32,
        /// Where this layer's weights and moments begin in their buffers, in quads; 0 unless layers share buffers.
        weight_offset: u32,
        /// The same for its input activations,
        input_offset: u32,
        /// its output activations,
        output_offset: u32,
        /// and its deltas.
        delta_offset: u32,
        /// 1: the output is rectified; 0: it is left as it is.
        rectified: u32,
        /// 1: the bias is trained; 0: it stays.
        bias: u32,
        /// The weights are those of `slot ^ weight_flip`: 1 for the partner's.
        weight_flip: u32,
        /// Bit m: model m does not move.
        frozen: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Factor of the prototypes: one over the temperature.
        inverse_temperature: f32,
        /// Share of the target that is the partner's own answer.
        mutual: f32,
    }
}

impl Layer {
    /// The layer `index` (from 0) of `architecture` for batches of `batch_size` rows, whose first layer reads `views`.
    pub fn new(architecture: &Architecture, index: usize, batch_size: usize, views: Views) -> Self {
        let (inputs, outputs) = (architecture.widths()[index], architecture.widths()[index + 1]);
        let network = Self {
            view_shift: if index > 0 { 0 } else { views.shift() },
            label_shift: views.shift(),
            batch_size: batch_size as u32,
            index: index as u32,
            layer_count: architecture.layer_count() as u32,
            rectified: u32::from(index + 1 < architecture.layer_count()),
            bias: 1,
            ..Self::default()
        };
        network.between(inputs, outputs)
    }

    /// The same with other widths.
    fn between(self, inputs: usize, outputs: usize) -> Self {
        Self {
            input_width: inputs as u32,
            output_width: outputs as u32,
            input_quads: quads(inputs + 1) as u32,
            output_quads: quads(outputs + 1) as u32,
            weight_quads: quads(outputs) as u32,
            ..self
        }
    }

    /// All layers of `architecture`, as [`Layer::new`].
    pub fn all(architecture: &Architecture, batch_size: usize, views: Views) -> Vec<Self> {
        (0..architecture.layer_count()).map(|index| Self::new(architecture, index, batch_size, views)).collect()
    }

    /// The linear projection `[width, hidden]` of this hidden layer's output, without a bias.
    pub fn projection(&self, width: usize) -> Self {
        Self { view_shift: 0, rectified: 0, bias: 0, ..self.between(self.output_width as usize, width) }
    }

    /// The layer whose weights are prototypes of `classes` classes: it reads unit rows as wide as this layer's output. Its bias
    /// keeps absent classes out of the softmax.
    pub fn guide(&self, classes: usize, config: &TrainingConfig) -> Self {
        Self {
            view_shift: 0,
            rectified: 0,
            weight_flip: u32::from(config.guide == Guide::Partner),
            inverse_temperature: (1.0 / config.temperature) as f32,
            mutual: config.mutual as f32,
            ..self.between(self.output_width as usize, classes)
        }
    }

    /// Whether a slot's weights move.
    pub fn moves(&self, slot: usize) -> bool {
        self.frozen >> (slot & 1) & 1 == 0
    }

    /// f32 in a row as wide as the input, without the constant 1: of gradients with respect to it.
    pub fn gradient_stride(&self) -> usize {
        4 * quads(self.input_width as usize)
    }

    /// Rows of the weight matrix: inputs, the bias row, and padding to whole quads.
    pub fn weight_rows(&self) -> usize {
        4 * self.input_quads as usize
    }

    /// f32 in one slot's weights.
    pub fn weight_len(&self) -> usize {
        self.weight_rows() * self.weight_stride()
    }

    /// f32 in a row of weights or deltas.
    pub fn weight_stride(&self) -> usize {
        4 * self.weight_quads as usize
    }

    /// f32 in a row of input activations.
    pub fn input_stride(&self) -> usize {
        4 * self.input_quads as usize
    }

    /// f32 in a row of output activations.
    pub fn output_stride(&self) -> usize {
        4 * self.output_quads as usize
    }

    /// f32 in one slot's output activations of a batch.
    pub fn output_len(&self) -> usize {
        self.batch_size as usize * self.output_stride()
    }

    /// f32 in one view's input activations of a batch.
    pub fn input_len(&self) -> usize {
        self.batch_size as usize * self.input_stride()
    }

    /// f32 in one slot's deltas of a batch.
    pub fn delta_len(&self) -> usize {
        self.batch_size as usize * self.weight_stride()
    }

    /// f32 in one slot's row metrics.
    pub fn metrics_len(&self) -> usize {
        (self.layer_count as usize + 1) * self.batch_size as usize
    }

    /// Lays out one slot's parameters as the kernels read them: weights transposed, biases below, zeros around.
    pub fn pack(&self, parameters: &LayerParameters) -> Vec<f32> {
        let (inputs, outputs) = (self.input_width as usize, self.output_width as usize);
        let mut packed = vec![0.0; self.weight_len()];
        for (input, row) in packed.chunks_exact_mut(self.weight_stride()).take(inputs + 1).enumerate() {
            for (output, value) in row[..outputs].iter_mut().enumerate() {
                *value = if input < inputs { parameters.weight[output * inputs + input] } else { parameters.bias[output] };
            }
        }
        packed
    }

    /// The reverse of [`Layer::pack`].
    pub fn unpack(&self, packed: &[f32]) -> LayerParameters {
        let (inputs, outputs) = (self.input_width as usize, self.output_width as usize);
        let weight = (0..outputs * inputs).map(|index| packed[index % inputs * self.weight_stride() + index / inputs]).collect();
        LayerParameters { weight, bias: packed[inputs * self.weight_stride()..][..outputs].to_vec() }
    }

    /// The first `rows` rows of a slot's output activations, without their padding.
    pub fn output_rows<'a>(&self, outputs: &'a [f32], rows: usize) -> impl Iterator<Item = f32> + 'a {
        let width = self.output_width as usize;
        outputs.chunks_exact(self.output_stride()).take(rows).flat_map(move |row| &row[..width]).copied()
    }

    /// The view that `slot` reads its input from.
    pub fn view(&self, slot: usize) -> usize {
        slot >> self.view_shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_reversible_and_pads_with_zeros() {
        let architecture = Architecture::new(vec![5, 3]).unwrap();
        let layer = Layer::new(&architecture, 0, 2, Views::Replica);
        let parameters = LayerParameters { weight: (1..=15).map(|value| value as f32).collect(), bias: vec![-1.0, -2.0, -3.0] };
        let packed = layer.pack(&parameters);
        assert_eq!(packed.len(), 8 * 4);
        assert_eq!(packed[..4], [1.0, 6.0, 11.0, 0.0]);
        assert_eq!(packed[20..], [-1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(layer.unpack(&packed), parameters);
    }
}
