//! The operation `reduction`: sums of rows of numbers.

use super::{Describe, Kernel, Launch, Level, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::Variant;
use crate::layout::Reduction as Shape;

/// Sums of all rows of a tensor, into their places among the run's sums.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// Length of a row, and where the sums begin.
    pub shape: Shape,
    /// Rows of a copy of `values`.
    pub rows: usize,
    /// Copies of `values`.
    pub copies: usize,
    /// `[copy, rows, length]`.
    pub values: Tensor,
    /// The run's sums.
    pub sums: Tensor,
}

impl Describe for Reduction {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read_all(self.values), Operand::write(self.sums)]
    }

    fn level(&self) -> Level {
        Level::Run
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::Reduction)
    }

    fn groups(&self, _: Launch) -> [u32; 3] {
        [(self.rows * self.copies) as u32, 1, 1]
    }
}

impl Reduction {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut sums = memory.take(self.sums);
        for copy in 0..self.copies {
            let shape = Shape { first_sum: self.shape.first_sum + (copy * self.rows) as u32, ..self.shape };
            cpu::reduction::reduction(&shape, memory.copy(self.values, copy), &mut sums);
        }
        memory.put(self.sums, sums);
    }
}
