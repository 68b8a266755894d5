//! The operation `shuffle`: the order of an epoch.

use super::{Describe, Launch, Level, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, shuffle_groups};
use crate::layout::Shuffle as Shape;

/// A permutation of the training images for each replica, new in each epoch.
#[derive(Clone, Debug)]
pub struct Shuffle {
    /// Its seed and size.
    pub shape: Shape,
    /// `[replica, images]`, whole numbers.
    pub orders: Tensor,
}

impl Describe for Shuffle {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::write(self.orders)]
    }

    fn level(&self) -> Level {
        Level::Replica
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(super::Kernel::Shuffle)
    }

    fn groups(&self, _: Launch) -> [u32; 3] {
        shuffle_groups(&self.shape)
    }
}

impl Shuffle {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let shape = self.shape.of_replica(memory.slot() / 2);
        let mut order = memory.take(self.orders);
        cpu::shuffle::shuffle(&shape, memory.step(), bytemuck::cast_slice_mut(&mut order));
        memory.put(self.orders, order);
    }
}
