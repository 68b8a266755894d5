//! The operation `pairs`: the rows of a batch that each row is compared with.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::Variant;
use crate::layout::Pairs as Shape;

/// For each row a random one of its class and a random one of another class.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Seed and size.
    pub shape: Shape,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch]`, two whole numbers each.
    pub pairs: Tensor,
}

impl Describe for Pairs {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.labels), Operand::write(self.pairs)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::Pairs)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }
}

impl Pairs {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut pairs = memory.take(self.pairs);
        let labels = memory.words(self.labels);
        cpu::pairs::pairs(&self.shape, memory.step(), memory.slot() as u32, labels, bytemuck::cast_slice_mut(&mut pairs));
        memory.put(self.pairs, pairs);
    }
}
