//! prototype_loss: a hidden layer's loss by class prototypes, and its gradient.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows};
use super::normalize::{normalize, scale};
use super::output_gradient::row_gradient;
use super::trust::Selection;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::matmul::Matrix;
use crate::arithmetic::{Arithmetic, Real, Single};
use crate::config::OutputLoss;
use crate::error::Result;
use crate::layout::{ABSENT, Prototypes, RowLoss, Rows, Step, Views};

/// Cross-entropy over the cosines of each row to the classes' prototypes.
///
/// In bounds: rows past the batch repeat its last one and store nothing; quads run to the row's length, classes to the number that sizes the
/// workgroup's memory. A label is below that number: [`crate::engine::Job::check`].
#[derive(Clone, Debug)]
pub struct PrototypeLoss {
    /// The rows and their loss.
    pub shape: RowLoss,
    /// The prototypes, and whose they are.
    pub guide: Prototypes,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// The same at length 1.
    pub unit_rows: Tensor,
    /// `[slot, classes, quads(width)]`.
    pub prototypes: Tensor,
    /// Images of each class, `[slot, classes]`, whole numbers.
    pub counts: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch, quads(width)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
    /// What each row counts, where not all count the same. A row whose class has no prototype then counts nothing.
    pub selection: Option<Selection>,
}

/// Bytes of workgroup memory that scores and their gradients may take: half of what the smallest adapter has.
const SCORE_BYTES: u32 = 8 << 10;

/// Products of a row's quads with prototypes that one invocation makes at most: software adapters end loops after some 65,000 rounds.
const PRODUCTS: u32 = 1 << 14;
/// Invocations of a workgroup at most.
const WIDTH: u32 = 64;

impl PrototypeLoss {
    /// Invocations of a row: more where it is long and there are many classes.
    fn lanes(&self, launch: Launch) -> u32 {
        let needed = (self.guide.quads * self.guide.classes).div_ceil(PRODUCTS).next_power_of_two();
        launch.tiles.lanes.max(needed).min(WIDTH)
    }

    /// Rows of a workgroup: fewer where there are many classes.
    fn rows_of_workgroup(&self, launch: Launch) -> u32 {
        let most = (SCORE_BYTES / (8 * self.guide.classes)).max(1);
        launch.tiles.rows.min(1 << most.ilog2()).min(WIDTH / self.lanes(launch))
    }
}

impl Describe for PrototypeLoss {
    fn operands(&self) -> Vec<Operand> {
        let guide = if self.guide.partner > 0 { Operand::read_partner } else { Operand::read };
        vec![
            Operand::read(self.rows),
            Operand::read(self.unit_rows),
            guide(self.prototypes),
            guide(self.counts),
            Operand::read(self.labels),
            Operand::write(self.deltas),
            Operand::write(self.row_metrics),
            Selection::operand(self.selection),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        [bytemuck::bytes_of(&self.shape), bytemuck::bytes_of(&self.guide)].concat()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Selection::constants(self.selection, Variant::new(Kernel::PrototypeLoss))
            .size("LANES", self.lanes(launch))
            .size("ROWS", self.rows_of_workgroup(launch))
            .size("CLASSES", self.guide.classes)
            .flag("CROSS_ENTROPY", true)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(self.rows_of_workgroup(launch)), launch.slots as u32, 1]
    }
}

impl PrototypeLoss {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let mut scratch = memory.take_scratch((self.shape.batch_size * self.guide.classes) as usize);
        let slot = memory.slot() ^ self.guide.partner as usize;
        let guide = Guide {
            shape: &self.guide,
            prototypes: memory.of(self.prototypes, slot).numbers(),
            counts: memory.of(self.counts, slot).words(),
        };
        let scored = Scored { unit_rows: memory.own(self.unit_rows), guide };
        let labels = memory.words(self.labels);
        prototype_loss::<A>(
            &self.shape,
            memory.own(self.rows),
            scored,
            labels,
            self.selection.map(|selection| selection.of(memory)),
            &mut deltas,
            &mut row_metrics,
            &mut scratch,
        );
        memory.put_scratch(scratch);
        memory.put(self.deltas, Data::Numbers(deltas));
        memory.put(self.row_metrics, Data::Numbers(row_metrics));
    }
}

/// The prototypes that guide a slot.
#[derive(Clone, Copy)]
pub struct Guide<'a> {
    /// Their shape.
    pub shape: &'a Prototypes,
    /// `[classes, quads(width)]`.
    pub prototypes: &'a [f32],
    /// `[classes]`.
    pub counts: &'a [u32],
}

/// A slot's rows and what they are compared with.
#[derive(Clone, Copy)]
pub struct Scored<'a> {
    /// `[batch, quads(width)]`.
    pub unit_rows: &'a [f32],
    /// The prototypes.
    pub guide: Guide<'a>,
}

