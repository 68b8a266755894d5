//! The operation `pair_gradient`: a hidden layer's loss by pairs of rows, and its gradient.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// Rows of one class attract each other, rows of two repel each other, within one network.
#[derive(Clone, Debug)]
pub struct PairGradient {
    /// The layer.
    pub layer: Layer,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub outputs: Tensor,
    /// `[slot, batch]`, two whole numbers each.
    pub pairs: Tensor,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl Describe for PairGradient {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.outputs, self.pairs].map(Operand::read);
        reads.into_iter().chain([self.deltas, self.row_metrics].map(Operand::write)).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::pair_gradient(launch.tiles)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::PairGradient, &self.layer, launch.tiles, launch.slots)
    }
}

impl PairGradient {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let (outputs, pairs) = (memory.own(self.outputs), bytemuck::cast_slice(memory.own(self.pairs)));
        cpu::pair_gradient::pair_gradient::<A>(&self.layer, outputs, pairs, &mut deltas, &mut row_metrics);
        memory.put(self.deltas, deltas);
        memory.put(self.row_metrics, row_metrics);
    }
}
