//! pairs: the rows of a batch that each row is compared with.

use super::case::{BATCHES, Contents, SLOTS, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::error::Result;
use crate::layout::{NO_ROW, Pairs as Shape, Step, Views};
use crate::random::philox_words;

/// For each row a random one of its class and a random one of another class.
///
/// In bounds: rows past the batch return, and loops run to it.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Seed and size.
    pub shape: Shape,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch]`, two whole numbers each.
    pub pairs: Tensor,
}

impl Describe for Pairs {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.labels), Operand::write(self.pairs)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Pairs)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), launch.slots as u32, 1]
    }
}

impl Pairs {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut words = memory.take_words(self.pairs);
        let labels = memory.words(self.labels);
        pairs(&self.shape, memory.step(), memory.slot() as u32, labels, words.as_chunks_mut().0);
        memory.put(self.pairs, Data::Words(words));
    }
}

/// Writes, for each row of the batch, a random other row of its class and a random row of another class, or [`NO_ROW`]. `labels`
/// are the slot's, `[batch]`.
pub fn pairs(shape: &Shape, step: &Step, slot: u32, labels: &[u32], pairs: &mut [[u32; 2]]) {
    let seed = (u64::from(shape.seed_high) << 32 | u64::from(shape.seed_low)).wrapping_add(u64::from(slot >> 1));
    for (row, pair) in pairs.iter_mut().enumerate() {
        let counter = u64::from(step.epoch) << 32 | u64::from(step.first_row + row as u32);
        let words = philox_words(seed, shape.stream + (slot & 1), counter);
        let equal = labels.iter().filter(|&&label| label == labels[row]).count() as u32;
        let rank = |word: u32, count: u32| ((u64::from(word) * u64::from(count)) >> 32) as usize;
        let ranks = [rank(words[0], equal - 1), rank(words[1], shape.batch_size - equal)];
        let like = |other: usize| labels[other] == labels[row];
        let pick = |rank, matches: &dyn Fn(usize) -> bool| {
            (0..labels.len()).filter(|&other| matches(other)).nth(rank).map_or(NO_ROW, |other| other as u32)
        };
        *pair = [pick(ranks[0], &|other| other != row && like(other)), pick(ranks[1], &|other| !like(other))];
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    // Seeds beside a carry into the upper word, where replicas must not collide.
    for seed in [3, u64::from(u32::MAX), u64::MAX] {
        for views in [Views::Replica, Views::Slot] {
            for batch_size in BATCHES {
                // One class, two, ten, and nearly one for each row.
                for classes in [1, 2, 10, 65] {
                    let mut contents = Contents::new(number);
                    let operation = Pairs {
                        shape: Shape::new(seed, batch_size, views),
                        labels: contents.labels(Level::View(views), batch_size, classes),
                        pairs: contents.words(Level::Slot, vec![7; SLOTS * 2 * batch_size]),
                    };
                    let step = Step { first_row: 3 * batch_size as u32, epoch: 2, ..Step::default() };
                    let name = format!("seed {seed} {views:?} batch {batch_size} classes {classes}");
                    take(contents.case(name, step, operation))?;
                    number += 1;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Views;

    fn draw(seed: u64, labels: &[u32], slot: u32, first_row: u32, epoch: u32) -> Vec<[u32; 2]> {
        let step = Step { first_row, epoch, ..Step::default() };
        let mut drawn = vec![[7; 2]; labels.len()];
        pairs(&Shape::new(seed, labels.len(), Views::Replica), &step, slot, labels, &mut drawn);
        drawn
    }

    #[test]
    fn what_does_not_exist_is_not_drawn() {
        assert_eq!(draw(1, &[3], 0, 0, 1), [[NO_ROW; 2]]);
        assert_eq!(draw(1, &[3, 3], 0, 0, 1), [[1, NO_ROW], [0, NO_ROW]]);
        assert_eq!(draw(1, &[3, 5], 0, 0, 1), [[NO_ROW, 1], [NO_ROW, 0]]);
        assert_eq!(draw(1, &[3, 5, 3], 0, 0, 1)[0], [2, 1]);
    }

    /// Each row that matches is drawn equally often, at every place of the batch, in every step and epoch, and p and q
    /// independently.
    #[test]
    fn draws_are_uniform_and_independent() {
        let labels = [4, 1, 1, 4, 4, 2, 4];
        let mut counts = [[0u32; 7]; 7];
        for epoch in 0..300 {
            for step in 0..30 {
                let [p, q] = draw(9, &labels, epoch & 1, 7 * step, epoch)[3];
                counts[p as usize][q as usize] += 1;
            }
        }
        let cells: Vec<_> = [0, 4, 6].into_iter().flat_map(|p| [1, 2, 5].map(|q| (p, q))).collect();
        assert_eq!(cells.iter().map(|&(p, q)| counts[p][q]).sum::<u32>(), 9000);
        // 9 cells of 1000 expected each; chi² with 8 degrees of freedom is above 26.1 once in a thousand.
        let chi: f64 = cells.iter().map(|&(p, q)| (f64::from(counts[p][q]) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 26.1, "{chi}");
    }

    /// A replica's pairs are those of a run of its own, across the carry between the halves of the seed; models and steps differ.
    #[test]
    fn pairs_depend_on_seed_model_and_step() {
        let labels: Vec<u32> = (0..40).map(|row| row % 3).collect();
        let seed = u64::from(u32::MAX);
        assert_eq!(draw(seed, &labels, 3, 0, 1), draw(seed + 1, &labels, 1, 0, 1));
        let one = draw(seed, &labels, 0, 0, 1);
        for other in [draw(seed, &labels, 1, 0, 1), draw(seed, &labels, 0, 40, 1), draw(seed, &labels, 0, 0, 2)] {
            assert_ne!(one, other);
        }
    }
}
