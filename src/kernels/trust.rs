//! trust: which images of a batch a layer's losses call worth learning from.

use super::case::{Contents, SLOTS, Take};
use super::{Access, Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant, Whose};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{EPOCH_MASK, KEPT, Step, Trust as Shape, WHOLE};

/// A weight for each row: `batch / kept` for those of the smallest losses, 0 for the others. Of equal losses the earlier row comes first.
///
/// In bounds: rows past the batch return; others run to the batch. Orders hold numbers below the number of images, and steps of training
/// lie within them ([`crate::engine::Job::check_steps`]).
#[derive(Clone, Debug)]
pub struct Trust {
    /// The batch and the training set.
    pub shape: Shape,
    /// `[slot, batch]`.
    pub losses: Tensor,
    /// What the layer takes each image for, `[slot, batch]`, whole numbers.
    pub answers: Tensor,
    /// Expected share of wrong labels, `[replica]`, whole numbers: in units of 1 / [`WHOLE`].
    pub rates: Tensor,
    /// The order in which images are taken, `[replica, images]`, whole numbers.
    pub orders: Tensor,
    /// `[slot, batch]`.
    pub weights: Tensor,
    /// Loss and answer for each image when it last came, `[slot, images, 2]`, whole numbers: [`Shape::note`].
    pub record: Tensor,
}

impl Describe for Trust {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.losses, self.answers, self.rates, self.orders].map(Operand::read);
        reads.into_iter().chain([self.weights, self.record].map(Operand::write)).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Trust)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl Trust {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut weights, mut record) = (memory.take(self.weights), memory.take_words(self.record));
        let (losses, answers) = (memory.own(self.losses), memory.words(self.answers));
        let rate = memory.words(self.rates).first().copied().unwrap_or(0);
        trust::<A>(&self.shape, memory.step(), losses, answers, rate, memory.words(self.orders), &mut weights, &mut record);
        memory.put(self.weights, Data::Numbers(weights));
        memory.put(self.record, Data::Words(record));
    }
}

/// One slot; shapes as in [`Trust`], without the slot axis.
#[expect(clippy::too_many_arguments, reason = "the operands of the kernel, in its order")]
pub fn trust<A: Arithmetic>(
    shape: &Shape,
    step: &Step,
    losses: &[f32],
    answers: &[u32],
    rate: u32,
    order: &[u32],
    weights: &mut [A::Stored],
    record: &mut [u32],
) {
    let kept = (shape.batch_size - shape.dropped(rate, step.trust_ramp)) as usize;
    // Whole numbers in the order of the losses, each with its row: no two are equal.
    let mut ranked: Vec<u64> = losses.iter().zip(0..).map(|(&loss, row)| u64::from(ordered(loss)) << 32 | row).collect();
    let (_, &mut last, _) = ranked.select_nth_unstable(kept - 1);
    let weight = A::store(A::Number::lift(shape.batch_size as f32) / A::Number::lift(kept as f32));
    for (row, (&loss, &answer)) in losses.iter().zip(answers).enumerate() {
        let is_kept = u64::from(ordered(loss)) << 32 | row as u64 <= last;
        weights[row] = if is_kept { weight } else { 0.0.into() };
        let image = order[step.first_row as usize + row] as usize;
        record[2 * image] = loss.to_bits();
        record[2 * image + 1] = answer | (step.epoch & EPOCH_MASK) << 8 | if is_kept { KEPT } else { 0 };
    }
}

/// A whole number that is smaller where the number is; both zeros are the same.
fn ordered(number: f32) -> u32 {
    const SIGN: u32 = 1 << 31;
    let bits = (number + 0.0).to_bits();
    if bits & SIGN > 0 { !bits } else { bits | SIGN }
}

/// Whose weights a loss goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `[slot, batch]`.
    pub weights: Tensor,
    /// The partner's: one bit an image is all that crosses.
    pub by_partner: bool,
}

impl Selection {
    /// How a kernel sees the weights, where there are some.
    pub(super) fn operand(selection: Option<Self>) -> Operand {
        let whose = if selection.is_some_and(|selection| selection.by_partner) { Whose::Partner } else { Whose::Own };
        Operand { whose, ..Operand::maybe(selection.map(|selection| selection.weights), Access::Read) }
    }

