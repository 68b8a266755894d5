//! accuracy: right answers of A, of B and of the ensemble.

use super::case::{BATCHES, Comparison, Contents, SIZES, SLOTS, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Rows, Step, Views};

/// Adds each image's three right answers to its row's counts.
///
/// In bounds: rows past the step's return; loops run to the row's width.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// The rows of probabilities.
    pub shape: Rows,
    /// `[slot, batch, quads(classes)]`.
    pub probabilities: Tensor,
    /// `[batch]`, whole numbers.
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
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Accuracy)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.rows.div_ceil(64), launch.slots as u32 / 2, 1]
    }
}

impl Accuracy {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut counts = memory.take(self.row_counts);
        let probabilities = [memory.own(self.probabilities), memory.partner(self.probabilities)];
        accuracy::<A>(&self.shape, memory.step(), probabilities, memory.words(self.labels), &mut counts);
        memory.put(self.row_counts, Data::Numbers(counts));
    }
}

/// Adds each row's three right answers to `row_counts` `[3, batch]`, from the `probabilities` of A and of B
/// `[batch, quads(classes)]` and the `labels` `[batch]`; only the first `step.row_count` rows count. Ties go to the first
/// class.
pub fn accuracy<A: Arithmetic>(
    shape: &Rows,
    step: &Step,
    probabilities: [&[f32]; 2],
    labels: &[u32],
    row_counts: &mut [A::Stored],
) {
    let (images, classes) = (shape.rows as usize, shape.width as usize);
    let [rows_a, rows_b] = probabilities.map(|rows| rows.chunks_exact(shape.stride()));
    for (row, (a, b)) in rows_a.zip(rows_b).take(step.row_count as usize).enumerate() {
        let answers =
            [&|k: usize| a[k], &|k: usize| b[k], &|k: usize| a[k] + b[k]] as [&dyn Fn(usize) -> f32; EVALUATION_METRICS];
        for (metric, value) in answers.into_iter().enumerate() {
            let answer = (1..classes).fold(0, |best, k| if value(k) > value(best) { k } else { best });
            let count = &mut row_counts[metric * images + row];
            let right = A::Number::lift(f32::from(u8::from(answer == labels[row] as usize)));
            *count = A::store(A::load(*count) + right);
        }
    }
}

/// Counts are equal or wrong. The ensemble's sum of two numbers is rounded once on either side.
pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for classes in SIZES {
        for batch_size in BATCHES {
            let shape = Rows::new(classes, batch_size, false);
            let mut contents = Contents::new(number);
            // Few distinct values: ties between classes are frequent, and the first must win.
            let values = (0..SLOTS * shape.len()).map(|_| contents.generator.below(6) as f32 * 0.125).collect();
            let operation = Accuracy {
                shape,
                probabilities: contents.numbers(Level::Slot, values),
                labels: contents.labels(Level::View(Views::Run), batch_size, classes as u32),
                row_counts: contents.sums(Level::Replica, EVALUATION_METRICS * batch_size),
            };
            contents.compare(operation.row_counts, Comparison::Within(0.0));
            let step = Step { row_count: batch_size.div_ceil(2) as u32, ..Step::default() };
            take(contents.case(format!("{classes} classes batch {batch_size}"), step, operation))?;
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
    fn each_model_and_their_mean_are_counted() {
        let shape = Rows::new(3, 3, false);
        // Row 0: A right, B wrong, together right. Row 1: a tie, which the first class wins. Row 2 lies past the end.
        let a = [0.1, 0.9, 0.0, 0.0, 0.4, 0.4, 0.2, 0.0, 1.0, 0.0, 0.0, 0.0];
        let b = [0.5, 0.4, 0.1, 0.0, 0.2, 0.3, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0];
        let mut counts = vec![10.0; 9];
        accuracy::<Single>(&shape, &Step::evaluation(0, 2), [&a, &b], &[1, 0, 0], &mut counts);
        assert_eq!(counts, [11.0, 11.0, 10.0, 10.0, 10.0, 10.0, 11.0, 10.0, 10.0]);
    }
}
