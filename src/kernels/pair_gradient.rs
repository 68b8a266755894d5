//! pair_gradient: a hidden layer's loss by pairs of rows, and its gradient.

use super::case::{BATCHES, Comparison, Contents, SIZES, SLOTS, Take, extreme_rows};
use super::pairs::pairs;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::bounded::{Bounded, Bounding};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::{Error, Result};
use crate::layout::{MARGIN_DISTANCE, NO_ROW, Pairs, RowLoss, Rows, SQUARE_FLOOR, Step, Views};

/// Rows of one class attract each other, rows of two repel each other, within one network.
///
/// In bounds: rows past the batch return before the first barrier; rows that have barriers have a workgroup each. What is taken from `pairs`
/// is [`NO_ROW`], which is left out, or was below the batch when `pairs` wrote it, earlier in the same step.
#[derive(Clone, Debug)]
pub struct PairGradient {
    /// The rows and their loss.
    pub shape: RowLoss,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// `[slot, batch]`, two whole numbers each.
    pub pairs: Tensor,
    /// `[slot, batch, quads(width)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

/// Rows of a workgroup: one, unless a row has one invocation.
fn rows_of_workgroup(launch: Launch) -> u32 {
    if launch.tiles.lanes == 1 { launch.tiles.rows } else { 1 }
}

impl Describe for PairGradient {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.rows, self.pairs].map(Operand::read);
        reads.into_iter().chain([self.deltas, self.row_metrics].map(Operand::write)).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::new(Kernel::PairGradient).size("LANES", launch.tiles.lanes).size("ROWS", rows_of_workgroup(launch))
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.batch_size.div_ceil(rows_of_workgroup(launch)), launch.slots as u32, 1]
    }
}

impl PairGradient {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let (rows, pairs) = (memory.own(self.rows), memory.words(self.pairs).as_chunks().0);
        pair_gradient::<A>(&self.shape, rows, pairs, &mut deltas, &mut row_metrics);
        memory.put(self.deltas, Data::Numbers(deltas));
        memory.put(self.row_metrics, Data::Numbers(row_metrics));
    }
}

/// Writes `deltas` and adds each row's loss to `row_metrics`. `rows` is what the slot gives, `[batch, quads(width)]`; `pairs`
/// names, for each row, one of its class and one of another, or [`NO_ROW`].
///
/// A pair's gradient is added to both its rows where the pair is met; so a row adds its terms up in the order in which the kernel
/// does.
pub fn pair_gradient<A: Arithmetic>(
    shape: &RowLoss,
    rows: &[f32],
    pairs: &[[u32; 2]],
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let metrics = &mut row_metrics[(shape.metric * shape.batch_size) as usize..];
    let mut gradients = vec![A::Number::lift(0.0); deltas.len()];
    let width = shape.width as usize;
    A::run(
        #[inline(always)]
        || {
            for (row, (pair, metric)) in pairs.iter().zip(metrics).enumerate() {
                let mut loss = A::Number::lift(0.0);
                for (kind, &other) in pair.iter().enumerate().filter(|&(_, &other)| other != NO_ROW) {
                    loss = loss + pair_terms::<A>(shape, rows, kind == 0, row, other as usize, &mut gradients);
                }
                *metric = A::store(A::load(*metric) + loss);
            }
        },
    );
    let sums = gradients.chunks_exact(shape.rows().stride()).zip(rows.chunks_exact(shape.rows().stride()));
    for (delta, (sums, row)) in deltas.chunks_exact_mut(shape.rows().stride()).zip(sums) {
        delta[width..].fill(0.0.into());
        for (delta, (&sum, &output)) in delta.iter_mut().zip(sums.iter().zip(&row[..width])) {
            *delta = if shape.rectified > 0 && output <= 0.0 { 0.0.into() } else { A::store(sum) };
        }
    }
}

/// Two rows, their factors to unit length, and their distance `1 − c`.
struct Compared<'a, N> {
    rows: [&'a [f32]; 2],
    scales: [N; 2],
    distance: N,
}

#[inline(always)]
fn compare<'a, A: Arithmetic>(shape: &RowLoss, rows: &'a [f32], pair: [usize; 2]) -> Compared<'a, A::Number> {
    let lift = A::Number::lift;
    let (floor, one) = (lift(SQUARE_FLOOR), lift(1.0));
    let [u, v] = pair.map(|row| &rows[row * shape.rows().stride()..][..shape.width as usize]);
    let squares = [u, v].map(|row| A::sum(row.iter().map(|&value| lift(value) * lift(value))) + floor);
    let scales = squares.map(|squares| one / squares.sqrt());
    let apart = A::sum(u.iter().zip(v).map(|(&u, &v)| {
        let difference = lift(u) * scales[0] - lift(v) * scales[1];
        difference * difference
    }));
    let distance = lift(0.5) * (apart + floor / squares[0] + floor / squares[1]);
    Compared { rows: [u, v], scales, distance }
}

