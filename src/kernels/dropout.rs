//! dropout: units of a hidden layer left out by chance.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Dropout as Shape, Rows, Step};
use crate::random::philox_words;

/// Leaves out units of rows, in place: of a layer's outputs, and in the same step the same ones of their deltas.
///
/// In bounds: quads past the row return; the grid has one y for each row of the batch and one z for each slot.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Seed, size and share.
    pub shape: Shape,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
}

impl Describe for Dropout {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::write(self.rows)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Dropout)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.quads.div_ceil(64), self.shape.rows, launch.slots as u32]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl Dropout {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut rows = memory.take(self.rows);
        dropout::<A>(&self.shape, memory.step(), memory.slot() as u32, &mut rows);
        memory.put(self.rows, Data::Numbers(rows));
    }
}

/// One slot's rows, `[batch, quads(width)]`.
pub fn dropout<A: Arithmetic>(shape: &Shape, step: &Step, slot: u32, rows: &mut [A::Stored]) {
    let seed = (u64::from(shape.seed_high) << 32 | u64::from(shape.seed_low)).wrapping_add(u64::from(slot >> 1));
    let first = step.first_row.wrapping_mul(shape.quads);
    for (place, quad) in (first..=u32::MAX).chain(0..).zip(rows.as_chunks_mut::<4>().0) {
        let words = philox_words(seed, shape.stream + ((slot & 1) << 16), u64::from(step.epoch) << 32 | u64::from(place));
        for (value, word) in quad.iter_mut().zip(words) {
            let kept = word >= shape.threshold;
            *value = if kept { A::store(A::Number::lift(shape.factor) * A::load(*value)) } else { 0.0.into() };
        }
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    // Seeds beside a carry into the upper word, where replicas must not collide.
    for (seed, share) in [(3, 0.1), (u64::from(u32::MAX), 0.5), (u64::MAX, 0.9)] {
        for width in SIZES {
            for batch_size in BATCHES {
                let mut contents = Contents::new(number);
                let rows = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
                let operation = Dropout {
                    shape: Shape::new(seed, number % 5, share, &Rows::new(width, batch_size, true)),
                    rows: contents.numbers(Level::Slot, rows),
                };
                // The place wraps around in some of them.
                let first_row = if number % 2 == 0 { 3 * batch_size as u32 } else { u32::MAX / 4 };
                let step = Step { first_row, epoch: 2, ..Step::default() };
                take(contents.case(format!("seed {seed} share {share} {width} batch {batch_size}"), step, operation))?;
                number += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Single;

    fn drop(seed: u64, layer: usize, slot: u32, first_row: u32, epoch: u32) -> Vec<f32> {
        let rows = Rows::new(40, 50, true);
        let mut values = vec![1.0; rows.len()];
        let step = Step { first_row, epoch, ..Step::default() };
        dropout::<Single>(&Shape::new(seed, layer, 0.25, &rows), &step, slot, &mut values);
        values
    }

    /// A quarter is left out, and the others make up for it.
    #[test]
    fn a_share_of_the_units_is_left_out() {
        let values: Vec<f32> = (0..50).flat_map(|epoch| drop(1, 0, 0, 0, epoch)).collect();
        assert!(values.iter().all(|&value| value == 0.0 || value == 4.0 / 3.0));
        // 25,000 of 100,000 expected with a deviation of 137; five of them.
        let dropped = values.iter().filter(|&&value| value == 0.0).count();
        assert!(dropped.abs_diff(25_000) < 685, "{dropped}");
    }

    /// The same units again in the same step, others for other seeds, layers, models, steps and epochs; and a replica's are those of a
    /// run of its own, across the carry between the halves of the seed.
    #[test]
    fn units_depend_on_seed_layer_model_and_step() {
        let seed = u64::from(u32::MAX);
        let one = drop(seed, 0, 0, 0, 1);
        assert_eq!(one, drop(seed, 0, 0, 0, 1));
        assert_eq!(drop(seed, 0, 3, 0, 1), drop(seed + 1, 0, 1, 0, 1));
        let others = [
            drop(seed + 1, 0, 0, 0, 1),
            drop(seed, 1, 0, 0, 1),
            drop(seed, 0, 1, 0, 1),
            drop(seed, 0, 0, 50, 1),
            drop(seed, 0, 0, 0, 2),
        ];
        for other in others {
            assert_ne!(one, other);
        }
    }
}
