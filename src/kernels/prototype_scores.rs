//! prototype_scores: how near each row is to each class's prototype.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take};
use super::normalize::normalize;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::matmul::Matrix;
use crate::arithmetic::{Arithmetic, Real, Single};
use crate::error::Result;
use crate::layout::{ABSENT, Prototypes, Rows, Step, Views, quads};

/// Cosines of unit rows to the prototypes that guide the slot, over the temperature: the logits of a hidden layer.
///
/// In bounds: rows past the batch return; the grid has one y for each place of a row of scores, and places past the classes read nothing.
#[derive(Clone, Debug)]
pub struct PrototypeScores {
    /// The rows, the prototypes, and whose they are.
    pub shape: Prototypes,
    /// Unit rows, `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// `[slot, classes, quads(width)]`.
    pub prototypes: Tensor,
    /// Images of each class, `[slot, classes]`, whole numbers.
    pub counts: Tensor,
    /// `[slot, batch, quads(classes)]`.
    pub scores: Tensor,
}

impl PrototypeScores {
    fn guide(&self) -> fn(Tensor) -> Operand {
        if self.shape.partner > 0 { Operand::read_partner } else { Operand::read }
    }
}

impl Describe for PrototypeScores {
    fn operands(&self) -> Vec<Operand> {
        let guide = self.guide();
        vec![Operand::read(self.rows), guide(self.prototypes), guide(self.counts), Operand::write(self.scores)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::PrototypeScores)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(64), 4 * quads(self.shape.classes as usize) as u32, launch.slots as u32]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl PrototypeScores {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut scores = memory.take(self.scores);
        let guide = memory.slot() ^ self.shape.partner as usize;
        let (prototypes, counts) = (memory.of(self.prototypes, guide).numbers(), memory.of(self.counts, guide).words());
        prototype_scores::<A>(&self.shape, memory.own(self.rows), prototypes, counts, &mut scores);
        memory.put(self.scores, Data::Numbers(scores));
    }
}

/// One slot; shapes as in [`PrototypeScores`], without the slot axis.
pub fn prototype_scores<A: Arithmetic>(
    shape: &Prototypes,
    rows: &[f32],
    prototypes: &[f32],
    counts: &[u32],
    scores: &mut [A::Stored],
) {
    let (stride, classes) = (4 * shape.quads as usize, shape.classes as usize);
    let columns = 4 * quads(classes);
    let mut cosines = vec![0.0.into(); shape.batch_size as usize * classes];
    let left = Matrix { values: rows, stride, transposed: false };
    let right = Matrix { values: prototypes, stride, transposed: true };
    A::multiply(shape.width as usize, left, right, classes, &mut cosines);
    let factor = A::Number::lift(shape.inverse_temperature);
    for (scores, cosines) in scores.chunks_exact_mut(columns).zip(cosines.chunks_exact(classes)) {
        scores[classes..].fill(0.0.into());
        for ((score, &cosine), &count) in scores.iter_mut().zip(cosines).zip(counts) {
            *score = if count > 0 { A::store(A::load(cosine) * factor) } else { ABSENT.into() };
        }
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let classes = [1, 2, 10, 65, 256][(i + j) % 5];
            let mut contents = Contents::new(number);
            let mut unit = |count: usize| {
                let rows = Rows::new(width, count, false);
                let mut values = vec![0.0; rows.len()];
                values.chunks_exact_mut(rows.stride()).for_each(|row| row[..width].fill_with(|| contents.generator.normal()));
                let mut unit = values.clone();
                normalize::<Single>(&rows, true, &values, &mut unit);
                unit
            };
            let (rows, prototypes) = (unit(SLOTS * batch_size), unit(SLOTS * classes as usize));
            let shape = Prototypes {
                width: width as u32,
                quads: quads(width) as u32,
                batch_size: batch_size as u32,
                label_shift: Views::Replica.shift(),
                classes,
                partner: number as u32 % 2,
                inverse_temperature: 10.0,
                padding_0: 0,
            };
            let counts = (0..SLOTS as u32 * classes).map(|place| place % 3).collect();
            let operation = PrototypeScores {
                shape,
                rows: contents.numbers(Level::Slot, rows),
                prototypes: contents.numbers(Level::Slot, prototypes),
                counts: contents.words(Level::Slot, counts),
                scores: contents.poison(Level::Slot, batch_size * 4 * quads(classes as usize)),
            };
            take(contents.case(format!("{width} batch {batch_size} classes {classes}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_cosines_over_the_temperature() {
        let shape = Prototypes { width: 2, quads: 1, batch_size: 1, classes: 3, inverse_temperature: 10.0, ..Default::default() };
        let prototypes = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0];
        let mut scores = [f32::NAN; 4];
        prototype_scores::<Single>(&shape, &[0.6, 0.8, 0.0, 0.0], &prototypes, &[1, 4, 0], &mut scores);
        assert_eq!(scores, [6.0, 8.0, ABSENT, 0.0]);
    }
}
