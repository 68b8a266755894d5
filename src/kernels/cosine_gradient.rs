//! cosine_gradient: a hidden layer's loss by the distance from the partner, and its gradient.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take, extreme_rows, scale_a_row};
use super::{Access, Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant, Whose};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{RowLoss, Rows, SQUARE_FLOOR, Step, Views};

/// The distance of each row from the partner's of the same image.
///
/// In bounds: rows past the batch repeat its last one and store nothing; quads run to the row's length.
#[derive(Clone, Debug)]
pub struct CosineGradient {
    /// The rows and their loss.
    pub shape: RowLoss,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// What is subtracted from each row, `[slot, quads(width)]`, where the loss is centred.
    pub means: Option<Tensor>,
    /// `[slot, batch, quads(width)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl Describe for CosineGradient {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read_partner(self.rows),
            Operand { whose: Whose::Partner, ..Operand::maybe(self.means, Access::Read) },
            Operand::write(self.deltas),
            Operand::write(self.row_metrics),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        launch.rows(Kernel::CosineGradient).flag("CENTRE", self.means.is_some())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        launch.row_groups(self.shape.batch_size)
    }
}

impl CosineGradient {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let own = Compared { rows: memory.own(self.rows), means: self.means.map(|means| memory.own(means)) };
        let partner = Compared { rows: memory.partner(self.rows), means: self.means.map(|means| memory.partner(means)) };
        cosine_gradient::<A>(&self.shape, own, partner, &mut deltas, &mut row_metrics);
        memory.put(self.deltas, Data::Numbers(deltas));
        memory.put(self.row_metrics, Data::Numbers(row_metrics));
    }
}

/// Representations of a slot `[batch, quads(outputs)]`, and what is subtracted from each row where the loss is centred
/// `[quads(outputs)]`.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    /// The rows.
    pub rows: &'a [f32],
    /// Their means over the batch.
    pub means: Option<&'a [f32]>,
}

impl Compared<'_> {
    /// One row, without its padding.
    fn row(&self, shape: &RowLoss, row: usize) -> Compared<'_> {
        let width = shape.width as usize;
        Compared { rows: &self.rows[row * shape.rows().stride()..][..width], means: self.means.map(|means| &means[..width]) }
    }
}

/// Writes `deltas` and adds each row's loss to `row_metrics`; `own` and `partner` are what the slot and the other model give.
/// Shapes as in [`crate::layout`], without the slot axis.
pub fn cosine_gradient<A: Arithmetic>(
    shape: &RowLoss,
    own: Compared,
    partner: Compared,
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let metrics = &mut row_metrics[(shape.metric * shape.batch_size) as usize..];
    for ((row, delta), metric) in deltas.chunks_exact_mut(shape.rows().stride()).enumerate().zip(metrics) {
        let loss = A::run(
            #[inline(always)]
            || row_gradient::<A>(shape.batch_size, own.row(shape, row), partner.row(shape, row), delta),
        );
        *metric = A::store(A::load(*metric) + loss);
    }
}

/// One image: fills `delta` and returns the loss `1 − c`.
#[inline(always)]
fn row_gradient<A: Arithmetic>(batch_size: u32, own: Compared, partner: Compared, delta: &mut [A::Stored]) -> A::Number {
    // Two closed forms of the same, so that the loops over plain rows hold no branch.
    match (own.means, partner.means) {
        (Some(own_means), Some(partner_means)) => {
            let u = |k: usize| A::Number::lift(own.rows[k]) - A::Number::lift(own_means[k]);
            let v = |k: usize| A::Number::lift(partner.rows[k]) - A::Number::lift(partner_means[k]);
            gradient::<A>(batch_size, own.rows, u, v, delta)
        }
        _ => {
            let (u, v) = (|k: usize| A::Number::lift(own.rows[k]), |k: usize| A::Number::lift(partner.rows[k]));
            gradient::<A>(batch_size, own.rows, u, v, delta)
        }
    }
}

