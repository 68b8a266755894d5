//! reduction: sums of rows of numbers.

use super::case::{Contents, SLOTS, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Reduction as Shape, Step};

/// Sums of all rows of a tensor, into their places among the run's sums.
///
/// In bounds: it strides up to the length of a row, one workgroup a sum.
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
        Variant::new(Kernel::Reduction)
    }

    fn groups(&self, _: Launch) -> [u32; 3] {
        [(self.rows * self.copies) as u32, 1, 1]
    }
}

impl Reduction {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut sums = memory.take(self.sums);
        for copy in 0..self.copies {
            let first = self.shape.first_sum as usize + copy * self.rows;
            reduction::<A>(&self.shape, memory.copy(self.values, copy).numbers(), &mut sums[first..]);
        }
        memory.put(self.sums, Data::Numbers(sums));
    }
}

/// `sums[i]` = sum of row `i` of `values` `[rows, length]`.
pub fn reduction<A: Arithmetic>(shape: &Shape, values: &[f32], sums: &mut [A::Stored]) {
    for (sum, row) in sums.iter_mut().zip(values.chunks_exact(shape.length as usize)) {
        *sum = A::store(A::sum(row.iter().map(|&value| A::Number::lift(value))));
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for length in [1usize, 3, 63, 64, 65, 257, 1000, 4096] {
        for (rows, first_sum) in [(1usize, 0usize), (7, 3)] {
            let mut contents = Contents::new(number);
            let values = (0..SLOTS * rows * length).map(|_| contents.generator.uniform(0.0, 5.0)).collect();
            // What stands before the sums belongs to others and must survive.
            let mut sums = vec![f32::NAN; first_sum + SLOTS * rows];
            sums[..first_sum].fill(0.5);
            let operation = Reduction {
                shape: Shape { length: length as u32, first_sum: first_sum as u32, ..Shape::default() },
                rows,
                copies: SLOTS,
                values: contents.numbers(Level::Slot, values),
                sums: contents.numbers(Level::Run, sums),
            };
            take(contents.case(format!("{rows} sums of {length}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Single;

    #[test]
    fn rows_are_summed() {
        let mut sums = [f32::NAN; 2];
        reduction::<Single>(&Shape { length: 2, ..Shape::default() }, &[1.0, 2.0, 3.0, 4.0], &mut sums);
        assert_eq!(sums, [3.0, 7.0]);
    }
}
