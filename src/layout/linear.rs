//! The shape of a linear layer, and the lengths that follow from it.

use super::quads;
use crate::model::{LayerParameters, Map};

device_struct! {
    /// A layer as a matrix product, and the rows that pass through it.
    Linear {
        /// Numbers that enter.
        input_width: u32,
        /// Numbers that leave.
        output_width: u32,
        /// Row length of the inputs, in quads.
        input_quads: u32,
        /// Row length of weights, outputs and deltas, in quads.
        output_quads: u32,
        /// Rows of the product, of a whole batch as allocated: for each image as many as it has places.
        rows: u32,
        /// The input's leading index is `slot >> view_shift`: 0 one a slot, 1 one a replica, 31 one for all.
        view_shift: u32,
        /// 1: the output is rectified; 0: it is left as it is.
        rectified: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

device_struct! {
    /// Where a layer's tensors begin in the buffers that all layers share, in quads; 0 where each has a buffer of its own.
    Places {
        /// Weights, and each of their moments.
        weights: u32,
        /// What enters.
        inputs: u32,
        /// What leaves.
        outputs: u32,
        /// The deltas.
        deltas: u32,
    }
}

device_struct! {
    /// What the fused forward pass knows of a layer beside its [`Places`]; places in quads.
    ForwardPlaces {
        /// What is normalised into the layer's inputs.
        unnormalized: u32,
        /// The output's unit rows.
        unit_rows: u32,
        /// 1: a projection, whose output no layer reads.
        is_branch: u32,
        /// Layers of the table.
        count: u32,
    }
}

device_struct! {
    /// What the fused way back knows of a layer beside its [`Places`]; places in quads.
    BackPlaces {
        /// The rectified rows below.
        below: u32,
        /// The unit rows that the loss compares.
        unit_rows: u32,
        /// The prototypes, left behind.
        prototypes: u32,
        /// The deltas below,
        deltas_below: u32,
        /// and the gradient of normalised rows that they are made of.
        gradients_below: u32,
        /// Layers of the table.
        count: u32,
        /// How much each row counts.
        row_weights: u32,
        /// 1: the output layer, whose loss is taken on the way back.
        is_output: u32,
    }
}

device_struct! {
    /// Which of a layer's parameters learn.
    Trained {
        /// 1: the bias is trained; 0: it stays.
        bias: u32,
        /// Bit m: model m does not move.
        frozen: u32,
        /// How many times the step's learning rate they learn at.
        rate: f32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

impl Linear {
    /// A layer of `outputs` numbers that are left as they are, for `rows` rows of `inputs` numbers a slot.
    pub fn new(inputs: usize, outputs: usize, rows: usize) -> Self {
        Self {
            input_width: inputs as u32,
            output_width: outputs as u32,
            input_quads: quads(inputs) as u32,
            output_quads: quads(outputs) as u32,
            rows: rows as u32,
            ..Self::default()
        }
    }

    /// Floating-point operations of its product, or of one of the two that its gradients are.
    pub fn flops(&self) -> f64 {
        2.0 * f64::from(self.rows) * f64::from(self.input_width) * f64::from(self.output_width)
    }

    /// Rows of the weight matrix: inputs, padding to whole quads, the bias.
    pub fn weight_rows(&self) -> usize {
        4 * self.input_quads as usize + 1
    }

    /// f32 in one slot's weights.
    pub fn weight_len(&self) -> usize {
        self.weight_rows() * self.output_stride()
    }

    /// The first f32 of the bias among these.
    pub fn bias_start(&self) -> usize {
        self.weight_len() - self.output_stride()
    }

    /// f32 in a row of inputs.
    pub fn input_stride(&self) -> usize {
        4 * self.input_quads as usize
    }

    /// f32 in a row of outputs, deltas or weights.
    pub fn output_stride(&self) -> usize {
        4 * self.output_quads as usize
    }

    /// f32 in one view's inputs.
    pub fn input_len(&self) -> usize {
        self.rows as usize * self.input_stride()
    }

    /// f32 in one slot's outputs.
    pub fn output_len(&self) -> usize {
        self.rows as usize * self.output_stride()
    }

    /// The rows that leave.
    pub fn output_rows(&self) -> super::Rows {
        super::Rows { width: self.output_width, quads: self.output_quads, rows: self.rows, rectified: self.rectified }
    }

    /// Lays out one slot's parameters of a dense layer as the kernels read them: weights transposed, zeros around them, the bias below. Files
    /// have the numbers of an input map channel by channel, devices place by place.
    pub fn pack(&self, input: Map, parameters: &LayerParameters) -> Vec<f32> {
        let (inputs, stride) = (self.input_width as usize, self.output_stride());
        let mut packed = vec![0.0; self.weight_len()];
        for (number, row) in packed.chunks_exact_mut(stride).take(inputs).enumerate() {
            let number = number % input.channels * input.places() + number / input.channels;
            row.iter_mut().zip(&parameters.bias).enumerate().for_each(|(output, (value, _))| {
                *value = parameters.weight[output * inputs + number];
            });
        }
        packed[self.bias_start()..].iter_mut().zip(&parameters.bias).for_each(|(value, &bias)| *value = bias);
        packed
    }

    /// The reverse of [`Linear::pack`].
    pub fn unpack(&self, input: Map, packed: &[f32]) -> LayerParameters {
        let (inputs, outputs) = (self.input_width as usize, self.output_width as usize);
        let row = |number: usize| number % input.places() * input.channels + number / input.places();
        let weight =
            (0..outputs * inputs).map(|index| packed[row(index % inputs) * self.output_stride() + index / inputs]).collect();
        LayerParameters { shape: vec![outputs, inputs], weight, bias: packed[self.bias_start()..][..outputs].to_vec() }
    }
}

impl Trained {
    /// Weights and bias of both models, at the step's learning rate.
    pub const ALL: Self = Self { bias: 1, frozen: 0, rate: 1.0, padding_0: 0 };

    /// Whether a slot's weights move.
    pub fn moves(&self, slot: usize) -> bool {
        self.frozen >> (slot & 1) & 1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_reversible_and_pads_with_zeros() {
        let layer = Linear::new(5, 3, 2);
        let parameters = LayerParameters::dense((1..=15).map(|value| value as f32).collect(), vec![-1.0, -2.0, -3.0]);
        let packed = layer.pack(Map::vector(5), &parameters);
        assert_eq!(packed.len(), 9 * 4);
        assert_eq!(packed[..4], [1.0, 6.0, 11.0, 0.0]);
        assert_eq!(packed[20..], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, 0.0]);
        assert_eq!(layer.unpack(Map::vector(5), &packed), parameters);
    }

    #[test]
    fn behind_a_map_weights_are_sorted_by_places() {
        let (layer, input) = (Linear::new(6, 1, 2), Map { height: 1, width: 2, channels: 3 });
        let parameters = LayerParameters::dense(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0]);
        let packed = layer.pack(input, &parameters);
        let rows: Vec<f32> = packed.chunks_exact(4).map(|row| row[0]).collect();
        // The channels of the first place, those of the second, padding, the bias.
        assert_eq!(rows, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0, 0.0, 0.0, 7.0]);
        assert_eq!(layer.unpack(input, &packed), parameters);
    }
}
