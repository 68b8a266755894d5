//! Twin of `shaders/pair_gradient.wgsl`, for one slot: a hidden layer's loss by pairs of rows, and its gradient.

use super::{Arithmetic, Real};
use crate::layout::{Layer, MARGIN_DISTANCE, NO_ROW, SQUARE_FLOOR};

/// Writes `deltas` and adds each row's loss to `row_metrics`. `rows` is what the slot gives, `[batch, quads(outputs + 1)]`; `pairs`
/// names, for each row, one of its class and one of another, or [`NO_ROW`].
///
/// A pair's gradient is added to both its rows where the pair is met; so a row adds its terms up in the order in which the kernel
/// does.
pub fn pair_gradient<A: Arithmetic>(
    layer: &Layer,
    rows: &[f32],
    pairs: &[[u32; 2]],
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let metrics = &mut row_metrics[layer.index as usize * layer.batch_size as usize..];
    let mut gradients = vec![A::Number::lift(0.0); deltas.len()];
    let width = layer.output_width as usize;
    A::run(
        #[inline(always)]
        || {
            for (row, (pair, metric)) in pairs.iter().zip(metrics).enumerate() {
                let mut loss = A::Number::lift(0.0);
                for (kind, &other) in pair.iter().enumerate().filter(|&(_, &other)| other != NO_ROW) {
                    loss = loss + pair_terms::<A>(layer, rows, kind == 0, row, other as usize, &mut gradients);
                }
                *metric = A::store(A::load(*metric) + loss);
            }
        },
    );
    let sums = gradients.chunks_exact(layer.weight_stride()).zip(rows.chunks_exact(layer.output_stride()));
    for (delta, (sums, row)) in deltas.chunks_exact_mut(layer.weight_stride()).zip(sums) {
        delta[width..].fill(0.0.into());
        for (delta, (&sum, &output)) in delta.iter_mut().zip(sums.iter().zip(&row[..width])) {
            *delta = if layer.rectified > 0 && output <= 0.0 { 0.0.into() } else { A::store(sum) };
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
fn compare<'a, A: Arithmetic>(layer: &Layer, rows: &'a [f32], pair: [usize; 2]) -> Compared<'a, A::Number> {
    let lift = A::Number::lift;
    let (floor, one) = (lift(SQUARE_FLOOR), lift(1.0));
    let [u, v] = pair.map(|row| &rows[row * layer.output_stride()..][..layer.output_width as usize]);
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
pub fn distance<A: Arithmetic>(layer: &Layer, rows: &[f32], pair: [usize; 2]) -> A::Number {
    compare::<A>(layer, rows, pair).distance
}

/// Adds the gradient of one pair to both rows, and returns its loss; `alike`: they are of one class.
#[inline(always)]
fn pair_terms<A: Arithmetic>(
    layer: &Layer,
    rows: &[f32],
    alike: bool,
    row: usize,
    other: usize,
    gradients: &mut [A::Number],
) -> A::Number {
    let lift = A::Number::lift;
    let Compared { rows: [u, v], scales: [u_scale, v_scale], distance } = compare::<A>(layer, rows, [row, other]);
    let margin = lift(MARGIN_DISTANCE);
    if !alike && !distance.is_below(margin) {
        return (margin - distance).max(lift(0.0));
    }
    let batch = lift(layer.batch_size as f32);
    let mut add = |row: usize, (u, u_scale): (&[f32], A::Number), (v, v_scale): (&[f32], A::Number)| {
        let factor = u_scale / batch;
        let sums = gradients[row * layer.weight_stride()..].iter_mut();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Double, Single, pairs};
    use crate::layout::{Pairs, Step, Views};
    use crate::model::Architecture;
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
            let layer = Layer::new(&Architecture::new(vec![2, width, 2]).unwrap(), 0, batch, Views::Replica);
            let labels: Vec<u32> = (0..batch as u32).map(|row| if row == 0 { 9 } else { row % 3 }).collect();
            let mut drawn = vec![[0; 2]; batch];
            pairs::pairs(&Pairs::new(8, &layer), &Step::default(), 1, &labels, &mut drawn);
            let mut values = vec![0.0f32; layer.output_len()];
            for row in values.chunks_exact_mut(layer.output_stride()) {
                // A common part brings many cosines above the margin.
                row[..width].iter_mut().for_each(|value| *value = (generator.normal() + 0.7).max(0.0));
                row[width] = 1.0;
            }
            let mut deltas = vec![f32::NAN; layer.delta_len()];
            let mut metrics = vec![1.0f32; layer.metrics_len()];
            pair_gradient::<Double>(&layer, &values, &drawn, &mut deltas, &mut metrics);

            let mut rows: Vec<Vec<f64>> = values
                .chunks_exact(layer.output_stride())
                .map(|row| row[..width].iter().map(|&value| value.into()).collect())
                .collect();
            let total: f64 = metrics[..batch].iter().map(|&metric| f64::from(metric) - 1.0).sum();
            assert!((total - loss(&rows, &drawn) * batch as f64).abs() < 1e-6 * batch as f64);
            assert!(metrics[batch..].iter().all(|&metric| metric == 1.0));
            for row in 0..batch {
                for k in 0..width {
                    let (step, centre) = (1e-5, rows[row][k]);
                    let delta = f64::from(deltas[row * layer.weight_stride() + k]);
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
                assert!(deltas[row * layer.weight_stride() + width..][..layer.weight_stride() - width].iter().all(|&d| d == 0.0));
            }
        }
    }

    /// Rows of two classes are pushed apart only while their cosine is above the margin; rows of zeros stay where they are.
    #[test]
    fn the_margin_ends_the_push() {
        let layer = Layer::new(&Architecture::new(vec![2, 3, 2]).unwrap(), 0, 2, Views::Replica);
        let run = |rows: [f32; 8]| {
            let (mut deltas, mut metrics) = (vec![f32::NAN; 8], vec![0.0f32; layer.metrics_len()]);
            pair_gradient::<Single>(&layer, &rows, &[[NO_ROW, 1], [NO_ROW, NO_ROW]], &mut deltas, &mut metrics);
            (deltas, metrics[0])
        };
        let (deltas, loss) = run([1.0, 0.0, 0.0, 1.0, 1.0, 4.0, 0.0, 1.0]);
        assert_eq!((deltas, loss), (vec![0.0; 8], 0.0));
        let (deltas, loss) = run([3.0, 0.0, 0.0, 1.0, 4.0, 3.0, 0.0, 1.0]);
        // The cosine is 0.8; the second row moves, though it has drawn nothing.
        assert!((loss - 0.3).abs() < 1e-6);
        assert!(deltas[5] < 0.0 && deltas[4] > 0.0 && deltas[1] == 0.0, "{deltas:?}");
        let (deltas, loss) = run([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!((deltas, loss), (vec![0.0; 8], 0.0));
    }
}
