//! The operation `weight_norms`: size, movement and distance of weights.

use super::covariance::store_parts;
use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, norm_groups};
use crate::layout::Layer;

/// Three sums about a layer's weights, each in parts that are still to be added up.
#[derive(Clone, Debug)]
pub struct WeightNorms {
    /// The layer.
    pub layer: Layer,
    /// `[slot, 4 · quads(inputs + 1), quads(outputs)]`.
    pub weights: Tensor,
    /// The same shape: the weights when the epoch began.
    pub before: Tensor,
    /// `[slot, 3, parts]`.
    pub parts: Tensor,
}

impl WeightNorms {
    /// Parts of each sum: one a workgroup.
    pub fn parts(layer: &Layer) -> usize {
        norm_groups(layer, 1)[0] as usize
    }
}

impl Describe for WeightNorms {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read_partner(self.weights), Operand::read(self.before), Operand::write(self.parts)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::WeightNorms)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        norm_groups(&self.layer, launch.slots)
    }
}

impl WeightNorms {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut parts = memory.take(self.parts);
        let (weights, before, partner) = (memory.own(self.weights), memory.own(self.before), memory.partner(self.weights));
        store_parts::<A>(cpu::weight_norms::weight_norms::<A>(weights, before, partner), &mut parts);
        memory.put(self.parts, parts);
    }
}
