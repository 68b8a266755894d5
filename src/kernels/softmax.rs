//! The operation `softmax`: logits to probabilities, in place.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// The softmax of each row.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// The layer that gives the logits.
    pub layer: Layer,
    /// `[slot, batch, quads(classes + 1)]`.
    pub rows: Tensor,
}

impl Describe for Softmax {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::write(self.rows)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::Softmax)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::Softmax, &self.layer, launch.tiles, launch.slots)
    }
}

impl Softmax {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut rows = memory.take(self.rows);
        cpu::softmax::softmax::<A>(&self.layer, &mut rows);
        memory.put(self.rows, rows);
    }
}