    /// What a kernel's text must know of them.
    pub(super) fn constants(selection: Option<Self>, variant: Variant) -> Variant {
        let partner = selection.is_some_and(|selection| selection.by_partner);
        variant.flag("WEIGHTED", selection.is_some()).size("SELECTOR", partner.into())
    }

    /// The weights of the slot that runs.
    pub(super) fn of<S>(self, memory: &impl Memory<S>) -> &[f32] {
        memory.of(self.weights, memory.slot() ^ usize::from(self.by_partner)).numbers()
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for batch_size in [1usize, 2, 63, 64, 65, 257] {
        for (rate, ramp) in [(0, WHOLE), (WHOLE * 9 / 20, WHOLE), (WHOLE * 9 / 20, WHOLE / 3), (WHOLE - 1, WHOLE)] {
            let images = 2 * batch_size + 3;
            let mut contents = Contents::new(number);
            // Few different losses: most rows have an equal. One of each zero.
            let losses = |contents: &mut Contents| match contents.generator.below(12) {
                0 => -0.0,
                loss => 0.25 * (loss as f32 - 1.0),
            };
            let losses: Vec<f32> = (0..SLOTS * batch_size).map(|_| losses(&mut contents)).collect();
            let orders: Vec<u32> = (0..SLOTS as u32 / 2)
                .flat_map(|replica| (0..images as u32).map(move |place| (place * 2 + replica) % images as u32))
                .collect();
            let operation = Trust {
                shape: Shape { batch_size: batch_size as u32, images: images as u32, ..Shape::default() },
                losses: contents.numbers(Level::Slot, losses),
                answers: contents.labels(Level::Slot, batch_size, 256),
                rates: contents.words(Level::Replica, vec![rate; SLOTS / 2]),
                orders: contents.words(Level::Replica, orders),
                weights: contents.poison(Level::Slot, batch_size),
                record: contents.words(Level::Slot, vec![77; 2 * SLOTS * images]),
            };
            let step = Step {
                first_row: batch_size as u32,
                row_count: batch_size as u32,
                epoch: 3,
                trust_ramp: ramp,
                ..Step::default()
            };
            take(contents.case(format!("batch {batch_size} rate {rate} ramp {ramp}"), step, operation))?;
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
    fn the_smallest_losses_are_kept_and_ties_go_to_the_earlier_row() {
        let shape = Shape { batch_size: 6, images: 6, ..Shape::default() };
        let step = Step { row_count: 6, epoch: 2, trust_ramp: WHOLE, ..Step::default() };
        let (mut weights, mut record) = ([f32::NAN; 6], [0; 12]);
        let losses = [1.0, 0.5, 1.0, 7.0, 1.0, -0.1];
        // A third of six is dropped, and with it one of three equal losses.
        trust::<Single>(&shape, &step, &losses, &[3; 6], WHOLE / 3, &[5, 4, 3, 2, 1, 0], &mut weights, &mut record);
        assert_eq!(weights, [1.5, 1.5, 1.5, 0.0, 0.0, 1.5]);
        let first = Shape::note(record[10], record[11]);
        assert_eq!((first.loss, first.answer, first.epoch, first.is_kept), (1.0, 3, 2, true));
        assert!(!Shape::note(record[2], record[3]).is_kept);
        // Something is always left.
        trust::<Single>(&shape, &step, &losses, &[3; 6], WHOLE, &[5, 4, 3, 2, 1, 0], &mut weights, &mut record);
        assert_eq!(weights, [0.0, 0.0, 0.0, 0.0, 0.0, 6.0]);
    }

    #[test]
    fn the_ramp_rises_to_the_rate() {
        let shape = Shape { batch_size: 128, images: 128, ..Shape::default() };
        let rate = Shape::rate(0.45);
        let dropped = [0, WHOLE / 2, WHOLE].map(|ramp| shape.dropped(rate, ramp));
        assert_eq!(dropped, [0, 29, 58]);
    }
}
