//! pseudo_labels: from which label each row learns where not all images have one.

use super::case::{Contents, SLOTS, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{PseudoLabels as Shape, Step, UNLABELLED, Views, WHOLE};

/// A label and a weight for each row: its own, or the answer of the partner's same layer, if that is sure.
///
/// In bounds: rows past the batch return; others run to the batch. Answers are classes.
#[derive(Clone, Debug)]
pub struct PseudoLabels {
    /// The batch, and what is sure.
    pub shape: Shape,
    /// `[view, batch]`, whole numbers, [`UNLABELLED`] where there is none.
    pub labels: Tensor,
    /// Of rows without a label the loss at the answer, `[slot, batch]`; the partner's are read.
    pub losses: Tensor,
    /// What the layer takes each image for, `[slot, batch]`, whole numbers; the partner's are read.
    pub answers: Tensor,
    /// `[slot, batch]`, whole numbers.
    pub targets: Tensor,
    /// `[slot, batch]`.
    pub weights: Tensor,
}

impl Describe for PseudoLabels {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read(self.labels),
            Operand::read_partner(self.losses),
            Operand::read_partner(self.answers),
            Operand::write(self.targets),
            Operand::write(self.weights),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::PseudoLabels)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl PseudoLabels {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut targets, mut weights) = (memory.take_words(self.targets), memory.take(self.weights));
        let answers = memory.of(self.answers, memory.slot() ^ 1).words();
        let (labels, losses) = (memory.words(self.labels), memory.partner(self.losses));
        pseudo_labels::<A>(&self.shape, memory.step(), labels, losses, answers, &mut targets, &mut weights);
        memory.put(self.targets, Data::Words(targets));
        memory.put(self.weights, Data::Numbers(weights));
    }
}

/// One slot; shapes as in [`PseudoLabels`], without the slot axis; `losses` and `answers` are the partner's.
pub fn pseudo_labels<A: Arithmetic>(
    shape: &Shape,
    step: &Step,
    labels: &[u32],
    losses: &[f32],
    answers: &[u32],
    targets: &mut [u32],
    weights: &mut [A::Stored],
) {
    let lift = A::Number::lift;
    let risen = lift(shape.unlabelled_weight) * lift(step.trust_ramp as f32 / WHOLE as f32);
    let rows = labels.iter().zip(losses.iter().zip(answers));
    for ((&label, (&loss, &answer)), (target, weight)) in rows.zip(targets.iter_mut().zip(weights)) {
        (*target, *weight) = match label {
            UNLABELLED if loss < shape.largest_loss => (answer, A::store(risen)),
            UNLABELLED => (answer, 0.0.into()),
            label => (label, shape.labelled_weight.into()),
        };
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for batch_size in [2usize, 3, 63, 64, 65, 257] {
        for (threshold, ramp) in [(0.9, WHOLE), (0.9, 0), (0.5, WHOLE / 3), (1.0, WHOLE)] {
            let views = if number % 2 == 0 { Views::Replica } else { Views::Slot };
            let shape = Shape::new(views, batch_size, threshold);
            let mut contents = Contents::new(number);
            let mut label = |row: usize| if row % 2 == 1 { UNLABELLED } else { contents.generator.below(10) };
            let labels = (0..views.count(SLOTS) * batch_size).map(&mut label).collect();
            // Some are the limit itself, which is not below it.
            let mut loss = || [0.0, 0.05, shape.largest_loss, 0.5, 3.0][contents.generator.below(5) as usize];
            let losses = (0..SLOTS * batch_size).map(|_| loss()).collect();
            let operation = PseudoLabels {
                shape,
                labels: contents.words(Level::View(views), labels),
                losses: contents.numbers(Level::Slot, losses),
                answers: contents.labels(Level::Slot, batch_size, 256),
                targets: contents.words(Level::Slot, vec![77; SLOTS * batch_size]),
                weights: contents.poison(Level::Slot, batch_size),
            };
            let step = Step { trust_ramp: ramp, ..Step::default() };
            take(contents.case(format!("batch {batch_size} threshold {threshold} ramp {ramp}"), step, operation))?;
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
    fn sure_answers_of_the_partner_take_the_place_of_labels() {
        // Three rows have labels, two have none; 0.9 has the loss 0.105.
        let shape = Shape::new(Views::Replica, 5, 0.9);
        let step = Step { trust_ramp: WHOLE / 2, ..Step::default() };
        let (mut targets, mut weights) = ([9; 5], [f32::NAN; 5]);
        let labels = [1, 2, 0, UNLABELLED, UNLABELLED];
        let losses = [9.0, 0.0, 1.0, 0.1, 0.11];
        pseudo_labels::<Single>(&shape, &step, &labels, &losses, &[7, 7, 7, 4, 5], &mut targets, &mut weights);
        assert_eq!(targets, [1, 2, 0, 4, 5]);
        assert_eq!(weights, [5.0 / 3.0, 5.0 / 3.0, 5.0 / 3.0, 1.25, 0.0]);
        // Nothing is surer than sure.
        let never = Shape::new(Views::Replica, 5, 1.0);
        pseudo_labels::<Single>(&never, &step, &[UNLABELLED], &[0.0], &[3], &mut targets[..1], &mut weights[..1]);
        assert_eq!((targets[0], weights[0]), (3, 0.0));
    }
}
