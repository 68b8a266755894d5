//! The operation `accuracy`: right answers of A, B and the ensemble.

use super::{Describe, Kernel, Launch, Level, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// Adds each image's three right answers to its row's counts.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// The output layer.
    pub layer: Layer,
    /// `[slot, batch, quads(classes + 1)]`.
    pub probabilities: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[replica, 3, batch]`.
    pub row_counts: Tensor,
}

impl Describe for Accuracy {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read_partner(self.probabilities), Operand::read(self.labels), Operand::write(self.row_counts)]
    }

    fn level(&self) -> Level {
        Level::Replica
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::Accuracy)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::Accuracy, &self.layer, launch.tiles, launch.slots)
    }
}

impl Accuracy {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut counts = memory.take(self.row_counts);
        let probabilities = [memory.own(self.probabilities), memory.partner(self.probabilities)];
        cpu::accuracy::accuracy(&self.layer, memory.step(), probabilities, memory.words(self.labels), &mut counts);
        memory.put(self.row_counts, counts);
    }
}