/// `1 − c` of two rows: what the margin is compared with.
pub fn distance<A: Arithmetic>(shape: &RowLoss, rows: &[f32], pair: [usize; 2]) -> A::Number {
    compare::<A>(shape, rows, pair).distance
}

/// Adds the gradient of one pair to both rows, and returns its loss; `alike`: they are of one class.
#[inline(always)]
fn pair_terms<A: Arithmetic>(
    shape: &RowLoss,
    rows: &[f32],
    alike: bool,
    row: usize,
    other: usize,
    gradients: &mut [A::Number],
) -> A::Number {
    let lift = A::Number::lift;
    let Compared { rows: [u, v], scales: [u_scale, v_scale], distance } = compare::<A>(shape, rows, [row, other]);
    let margin = lift(MARGIN_DISTANCE);
    if !alike && !distance.is_below(margin) {
        return (margin - distance).max(lift(0.0));
    }
    let batch = lift(shape.batch_size as f32);
    let mut add = |row: usize, (u, u_scale): (&[f32], A::Number), (v, v_scale): (&[f32], A::Number)| {
        let factor = u_scale / batch;
        let sums = gradients[row * shape.rows().stride()..].iter_mut();
        for (sum, (&u, &v)) in sums.zip(u.iter().zip(v)) {
            let a = lift(u) * u_scale;
            let delta = ((a - lift(v) * v_scale) - distance * a) * factor;
            *sum = if alike { *sum + delta } else { *sum - delta };
        }
    };
    add(row, (u, u_scale), (v, v_scale));
    add(other, (v, v_scale), (u, u_scale));
    if alike { distance } else { margin - distance }
}