/// The same of vectors `u` and `v`; `rows` says where the ReLU let `u` pass.
#[inline(always)]
fn gradient<A: Arithmetic>(
    batch_size: u32,
    rows: &[f32],
    u: impl Fn(usize) -> A::Number,
    v: impl Fn(usize) -> A::Number,
    delta: &mut [A::Stored],
) -> A::Number {
    let lift = A::Number::lift;
    let width = rows.len();
    let (floor, one) = (lift(SQUARE_FLOOR), lift(1.0));
    let own_squares = A::sum((0..width).map(|k| u(k) * u(k))) + floor;
    let partner_squares = A::sum((0..width).map(|k| v(k) * v(k))) + floor;
    let (own_scale, partner_scale) = (one / own_squares.sqrt(), one / partner_squares.sqrt());
    let difference = |k: usize| u(k) * own_scale - v(k) * partner_scale;
    let distance = A::sum((0..width).map(|k| difference(k) * difference(k)));
    let loss = lift(0.5) * (distance + floor / own_squares + floor / partner_squares);
    let factor = own_scale / lift(batch_size as f32);
    delta[width..].fill(0.0.into());
    for (k, (delta, &row)) in delta.iter_mut().zip(rows).enumerate() {
        let gradient = (difference(k) - loss * (u(k) * own_scale)) * factor;
        *delta = if row <= 0.0 { 0.0.into() } else { A::store(gradient) };
    }
    loss
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for width in SIZES {
        for batch_size in BATCHES {
            for centre in [false, true] {
                let shape = Rows::new(width, batch_size, true).loss(Views::Replica, 0, 3);
                let stride = shape.rows().stride();
                let mut contents = Contents::new(number);
                let mut rows = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
                scale_a_row(&mut rows, width, 1e15);
                // Subnormal activations may count as zero for the mask, which no bound on the gradient describes: leave them to
                // `forward`.
                for value in rows.iter_mut().filter(|value| **value < f32::MIN_POSITIVE) {
                    *value = 0.0;
                }
                // In one row the partners nearly agree: the case in which the textbook form loses all digits.
                if batch_size > 4 {
                    let (a, b) = rows.split_at_mut(batch_size * stride);
                    let range = 4 * stride..4 * stride + width;
                    b[range.clone()].iter_mut().zip(&a[range]).for_each(|(b, a)| *b = a * 1.00001);
                }
                // Any numbers will do: what they are the mean of is the business of `batch_mean`.
                let means =
                    (0..SLOTS * stride).map(|k| if k % stride < width { contents.generator.uniform(0.1, 0.9) } else { 0.0 });
                let means: Vec<f32> = means.collect();
                let operation = CosineGradient {
                    shape,
                    rows: contents.numbers(Level::Slot, rows),
                    means: centre.then(|| contents.numbers(Level::Slot, means)),
                    deltas: contents.poison(Level::Slot, shape.rows().len()),
                    row_metrics: contents.sums(Level::Slot, shape.metrics_len()),
                };
                let name = format!("width {width} batch {batch_size} centre {centre}");
                take(contents.case(name, Step::default(), operation))?;
                number += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Double, Single};
    use crate::random::{Generator, Stream};

    fn plain(rows: &[f32]) -> Compared<'_> {
        Compared { rows, means: None }
    }

    /// `1 − u·v / sqrt((|u|² + ε)(|v|² + ε))`, straight from the definition.
    fn loss(u: &[f64], v: &[f64]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let floor = f64::from(SQUARE_FLOOR);
        1.0 - dot(u, v) / ((dot(u, u) + floor) * (dot(v, v) + floor)).sqrt()
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let mut generator = Generator::new(2, Stream::Check, 0);
        for width in [1usize, 3, 7, 64] {
            let u: Vec<f32> = (0..width).map(|_| generator.normal()).collect();
            let v: Vec<f32> = (0..width).map(|_| generator.normal()).collect();
            // Without means, and with some: they are constants of the derivative.
            for scale in [0.0, 0.3] {
                let means: Vec<f32> = (0..width).map(|_| generator.normal() * scale).collect();
                let kept = (scale > 0.0).then_some(&means[..]);
                let [own, partner] = [&u, &v].map(|rows| Compared { rows, means: kept });
                let centred =
                    |row: &[f32]| row.iter().zip(&means).map(|(&a, &b)| f64::from(a) - f64::from(b)).collect::<Vec<_>>();
                let (mut u64s, v64s) = (centred(&u), centred(&v));
                let mut delta = vec![f32::NAN; width];
                let value = row_gradient::<Double>(1, own, partner, &mut delta);
                assert!((value - loss(&u64s, &v64s)).abs() < 1e-12);
                for k in 0..width {
                    let (step, centre) = (1e-5, u64s[k]);
                    u64s[k] = centre + step;
                    let above = loss(&u64s, &v64s);
                    u64s[k] = centre - step;
                    let below = loss(&u64s, &v64s);
                    u64s[k] = centre;
                    // Nothing passes back where the ReLU let nothing pass.
                    let expected = if u[k] > 0.0 { (above - below) / (2.0 * step) } else { 0.0 };
                    // Truncation step²·|c'''|/6 ~ 1e-10, rounding 2⁻⁵³/step ~ 1e-11, and the result's rounding to f32.
                    assert!((f64::from(delta[k]) - expected).abs() < 1e-8 + 1e-7 * expected.abs(), "width {width} at {k}");
                }
            }
        }
    }

    #[test]
    fn equal_rows_have_no_loss_and_zero_rows_a_finite_gradient() {
        let mut delta = vec![f32::NAN; 4];
        let value = row_gradient::<Single>(1, plain(&[1.0, 2.0, 3.0]), plain(&[2.0, 4.0, 6.0]), &mut delta);
        assert!(value < 1e-12, "{value}");
        assert_eq!(delta[3], 0.0);
        let value = row_gradient::<Single>(1, plain(&[0.0; 3]), plain(&[1.0, 0.0, 0.0]), &mut delta);
        assert_eq!((value, delta), (1.0, vec![0.0; 4]));
        // A row so small that its squares are nothing beside the floor.
        let mut delta = vec![f32::NAN; 4];
        row_gradient::<Single>(1, plain(&[1e-20; 3]), plain(&[1.0, 0.0, 0.0]), &mut delta);
        assert!(delta.iter().all(|value| value.is_finite()), "{delta:?}");
    }

    /// Where u and v differ by a part in 10⁴ the textbook form `1 − c` keeps no digit in f32; this one keeps nearly all.
    #[test]
    fn small_losses_keep_their_digits() {
        let (u, v) = ([1.0f32, 1.0], [1.0f32, 1.0001]);
        let mut delta = vec![0.0; 2];
        let single = f64::from(row_gradient::<Single>(1, plain(&u), plain(&v), &mut delta));
        let exact = loss(&[1.0, 1.0], &[1.0, f64::from(v[1])]);
        // The difference of unit vectors, 5e-5, carries an absolute error of 2⁻²⁴ or so: a part in 10³.
        assert!((single - exact).abs() < 4e-3 * exact, "{single} {exact}");
    }
}
