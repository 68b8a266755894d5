//! The operation `normalize_gradient`: from the gradient of normalised rows to that of the rows.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// The gradient through [`super::normalize`], and through the ReLU before it.
#[derive(Clone, Debug)]
pub struct NormalizeGradient {
    /// The layer that gives `outputs`.
    pub layer: Layer,
    /// They were brought to length 1, else √width.
    pub unit: bool,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub outputs: Tensor,
    /// `[slot, batch, quads(outputs)]`.
    pub gradients: Tensor,
    /// The same shape.
    pub deltas: Tensor,
}

impl Describe for NormalizeGradient {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.outputs), Operand::read(self.gradients), Operand::write(self.deltas)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::normalize(Kernel::NormalizeGradient, launch.tiles, self.unit)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::NormalizeGradient, &self.layer, launch.tiles, launch.slots)
    }
}

impl NormalizeGradient {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut deltas = memory.take(self.deltas);
        let (outputs, gradients) = (memory.own(self.outputs), memory.own(self.gradients));
        cpu::normalize_gradient::normalize_gradient::<A>(&self.layer, self.unit, outputs, gradients, &mut deltas);
        memory.put(self.deltas, deltas);
    }
}
