//! softmax: logits to probabilities, in place.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows, scale_a_row};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Rows, Step};

/// The softmax of each row.
///
/// In bounds: rows past the batch return; loops run to the row's width.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// The rows.
    pub shape: Rows,
    /// `[slot, batch, quads(classes)]`.
    pub rows: Tensor,
}

impl Describe for Softmax {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::write(self.rows)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Softmax)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.rows.div_ceil(64), launch.slots as u32, 1]
    }
}

impl Softmax {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut rows = memory.take(self.rows);
        softmax::<A>(&self.shape, &mut rows);
        memory.put(self.rows, Data::Numbers(rows));
    }
}

/// Replaces the numbers of each row by their softmax; `rows` is `[batch, quads(classes)]`.
pub fn softmax<A: Arithmetic>(shape: &Rows, rows: &mut [A::Stored]) {
    for row in rows.chunks_exact_mut(shape.stride()) {
        softmax_row::<A>(&mut row[..shape.width as usize]);
    }
}

fn softmax_row<A: Arithmetic>(row: &mut [A::Stored]) {
    let largest = row[1..].iter().fold(A::load(row[0]), |largest, &value| largest.max(A::load(value)));
    let term = |value: A::Stored| (A::load(value) - largest).exp();
    let sum = A::Number::sum(row.iter().map(|&value| term(value)));
    for value in row {
        *value = A::store(term(*value) / sum);
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for classes in SIZES {
        for batch_size in BATCHES {
            let mut contents = Contents::new(number);
            let mut rows = extreme_rows(&mut contents.generator, SLOTS * batch_size, classes);
            scale_a_row(&mut rows, classes, 1e30);
            let rows = contents.numbers(Level::Slot, rows);
            let operation = Softmax { shape: Rows::new(classes, batch_size, false), rows };
            take(contents.case(format!("{classes} classes batch {batch_size}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Double, Single};

    #[test]
    fn closed_forms() {
        let mut row = [1.0f32, 1.0, 1.0, 1.0];
        softmax_row::<Single>(&mut row);
        assert_eq!(row, [0.25; 4]);
        let mut row = [3f32.ln(), 0.0];
        softmax_row::<Double>(&mut row);
        // ln 3 is rounded to f32 first: half an ulp of it moves p by p(1 − p)·6e-8.
        assert!((row[0] - 0.75).abs() <= 6e-8 && (row[1] - 0.25).abs() <= 3e-8);
        let mut row = [3e38f32, 0.0, -3e38];
        softmax_row::<Single>(&mut row);
        assert_eq!(row, [1.0, 0.0, 0.0]);
    }
}