/// The gradient of the margin's hinge jumps where the cosine meets the margin. Where the bound of the error does not say on which side a
/// pair lies, a device may be right on either: the deltas of both its rows are left out, and there may be no more than a hundredth of
/// them. The loss is continuous there, and is compared.
pub(super) fn cases(take: &mut Take) -> Result<()> {
    let (mut number, mut undecided, mut all) = (0, 0, 0);
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let classes = [2, 10][(i + j) % 2];
            let shape = Rows::new(width, batch_size, true).loss(Views::Slot, 0, 3);
            let stride = shape.rows().stride();
            let mut contents = Contents::new(number);
            let mut values = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
            // Independent rows are far apart: something in common, more of it in every third row, brings cosines to both sides of the
            // margin.
            for (row, values) in values.chunks_exact_mut(stride).enumerate() {
                let common = if row % batch_size > 3 { [0.0, 0.4, 1.2][row % 3] } else { 0.0 };
                for (k, value) in values[..width].iter_mut().enumerate() {
                    *value = value.max(0.0) + if k % 4 < 2 { common * (1 + k % 3) as f32 } else { 0.0 };
                }
            }
            // Subnormal activations may count as zero for the mask, which no bound on the gradient describes.
            values.iter_mut().filter(|value| value.abs() < f32::MIN_POSITIVE).for_each(|value| *value = 0.0);
            let labels: Vec<u32> = (0..SLOTS * batch_size).map(|_| contents.generator.below(classes)).collect();
            let mut drawn = vec![[NO_ROW; 2]; SLOTS * batch_size];
            let mut decided = vec![true; SLOTS * batch_size];
            for slot in 0..SLOTS {
                let rows = slot * batch_size..(slot + 1) * batch_size;
                let (of_slot, first) = (&mut drawn[rows.clone()], rows.start);
                pairs(&Pairs::new(5, batch_size, Views::Slot), &Step::default(), slot as u32, &labels[rows], of_slot);
                let values = &values[first * stride..][..batch_size * stride];
                for (row, &[_, other]) in of_slot.iter().enumerate().filter(|(_, pair)| pair[1] != NO_ROW) {
                    let Bounded { value, error } = distance::<Bounding>(&shape, values, [row, other as usize]);
                    if (value - f64::from(MARGIN_DISTANCE)).abs() <= error {
                        (decided[first + row], decided[first + other as usize]) = (false, false);
                    }
                }
            }
            undecided += decided.iter().filter(|&&decided| !decided).count();
            all += decided.len();
            let operation = PairGradient {
                shape,
                rows: contents.numbers(Level::Slot, values),
                pairs: contents.words(Level::Slot, drawn.into_flattened()),
                deltas: contents.poison(Level::Slot, shape.rows().len()),
                row_metrics: contents.sums(Level::Slot, shape.metrics_len()),
            };
            contents.compare(operation.deltas, Comparison::Rows(stride, decided));
            take(contents.case(format!("width {width} batch {batch_size} classes {classes}"), Step::default(), operation))?;
            number += 1;
        }
    }
    if 100 * undecided > all {
        return Err(Error::Configuration(format!("{undecided} of {all} rows of the check of pair_gradient are at the margin")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Double, Single};
    use crate::kernels::pairs;
    use crate::layout::{Pairs, Rows, Step, Views};
    use crate::random::{Generator, Stream};

    /// The loss of a batch, straight from the definition.
    fn loss(rows: &[Vec<f64>], drawn: &[[u32; 2]]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = |a: &[f64], b: &[f64]| dot(a, b) / ((dot(a, a) + 1e-12) * (dot(b, b) + 1e-12)).sqrt();
        let term = |(row, &[p, q]): (&Vec<f64>, &[u32; 2])| {
            let alike = if p == NO_ROW { 0.0 } else { 1.0 - cosine(row, &rows[p as usize]) };
            let apart = if q == NO_ROW { 0.0 } else { (cosine(row, &rows[q as usize]) - 0.5).max(0.0) };
            alike + apart
        };
        rows.iter().zip(drawn).map(term).sum::<f64>() / rows.len() as f64
    }

    /// Every number of the batch, against differences of the whole batch's loss. One row is alone in its class.
    #[test]
    fn gradient_matches_finite_differences() {
        let mut generator = Generator::new(4, Stream::Check, 0);
        for (width, batch) in [(1, 2), (3, 7), (7, 12), (64, 9)] {
            let shape = Rows::new(width, batch, true).loss(Views::Replica, 0, 3);
            let labels: Vec<u32> = (0..batch as u32).map(|row| if row == 0 { 9 } else { row % 3 }).collect();
            let mut drawn = vec![[0; 2]; batch];
            pairs::pairs(&Pairs::new(8, batch, Views::Replica), &Step::default(), 1, &labels, &mut drawn);
            let mut values = vec![0.0f32; shape.rows().len()];
            for row in values.chunks_exact_mut(shape.rows().stride()) {
                // A common part brings many cosines above the margin.
                row[..width].iter_mut().for_each(|value| *value = (generator.normal() + 0.7).max(0.0));
            }
            let mut deltas = vec![f32::NAN; shape.rows().len()];
            let mut metrics = vec![1.0f32; shape.metrics_len()];
            pair_gradient::<Double>(&shape, &values, &drawn, &mut deltas, &mut metrics);

            let mut rows: Vec<Vec<f64>> = values
                .chunks_exact(shape.rows().stride())
                .map(|row| row[..width].iter().map(|&value| value.into()).collect())
                .collect();
            let total: f64 = metrics[..batch].iter().map(|&metric| f64::from(metric) - 1.0).sum();
            assert!((total - loss(&rows, &drawn) * batch as f64).abs() < 1e-6 * batch as f64);
            assert!(metrics[batch..].iter().all(|&metric| metric == 1.0));
            for row in 0..batch {
                for k in 0..width {
                    let (step, centre) = (1e-5, rows[row][k]);
                    let delta = f64::from(deltas[row * shape.rows().stride() + k]);
                    if centre == 0.0 {
                        assert_eq!(delta, 0.0);
                        continue;
                    }
                    rows[row][k] = centre + step;
                    let above = loss(&rows, &drawn);
                    rows[row][k] = centre - step;
                    let below = loss(&rows, &drawn);
                    rows[row][k] = centre;
                    let expected = (above - below) / (2.0 * step);
                    // Truncation step²·|loss'''|/6, which grows with the inverse cube of a row's length, and rounding
                    // 2⁻⁵³/step ~ 1e-11.
                    assert!(
                        (delta - expected).abs() < 1e-7 + 1e-6 * expected.abs(),
                        "width {width} row {row} at {k}: {delta} {expected}"
                    );
                }
                assert!(deltas[row * shape.rows().stride() + width..][..shape.rows().stride() - width].iter().all(|&d| d == 0.0));
            }
        }
    }

    /// Rows of two classes are pushed apart only while their cosine is above the margin; rows of zeros stay where they are.
    #[test]
    fn the_margin_ends_the_push() {
        let shape = Rows::new(3, 2, true).loss(Views::Replica, 0, 3);
        let run = |rows: [f32; 8]| {
            let (mut deltas, mut metrics) = (vec![f32::NAN; 8], vec![0.0f32; shape.metrics_len()]);
            pair_gradient::<Single>(&shape, &rows, &[[NO_ROW, 1], [NO_ROW, NO_ROW]], &mut deltas, &mut metrics);
            (deltas, metrics[0])
        };
        let (deltas, loss) = run([1.0, 0.0, 0.0, 0.0, 1.0, 4.0, 0.0, 0.0]);
        assert_eq!((deltas, loss), (vec![0.0; 8], 0.0));
        let (deltas, loss) = run([3.0, 0.0, 0.0, 0.0, 4.0, 3.0, 0.0, 0.0]);
        // The cosine is 0.8; the second row moves, though it has drawn nothing.
        assert!((loss - 0.3).abs() < 1e-6);
        assert!(deltas[5] < 0.0 && deltas[4] > 0.0 && deltas[1] == 0.0, "{deltas:?}");
        let (deltas, loss) = run([0.0; 8]);
        assert_eq!((deltas, loss), (vec![0.0; 8], 0.0));
    }
}
