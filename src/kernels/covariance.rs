//! The operation `covariance`: how a hidden layer's outputs spread.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, covariance_groups};
use crate::layout::{DIAGNOSIS_SUMS, Layer};

/// Three sums about the covariance of a layer's outputs, each in parts that are still to be added up.
#[derive(Clone, Debug)]
pub struct Covariance {
    /// The layer.
    pub layer: Layer,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub rows: Tensor,
    /// `[slot, quads(outputs)]`.
    pub means: Tensor,
    /// `[slot, 3, parts]`.
    pub parts: Tensor,
}

impl Covariance {
    /// Parts of each sum: one a workgroup.
    pub fn parts(layer: &Layer) -> usize {
        let [across, down, _] = covariance_groups(layer, 1);
        (across * down) as usize
    }
}

impl Describe for Covariance {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::read(self.means), Operand::write(self.parts)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::Covariance)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        covariance_groups(&self.layer, launch.slots)
    }
}

impl Covariance {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut parts = memory.take(self.parts);
        let sums = cpu::covariance::covariance::<A>(&self.layer, memory.own(self.rows), memory.own(self.means));
        store_parts::<A>(sums, &mut parts);
        memory.put(self.parts, parts);
    }
}

/// Whole sums as parts: the first is the sum, the others are 0.
pub(super) fn store_parts<A: Arithmetic<Stored = f32>>(sums: [A::Number; DIAGNOSIS_SUMS], parts: &mut [f32]) {
    parts.fill(0.0);
    let length = parts.len() / DIAGNOSIS_SUMS;
    parts.chunks_exact_mut(length).zip(sums).for_each(|(parts, sum)| parts[0] = A::store(sum));
}
