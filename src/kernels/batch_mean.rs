//! The operation `batch_mean`: means of a hidden layer's outputs over the batch.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// What centred losses subtract.
#[derive(Clone, Debug)]
pub struct BatchMean {
    /// The layer whose outputs, or what is before their activation, are meant.
    pub layer: Layer,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub rows: Tensor,
    /// `[slot, quads(outputs)]`.
    pub means: Tensor,
}

impl Describe for BatchMean {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::write(self.means)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::BatchMean)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::BatchMean, &self.layer, launch.tiles, launch.slots)
    }
}

impl BatchMean {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut means = memory.take(self.means);
        cpu::batch_mean::batch_mean::<A>(&self.layer, memory.own(self.rows), &mut means);
        memory.put(self.means, means);
    }
}
