//! The operation `normalize`: rows brought to one length.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// Rows of length 1, or √width.
#[derive(Clone, Debug)]
pub struct Normalize {
    /// The layer that gives `outputs`.
    pub layer: Layer,
    /// To length 1, else √width.
    pub unit: bool,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub outputs: Tensor,
    /// The same shape.
    pub normalized: Tensor,
}

impl Describe for Normalize {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.outputs), Operand::write(self.normalized)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::normalize(Kernel::Normalize, launch.tiles, self.unit)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::Normalize, &self.layer, launch.tiles, launch.slots)
    }
}

impl Normalize {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut normalized = memory.take(self.normalized);
        cpu::normalize::normalize::<A>(&self.layer, self.unit, memory.own(self.outputs), &mut normalized);
        memory.put(self.normalized, normalized);
    }
}