impl Scored<'_> {
    fn unit_row(&self, row: usize) -> &[f32] {
        let stride = 4 * self.guide.shape.quads as usize;
        &self.unit_rows[row * stride..][..self.guide.shape.width as usize]
    }

    /// Cosines of all rows to all prototypes, `[batch, classes]`.
    fn cosines<A: Arithmetic>(&self, cosines: &mut [A::Stored]) {
        let stride = 4 * self.guide.shape.quads as usize;
        let left = Matrix { values: self.unit_rows, stride, transposed: false };
        let right = Matrix { values: self.guide.prototypes, stride, transposed: true };
        A::multiply(self.guide.shape.width as usize, left, right, self.guide.shape.classes as usize, cosines);
    }

    /// The scores of one row, from its cosines.
    #[inline(always)]
    fn scores<A: Arithmetic>(&self, cosines: &[A::Stored], scores: &mut [A::Number]) {
        let inverse_temperature = A::Number::lift(self.guide.shape.inverse_temperature);
        for (score, (&cosine, &count)) in scores.iter_mut().zip(cosines.iter().zip(self.guide.counts)) {
            *score = if count > 0 { A::load(cosine) * inverse_temperature } else { A::Number::lift(ABSENT) };
        }
    }
}

/// One slot; shapes as in [`PrototypeLoss`], without the slot axis.
/// With `weights` `[batch]` each row's loss and gradient count so much, and a row whose class has no prototype nothing. `scratch` holds `batch · classes` numbers.
#[expect(clippy::too_many_arguments, reason = "the operands of the kernel, in its order")]
pub fn prototype_loss<A: Arithmetic>(
    shape: &RowLoss,
    rows: &[f32],
    scored: Scored,
    labels: &[u32],
    weights: Option<&[f32]>,
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
    scratch: &mut [A::Stored],
) {
    let lift = A::Number::lift;
    let (width, stride, classes) = (shape.width as usize, shape.rows().stride(), scored.guide.shape.classes as usize);
    let mut scores = vec![lift(0.0); classes];
    let mut gradients = vec![lift(0.0); classes];
    let mut gradient = vec![lift(0.0); width];
    let cosines = &mut scratch[..labels.len() * classes];
    scored.cosines::<A>(cosines);
    for (row, (delta, &label)) in deltas.chunks_exact_mut(stride).zip(labels).enumerate() {
        let has_prototype = scored.guide.counts[label as usize] > 0;
        let weight = weights.map(|weights| if has_prototype { weights[row] } else { 0.0 });
        if weight == Some(0.0) {
            delta.fill(0.0.into());
            continue;
        }
        let loss = A::run(
            #[inline(always)]
            || {
                scored.scores::<A>(&cosines[row * classes..][..classes], &mut scores);
                let kind = OutputLoss::CrossEntropy;
                let (loss, _) = row_gradient::<A>(shape.batch_size as usize, kind, &scores, label as usize, &mut gradients);
                gradient.fill(lift(0.0));
                let prototypes = scored.guide.prototypes.chunks_exact(stride);
                for (&factor, prototype) in gradients.iter().zip(prototypes) {
                    gradient.iter_mut().zip(prototype).for_each(|(sum, &value)| *sum = *sum + factor * lift(value));
                }
                let inverse_temperature = lift(scored.guide.shape.inverse_temperature);
                gradient.iter_mut().for_each(|value| *value = *value * inverse_temperature);
                let (source, unit_row) = (&rows[row * stride..][..width], scored.unit_row(row));
                let along = A::sum(unit_row.iter().zip(&gradient).map(|(&a, &b)| lift(a) * b));
                let scale = scale::<A>(source, true);
                let weighted = |number: A::Number| weight.map_or(number, |weight| number * lift(weight));
                delta[width..].fill(0.0.into());
                for ((delta, &value), (&unit, &gradient)) in delta.iter_mut().zip(source).zip(unit_row.iter().zip(&gradient)) {
                    let through = (gradient - lift(unit) * along) * scale;
                    *delta = if shape.rectified > 0 && value <= 0.0 { 0.0.into() } else { A::store(weighted(through)) };
                }
                weighted(loss)
            },
        );
        let metric = &mut row_metrics[(shape.metric * shape.batch_size) as usize + row];
        *metric = A::store(A::load(*metric) + loss);
    }
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let partner = [1, 1, 0][(i + j) % 3];
            let classes = [1, 2, 10, 65, 256][(i + j) % 5];
            let rows = Rows::new(width, batch_size, i % 2 == 0);
            let shape = rows.loss(Views::Replica, 1, 4);
            let guide = Prototypes {
                width: rows.width,
                quads: rows.quads,
                batch_size: rows.rows,
                label_shift: shape.label_shift,
                classes,
                partner,
                inverse_temperature: 10.0,
                padding_0: 0,
            };
            let mut contents = Contents::new(number);
            let mut values = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
            // Subnormal numbers may count as zero for the mask, which no bound on the gradient describes.
            let stopped = |value: f32| value.abs() < f32::MIN_POSITIVE || rows.rectified > 0 && value < 0.0;
            values.iter_mut().filter(|value| stopped(**value)).for_each(|value| *value = 0.0);
            let mut unit_rows = values.clone();
            normalize::<Single>(&Rows { rows: (SLOTS * batch_size) as u32, ..rows }, true, &values, &mut unit_rows);
            let directions = Rows::new(width, SLOTS * classes as usize, false);
            let mut prototypes: Vec<f32> = vec![0.0; directions.len()];
            for prototype in prototypes.chunks_exact_mut(directions.stride()) {
                prototype[..width].fill_with(|| contents.generator.normal());
            }
            let source = prototypes.clone();
            normalize::<Single>(&directions, true, &source, &mut prototypes);
            // Some classes are absent; without weights the label's never is, since the row itself is in the batch.
            let counts = (0..SLOTS as u32 * classes).map(|place| u32::from(place % classes < classes.div_ceil(2))).collect();
            let kind = (2 * i + j) % 4;
            let selection = (kind > 1).then(|| {
                let weights = (0..SLOTS * batch_size).map(|_| 1.7 * contents.generator.below(2) as f32).collect();
                Selection { weights: contents.numbers(Level::Slot, weights), by_partner: kind == 3 }
            });
            // With weights a label's class may be absent.
            let labelled = if selection.is_some() { classes } else { classes.div_ceil(2) };
            let operation = PrototypeLoss {
                shape,
                guide,
                rows: contents.numbers(Level::Slot, values),
                unit_rows: contents.numbers(Level::Slot, unit_rows),
                prototypes: contents.numbers(Level::Slot, prototypes),
                counts: contents.words(Level::Slot, counts),
                labels: contents.labels(Level::View(Views::Replica), batch_size, labelled),
                deltas: contents.poison(Level::Slot, rows.len()),
                row_metrics: contents.sums(Level::Slot, shape.metrics_len()),
                selection,
            };
            let name = format!("{width} batch {batch_size} classes {classes} partner {partner}");
            take(contents.case(name, Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Double;
    use crate::layout::SQUARE_FLOOR;
    use crate::random::{Generator, Stream};

    /// The loss of one row straight from its definition: `-log softmax(r·C_k / τ)_label`.
    fn loss(row: &[f64], prototypes: &[f32], stride: usize, present: &[u32], temperature: f64, label: usize) -> f64 {
        let length = (row.iter().map(|value| value * value).sum::<f64>() + f64::from(SQUARE_FLOOR)).sqrt();
        let score =
            |prototype: &[f32]| row.iter().zip(prototype).map(|(a, &b)| a / length * f64::from(b)).sum::<f64>() / temperature;
        let scores: Vec<f64> = prototypes.chunks_exact(stride).map(score).collect();
        let sum: f64 = scores.iter().zip(present).filter(|(_, count)| **count > 0).map(|(score, _)| score.exp()).sum();
        sum.ln() - scores[label]
    }

    /// One class is absent.
    #[test]
    fn gradient_matches_finite_differences() {
        let (width, stride, classes) = (5, 8, 4);
        let mut generator = Generator::new(7, Stream::Check, 0);
        let mut unit_rows = |count: usize| {
            let mut rows = vec![0.0f32; count * stride];
            rows.chunks_exact_mut(stride).for_each(|row| row[..width].fill_with(|| generator.normal()));
            let mut unit = rows.clone();
            normalize::<Double>(&Rows::new(width, count, false), true, &rows, &mut unit);
            (rows, unit)
        };
        let ((row, unit), (_, prototypes)) = (unit_rows(1), unit_rows(classes));
        let (counts, label) = ([3, 1, 0, 2], 1);
        let guide =
            Prototypes { width: 5, quads: 2, batch_size: 1, classes: 4, inverse_temperature: 4.0, ..Prototypes::default() };
        let shape = Rows::new(width, 1, false).loss(Views::Replica, 0, 2);
        let scored = Scored { unit_rows: &unit, guide: Guide { shape: &guide, prototypes: &prototypes, counts: &counts } };
        let (mut deltas, mut metrics, mut scratch) = (vec![f32::NAN; stride], vec![0.0f32; 2], vec![0.0; classes]);
        prototype_loss::<Double>(&shape, &row, scored, &[label], None, &mut deltas, &mut metrics, &mut scratch);

        let mut moved: Vec<f64> = row[..width].iter().map(|&value| value.into()).collect();
        let value = |row: &[f64]| loss(row, &prototypes, stride, &counts, 0.25, label as usize);
        assert!((f64::from(metrics[0]) - value(&moved)).abs() < 1e-6 * value(&moved));
        for k in 0..width {
            let (step, centre) = (1e-5, moved[k]);
            moved[k] = centre + step;
            let above = value(&moved);
            moved[k] = centre - step;
            let expected = (above - value(&moved)) / (2.0 * step);
            moved[k] = centre;
            // The inputs are unit rows and prototypes rounded to f32: 2⁻²⁴ of numbers of order 1, times 1 / 0.25.
            assert!((f64::from(deltas[k]) - expected).abs() < 2e-6, "{k}: {} {expected}", deltas[k]);
        }
        assert!(deltas[width..].iter().all(|&padding| padding == 0.0));
    }
}
