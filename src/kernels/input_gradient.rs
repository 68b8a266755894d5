//! The operation `input_gradient`: from a layer's gradient to that of its input.

use super::{Access, Describe, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::Variant;
use crate::layout::Layer;

/// `gradients = deltas × weightsᵀ`, without the bias's row.
#[derive(Clone, Debug)]
pub struct InputGradient {
    /// Its shape.
    pub layer: Layer,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, 4 · quads(inputs + 1), quads(outputs)]`; by [`Layer::weight_flip`] the partner's.
    pub weights: Tensor,
    /// The layer's input `[slot, batch, quads(inputs + 1)]`, where that is a rectified output: nothing passes where it is 0.
    pub mask: Option<Tensor>,
    /// `[slot, batch, quads(inputs)]`.
    pub gradients: Tensor,
}

impl Describe for InputGradient {
    fn operands(&self) -> Vec<Operand> {
        let weights = if self.layer.weight_flip > 0 { Operand::read_partner } else { Operand::read };
        vec![
            Operand::read(self.deltas),
            weights(self.weights),
            Operand::maybe(self.mask, Access::Read),
            Operand::write(self.gradients),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::input_gradient(launch.tiles.input_gradient(&self.layer, launch.slots), self.mask.is_some())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = launch.tiles.input_gradient(&self.layer, launch.slots);
        tile.groups(self.layer.batch_size, self.layer.input_width.div_ceil(4), launch.slots)
    }
}

impl InputGradient {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut gradients = memory.take(self.gradients);
        let weights = if self.layer.weight_flip > 0 { memory.partner(self.weights) } else { memory.own(self.weights) };
        let mask = self.mask.map(|mask| memory.own(mask));
        cpu::input_gradient::input_gradient::<A>(&self.layer, mask, memory.own(self.deltas), weights, &mut gradients);
        memory.put(self.gradients, gradients);
    }
}
