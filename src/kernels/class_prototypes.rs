//! class_prototypes: means of the unit rows of each class.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take};
use super::trust::Selection;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Prototypes, SQUARE_FLOOR, Step, Views, quads};

/// The classes' mean directions.
///
/// In bounds: a class comes from the grid, which has one x for each; numbers run to the row's length, rows to the batch. Labels are compared
/// and index nothing.
#[derive(Clone, Debug)]
pub struct ClassPrototypes {
    /// The rows and the classes.
    pub shape: Prototypes,
    /// Unit rows, `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, classes, quads(width)]`.
    pub prototypes: Tensor,
    /// Images of each class in the batch, `[slot, classes]`, whole numbers.
    pub counts: Tensor,
    /// Rows that count, where not all do: those of a weight above 0.
    pub selection: Option<Selection>,
}

impl Describe for ClassPrototypes {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.rows, self.labels].map(Operand::read);
        let writes = [self.prototypes, self.counts].map(Operand::write);
        reads.into_iter().chain(writes).chain([Selection::operand(self.selection)]).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        // Where rows are shared, loads are waited for; elsewhere each costs time of its own.
        let ahead = if launch.tiles.lanes > 1 { 8 } else { 1 };
        Selection::constants(self.selection, Variant::new(Kernel::ClassPrototypes).size("AHEAD", ahead))
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.classes, launch.slots as u32, 1]
    }
}

impl ClassPrototypes {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut prototypes, mut counts) = (memory.take(self.prototypes), memory.take_words(self.counts));
        let (rows, labels) = (memory.own(self.rows), memory.words(self.labels));
        let weights = self.selection.map(|selection| selection.of(memory));
        class_prototypes::<A>(&self.shape, rows, labels, weights, &mut prototypes, &mut counts);
        memory.put(self.prototypes, Data::Numbers(prototypes));
        memory.put(self.counts, Data::Words(counts));
    }
}

/// One slot: `prototypes` `[classes, quads(width)]` holds the sum of each class's unit `rows` `[batch, quads(width)]`, brought to unit
/// length; `counts` `[classes]` how many there are. With `weights` `[batch]` only rows count whose weight is above 0.
pub fn class_prototypes<A: Arithmetic>(
    shape: &Prototypes,
    rows: &[f32],
    labels: &[u32],
    weights: Option<&[f32]>,
    prototypes: &mut [A::Stored],
    counts: &mut [u32],
) {
    let lift = A::Number::lift;
    let stride = 4 * shape.quads as usize;
    let mut sums = vec![lift(0.0); stride];
    for (class, (prototype, count)) in prototypes.chunks_exact_mut(stride).zip(counts).enumerate() {
        A::run(
            #[inline(always)]
            || {
                sums.fill(lift(0.0));
                *count = 0;
                let counts = |row: usize| labels[row] as usize == class && weights.is_none_or(|weights| weights[row] > 0.0);
                for (_, row) in rows.chunks_exact(stride).take(labels.len()).enumerate().filter(|&(row, _)| counts(row)) {
                    *count += 1;
                    sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum = *sum + lift(value));
                }
                let squares = A::sum(sums[..shape.width as usize].iter().map(|&sum| sum * sum)) + lift(SQUARE_FLOOR);
                let scale = lift(1.0) / squares.sqrt();
                prototype.iter_mut().zip(&sums).for_each(|(number, &sum)| *number = A::store(sum * scale));
            },
        );
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let (classes, views) = ([1, 2, 10, 65][(i + j) % 4], if i % 2 == 0 { Views::Replica } else { Views::Slot });
            let shape = Prototypes {
                width: width as u32,
                quads: quads(width) as u32,
                batch_size: batch_size as u32,
                label_shift: views.shift(),
                classes,
                ..Prototypes::default()
            };
            let mut contents = Contents::new(number);
            let selection = (number % 3 > 0).then(|| {
                let weights = (0..SLOTS * batch_size).map(|_| contents.generator.below(2) as f32).collect();
                Selection { weights: contents.numbers(Level::Slot, weights), by_partner: number % 3 == 2 }
            });
            let operation = ClassPrototypes {
                shape,
                rows: contents.rows(Level::Slot, batch_size, width),
                // The last class is absent, wherever there are two.
                labels: contents.labels(Level::View(views), batch_size, (classes - 1).max(1)),
                prototypes: contents.poison(Level::Slot, classes as usize * 4 * quads(width)),
                counts: contents.words(Level::Slot, vec![u32::MAX; SLOTS * classes as usize]),
                selection,
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
    use crate::arithmetic::Double;

    #[test]
    fn prototypes_are_mean_directions() {
        let shape = Prototypes { width: 2, quads: 1, batch_size: 3, classes: 3, ..Prototypes::default() };
        let (mut prototypes, mut counts) = ([f32::NAN; 12], [9; 3]);
        let rows = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0];
        class_prototypes::<Double>(&shape, &rows, &[0, 0, 2], None, &mut prototypes, &mut counts);
        let half = 0.5f32.sqrt();
        assert_eq!(prototypes, [half, half, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0]);
        assert_eq!(counts, [2, 0, 1]);
        class_prototypes::<Double>(&shape, &rows, &[0, 0, 2], Some(&[2.0, 0.0, 0.0]), &mut prototypes, &mut counts);
        assert_eq!((prototypes[..2].to_vec(), counts), (vec![1.0, 0.0], [1, 0, 0]));
    }
}
