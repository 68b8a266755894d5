//! forward: one layer's matrix product, bias and activation.

use super::case::{BATCHES, Contents, SIZES, Take, extreme_rows, scale_a_row};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::matmul::Matrix;
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Linear, Step, Views};

/// `outputs = activation(inputs × weights + bias)`.
///
/// In bounds: rows and quads are clamped to the layer before a load and compared with it before a store; the bias is the slot's last row of
/// weights.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its shape.
    pub layer: Linear,
    /// `[view or slot, batch, quads(inputs)]`.
    pub inputs: Tensor,
    /// `[slot, 4 · quads(inputs) + 1, quads(outputs)]`.
    pub weights: Tensor,
    /// `[slot, batch, quads(outputs)]`.
    pub outputs: Tensor,
}

impl Describe for Forward {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.inputs), Operand::read(self.weights), Operand::write(self.outputs)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        launch.tiles.forward(&self.layer, launch.slots).constants(Kernel::Forward, "TILE_ROWS")
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = launch.tiles.forward(&self.layer, launch.slots);
        tile.groups(self.layer.rows, self.layer.output_quads, launch.slots)
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl Forward {
    /// Invocations of a workgroup and bytes of its memory, where loads go by way of it: in each step a quad of a row, and the four quads of weights that it meets.
    pub fn workgroup(&self, launch: Launch) -> Option<(u32, u32)> {
        launch.tiles.forward(&self.layer, launch.slots).workgroup(1, 4)
    }

    /// Floating-point operations of a slot.
    pub fn flops(&self) -> f64 {
        self.layer.flops()
    }

    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut outputs = memory.take(self.outputs);
        forward::<A>(&self.layer, memory.own(self.inputs), memory.own(self.weights), &mut outputs);
        memory.put(self.outputs, Data::Numbers(outputs));
    }
}

/// One slot; shapes as in [`Forward`], without the slot axis.
pub fn forward<A: Arithmetic>(layer: &Linear, inputs: &[f32], weights: &[f32], outputs: &mut [A::Stored]) {
    let stride = layer.output_stride();
    let left = Matrix { values: inputs, stride: layer.input_stride(), transposed: false };
    let right = Matrix { values: weights, stride, transposed: false };
    A::multiply(layer.input_width as usize, left, right, stride, outputs);
    let bias = &weights[layer.bias_start()..];
    let zero = A::Number::lift(0.0);
    A::run(
        #[inline(always)]
        || {
            let add = |sum: A::Stored, bias: f32| A::load(sum) + A::Number::lift(bias);
            if layer.rectified == 0 {
                for row in outputs.chunks_exact_mut(stride) {
                    row.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = A::store(add(*sum, bias)));
                }
            } else {
                for row in outputs.chunks_exact_mut(stride) {
                    row.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = A::store(add(*sum, bias).max(zero)));
                }
            }
        },
    );
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            // Over all i, each j meets every size as output too.
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            // The first layer reads a view that two slots share, deeper ones their own slot.
            for (views, rectified) in [(Views::Replica, 1), (Views::Slot, 0), (Views::Slot, 1)] {
                let layer = Linear { view_shift: views.shift(), rectified, ..Linear::new(inputs, outputs, batch_size) };
                let mut contents = Contents::new(number);
                let per = Level::View(views);
                let mut rows = extreme_rows(&mut contents.generator, per.count(super::case::SLOTS) * batch_size, inputs);
                scale_a_row(&mut rows, inputs, 1e25);
                let operation = Forward {
                    layer,
                    inputs: contents.numbers(per, rows),
                    weights: contents.weights(inputs, outputs),
                    outputs: contents.poison(Level::Slot, layer.output_len()),
                };
                let name = format!("{inputs}x{outputs} batch {batch_size} relu {rectified}");
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
    use crate::arithmetic::Single;
    use crate::model::{LayerParameters, Map};

    #[test]
    fn it_adds_the_bias_and_rectifies() {
        let parameters = LayerParameters::dense(vec![1.0, 2.0, -1.0, 0.5, 3.0, -4.0], vec![0.25, -1.0, 0.0]);
        let inputs = [1.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let of = |rectified: u32| {
            let layer = Linear { rectified, ..Linear::new(2, 3, 3) };
            let mut outputs = vec![f32::NAN; layer.output_len()];
            forward::<Single>(&layer, &inputs, &layer.pack(Map::vector(2), &parameters), &mut outputs);
            outputs
        };
        assert_eq!(of(1), [3.25, 0.0, 0.0, 0.0, 2.25, 0.0, 6.0, 0.0, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(of(0), [3.25, -1.5, -1.0, 0.0, 2.25, -3.0, 6.0, 0.0, 0.25, -1.0, 0.0, 0.0]);
    }
}
