//! The operation `gather`: a batch from the resident data set.

use super::{Describe, Launch, Level, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, gather_groups};
use crate::layout::{Shard, Views};

/// Numbers from the bytes of the images that the step names, as far as they are in one shard.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The shard, and the shape of its records.
    pub shard: Shard,
    /// Who has a batch of its own.
    pub views: Views,
    /// The shard's images, `[image, record]`, whole numbers.
    pub records: Tensor,
    /// The order in which images are taken, `[replica, images]`, whole numbers.
    pub orders: Tensor,
    /// A number for each of the 256 values of a byte.
    pub table: Tensor,
    /// `[view, batch, quads(pixels + 1)]`.
    pub inputs: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
}

impl Describe for Gather {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.records, self.orders, self.table].map(Operand::read);
        reads.into_iter().chain([self.inputs, self.labels].map(Operand::write)).collect()
    }

    fn level(&self) -> Level {
        Level::View(self.views)
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shard).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::gather(&self.shard)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        gather_groups(&self.shard, self.views.count(launch.slots))
    }
}

impl Gather {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut table = [0.0; 256];
        table.copy_from_slice(memory.own(self.table));
        let (mut inputs, mut labels) = (memory.take(self.inputs), memory.take(self.labels));
        cpu::gather::gather(
            &self.shard,
            memory.step(),
            (memory.slot() >> self.views.shift()) as u32,
            memory.words(self.records),
            memory.words(self.orders),
            &table,
            &mut inputs,
            bytemuck::cast_slice_mut(&mut labels),
        );
        memory.put(self.inputs, inputs);
        memory.put(self.labels, labels);
    }
}
