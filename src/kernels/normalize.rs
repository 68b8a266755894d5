//! normalize: rows brought to one length.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows, scale_a_row};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Rows, SQUARE_FLOOR, Step};

/// Rows of length 1 for prototypes, or of √width for the next layer, so that its inputs are of order 1 on average.
///
/// In bounds: rows past the batch repeat its last one and store nothing; quads run to the row's length.
#[derive(Clone, Debug)]
pub struct Normalize {
    /// The rows.
    pub shape: Rows,
    /// To length 1, else √width.
    pub unit: bool,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// The same shape.
    pub normalized: Tensor,
}

impl Describe for Normalize {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::write(self.normalized)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        launch.rows(Kernel::Normalize).flag("UNIT", self.unit)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        launch.row_groups(self.shape.rows)
    }
}

impl Normalize {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut normalized = memory.take(self.normalized);
        normalize::<A>(&self.shape, self.unit, memory.own(self.rows), &mut normalized);
        memory.put(self.normalized, Data::Numbers(normalized));
    }
}

/// `normalized = length · row / sqrt(|row|² + 1e-12)` for each row; both `[batch, quads(width)]`.
pub fn normalize<A: Arithmetic>(shape: &Rows, unit: bool, rows: &[f32], normalized: &mut [A::Stored]) {
    let (width, stride) = (shape.width as usize, shape.stride());
    for (row, target) in rows.chunks_exact(stride).zip(normalized.chunks_exact_mut(stride)) {
        A::run(
            #[inline(always)]
            || {
                let scale = scale::<A>(&row[..width], unit);
                for (target, &value) in target.iter_mut().zip(&row[..width]) {
                    *target = A::store(A::Number::lift(value) * scale);
                }
            },
        );
        target[width..].fill(0.0.into());
    }
}

/// What a row is multiplied by.
#[inline(always)]
pub(super) fn scale<A: Arithmetic>(row: &[f32], unit: bool) -> A::Number {
    let squares = A::sum(row.iter().map(|&value| A::Number::lift(value) * A::Number::lift(value)));
    let one = A::Number::lift(1.0) / (squares + A::Number::lift(SQUARE_FLOOR)).sqrt();
    if unit { one } else { A::Number::lift(row.len() as f32).sqrt() * one }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for width in SIZES {
        for batch_size in BATCHES {
            for unit in [true, false] {
                let shape = Rows::new(width, batch_size, !unit);
                let mut contents = Contents::new(number);
                let mut rows = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
                scale_a_row(&mut rows, width, 1e15);
                let operation = Normalize {
                    shape,
                    unit,
                    rows: contents.numbers(Level::Slot, rows),
                    normalized: contents.poison(Level::Slot, shape.len()),
                };
                take(contents.case(format!("{width} batch {batch_size} unit {unit}"), Step::default(), operation))?;
                number += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Double;

    #[test]
    fn rows_get_their_length_and_zeros_stay() {
        let shape = Rows::new(4, 2, true);
        let rows = [3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let mut target = [f32::NAN; 8];
        normalize::<Double>(&shape, true, &rows, &mut target);
        assert_eq!(target, [0.6, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0]);
        normalize::<Double>(&shape, false, &rows, &mut target);
        assert_eq!(target[..4], [1.2, 0.0, 1.6, 0.0]);
    }
}
