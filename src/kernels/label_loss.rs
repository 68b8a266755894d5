//! label_loss: how badly each image's label fits what a layer says, and what the layer says instead.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows, scale_a_row};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{RowLoss, Rows, Step, UNLABELLED, Views};

/// Cross-entropy of logits at the label, without a gradient, and the largest logit's class. Of a row without a label the loss is that at the
/// answer: the smaller it is, the surer the answer.
///
/// In bounds: rows past the batch return; loops run to the row's width. A label is below the number of classes
/// ([`crate::engine::Job::check`]), or none and not used.
#[derive(Clone, Debug)]
pub struct LabelLoss {
    /// The logits; where the loss stands among a row's metrics means nothing here.
    pub shape: RowLoss,
    /// `[slot, batch, quads(classes)]`.
    pub logits: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch]`.
    pub losses: Tensor,
    /// `[slot, batch]`, whole numbers: of equal logits the first.
    pub answers: Tensor,
}

impl Describe for LabelLoss {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.logits, self.labels].map(Operand::read);
        reads.into_iter().chain([self.losses, self.answers].map(Operand::write)).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::LabelLoss)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl LabelLoss {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut losses, mut answers) = (memory.take(self.losses), memory.take_words(self.answers));
        label_loss::<A>(&self.shape, memory.own(self.logits), memory.words(self.labels), &mut losses, &mut answers);
        memory.put(self.losses, Data::Numbers(losses));
        memory.put(self.answers, Data::Words(answers));
    }
}

/// One slot; shapes as in [`LabelLoss`], without the slot axis.
pub fn label_loss<A: Arithmetic>(shape: &RowLoss, logits: &[f32], labels: &[u32], losses: &mut [A::Stored], answers: &mut [u32]) {
    let lift = A::Number::lift;
    let rows = logits.chunks_exact(shape.rows().stride()).map(|row| &row[..shape.width as usize]);
    for ((row, &label), (loss, answer)) in rows.zip(labels).zip(losses.iter_mut().zip(answers)) {
        let top = (1..row.len()).fold(0, |top, k| if row[top] < row[k] { k } else { top });
        let others = (0..row.len()).filter(|&k| k != top);
        let sum = A::sum(others.map(|k| (lift(row[k]) - lift(row[top])).exp()));
        let label = if label == UNLABELLED { top } else { label as usize };
        *loss = A::store((lift(1.0) + sum).ln() - (lift(row[label]) - lift(row[top])));
        *answer = top as u32;
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for classes in SIZES {
        for batch_size in BATCHES {
            let views = if number % 2 == 0 { Views::Replica } else { Views::Slot };
            let shape = Rows::new(classes, batch_size, false).loss(views, 0, 1);
            let mut contents = Contents::new(number);
            // Its rows 1 to 6 are all equal, all but equal, apart by 10⁴, all but equal, and apart by 10⁹.
            let mut logits = extreme_rows(&mut contents.generator, SLOTS * batch_size, classes);
            scale_a_row(&mut logits, classes, 1e30);
            // Subnormal numbers may count as equal, and another class as the largest.
            logits.iter_mut().filter(|logit| logit.abs() < f32::MIN_POSITIVE).for_each(|logit| *logit = 0.0);
            let mut label = |row: usize| if row % 3 == 2 { UNLABELLED } else { contents.generator.below(classes as u32) };
            let labels = (0..views.count(SLOTS) * batch_size).map(&mut label).collect();
            let operation = LabelLoss {
                shape,
                logits: contents.numbers(Level::Slot, logits),
                labels: contents.words(Level::View(views), labels),
                losses: contents.poison(Level::Slot, batch_size),
                answers: contents.words(Level::Slot, vec![u32::MAX; SLOTS * batch_size]),
            };
            take(contents.case(format!("{classes} classes batch {batch_size}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Double;

    #[test]
    fn the_loss_is_the_cross_entropy_at_the_label() {
        let shape = Rows::new(3, 2, false).loss(Views::Replica, 0, 1);
        let (mut losses, mut answers) = ([0.0f32; 2], [9; 2]);
        label_loss::<Double>(&shape, &[1.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[0, 2], &mut losses, &mut answers);
        let first = -((1.0f64).exp() / ((1.0f64).exp() + 2.0 * (3.0f64).exp())).ln();
        assert!((f64::from(losses[0]) - first).abs() < 1e-7 && (f64::from(losses[1]) - 3.0f64.ln()).abs() < 1e-7);
        assert_eq!(answers, [1, 0]);
        // Without a label the loss is that at the answer.
        label_loss::<Double>(&shape, &[1.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[UNLABELLED; 2], &mut losses, &mut answers);
        assert!((f64::from(losses[0]) - (first - 2.0)).abs() < 1e-7 && (f64::from(losses[1]) - 3.0f64.ln()).abs() < 1e-7);
    }
}
