//! input_gradient: from a layer's gradient to that of its input.

use super::case::{BATCHES, Contents, SIZES, Take};
use super::{Access, Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::arithmetic::matmul::Matrix;
use crate::error::Result;
use crate::layout::{Linear, Step};

/// `gradients = deltas × weightsᵀ`, without the bias.
///
/// In bounds: rows are clamped to the batch and input quads to the layer's, each of which has its four rows of weights; both are compared
/// with the layer before a store, or a read of the mask.
#[derive(Clone, Debug)]
pub struct InputGradient {
    /// Its shape.
    pub layer: Linear,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, 4 · quads(inputs) + 1, quads(outputs)]`.
    pub weights: Tensor,
    /// The layer's input `[slot, batch, quads(inputs)]`, where that is a rectified output: nothing passes where it is 0.
    pub mask: Option<Tensor>,
    /// `[slot, batch, quads(inputs)]`.
    pub gradients: Tensor,
}

impl Describe for InputGradient {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read(self.deltas),
            Operand::read(self.weights),
            Operand::maybe(self.mask, Access::Read),
            Operand::write(self.gradients),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        let tile = launch.tiles.input_gradient(&self.layer, launch.slots);
        tile.constants(Kernel::InputGradient, "TILE_ROWS").flag("MASK", self.mask.is_some())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = launch.tiles.input_gradient(&self.layer, launch.slots);
        tile.groups(self.layer.rows, self.layer.input_quads, launch.slots)
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl InputGradient {
    /// Invocations of a workgroup and bytes of its memory, where loads go by way of it: in each step a quad of a row, and the four quads of weights that it meets.
    pub fn workgroup(&self, launch: Launch) -> Option<(u32, u32)> {
        launch.tiles.input_gradient(&self.layer, launch.slots).workgroup(1, 4)
    }

    /// Floating-point operations of a slot.
    pub fn flops(&self) -> f64 {
        self.layer.flops()
    }

    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut gradients = memory.take(self.gradients);
        let mask = self.mask.map(|mask| memory.own(mask));
        input_gradient::<A>(&self.layer, mask, memory.own(self.deltas), memory.own(self.weights), &mut gradients);
        memory.put(self.gradients, Data::Numbers(gradients));
    }
}

/// One slot; shapes as in [`InputGradient`], without the slot axis.
pub fn input_gradient<A: Arithmetic>(
    layer: &Linear,
    mask: Option<&[f32]>,
    deltas: &[f32],
    weights: &[f32],
    gradients: &mut [A::Stored],
) {
    let (width, stride) = (layer.input_width as usize, layer.input_stride());
    let left = Matrix { values: deltas, stride: layer.output_stride(), transposed: false };
    // Columns past the inputs meet padding, which is zero.
    let right = Matrix { values: weights, stride: layer.output_stride(), transposed: true };
    A::multiply(layer.output_width as usize, left, right, stride, gradients);
    A::run(
        #[inline(always)]
        || {
            for (row, gradients) in gradients.chunks_exact_mut(stride).enumerate() {
                gradients[width..].fill(0.0.into());
                if let Some(outputs) = mask {
                    let outputs = &outputs[row * stride..][..width];
                    for (gradient, &output) in gradients.iter_mut().zip(outputs) {
                        *gradient = if output <= 0.0 { 0.0.into() } else { *gradient };
                    }
                }
            }
        },
    );
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            for masked in [true, false] {
                let layer = Linear::new(inputs, outputs, batch_size);
                let mut contents = Contents::new(number);
                let operation = InputGradient {
                    layer,
                    deltas: contents.rows(Level::Slot, batch_size, outputs),
                    weights: contents.weights(inputs, outputs),
                    mask: masked.then(|| contents.rectified_rows(Level::Slot, batch_size, inputs)),
                    gradients: contents.poison(Level::Slot, layer.input_len()),
                };
                let name = format!("{inputs}x{outputs} batch {batch_size} masked {masked}");
                take(contents.case(name, Step::default(), operation))?;
                number += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Double;
    use crate::model::{LayerParameters, Map};

    #[test]
    fn a_product_with_the_transpose_without_the_bias() {
        let layer = Linear::new(3, 2, 2);
        let weights = layer.pack(Map::vector(3), &LayerParameters::dense(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0, 8.0]));
        let deltas = [1.0, 10.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0];
        let mut gradients = [f32::NAN; 8];
        input_gradient::<Double>(&layer, None, &deltas, &weights, &mut gradients);
        assert_eq!(gradients, [41.0, 52.0, 63.0, 0.0, 3.0, 3.0, 3.0, 0.0]);
        let outputs = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0];
        input_gradient::<Double>(&layer, Some(&outputs), &deltas, &weights, &mut gradients);
        assert_eq!(gradients, [41.0, 0.0, 63.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
    }
}
