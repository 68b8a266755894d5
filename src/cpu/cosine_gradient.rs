//! Twin of `shaders/cosine_gradient.wgsl`, for one slot: a hidden layer's local loss and its gradient.

use super::{Arithmetic, Real};
use crate::layout::Layer;

/// Keeps the norm of an all-zero row from being zero; part of the loss's definition.
const SQUARE_FLOOR: f32 = 1e-12;

/// Writes `deltas` and adds each row's loss to `row_metrics`; `own` and `partner` are the representations of the slot and of
/// the other model. Shapes as in [`crate::layout`], without the slot axis.
pub fn cosine_gradient<A: Arithmetic>(
    layer: &Layer,
    relu_mask: bool,
    own: &[f32],
    partner: &[f32],
    deltas: &mut [A::Stored],
    row_metrics: &mut [A::Stored],
) {
    let width = layer.output_width as usize;
    let metrics = &mut row_metrics[layer.index as usize * layer.batch_size as usize..];
    let rows = own.chunks_exact(layer.output_stride()).zip(partner.chunks_exact(layer.output_stride()));
    for ((row, delta), metric) in rows.zip(deltas.chunks_exact_mut(layer.weight_stride())).zip(metrics) {
        let loss = A::run(
            #[inline(always)]
            || row_gradient::<A>(layer.batch_size, relu_mask, &row.0[..width], &row.1[..width], delta),
        );
        *metric = A::store(A::load(*metric) + loss);
    }
}

/// One image: fills `delta` and returns the loss `1 − c`.
#[inline(always)]
fn row_gradient<A: Arithmetic>(
    batch_size: u32,
    relu_mask: bool,
    own: &[f32],
    partner: &[f32],
    delta: &mut [A::Stored],
) -> A::Number {
    let lift = A::Number::lift;
    let (floor, one) = (lift(SQUARE_FLOOR), lift(1.0));
    let squares = |row: &[f32]| A::sum(row.iter().map(|&value| lift(value) * lift(value))) + floor;
    let (own_squares, partner_squares) = (squares(own), squares(partner));
    let (own_scale, partner_scale) = (one / own_squares.sqrt(), one / partner_squares.sqrt());
    let difference = |u: f32, v: f32| lift(u) * own_scale - lift(v) * partner_scale;
    let distance = A::sum(own.iter().zip(partner).map(|(&u, &v)| difference(u, v) * difference(u, v)));
    let loss = lift(0.5) * (distance + floor / own_squares + floor / partner_squares);
    let factor = own_scale / lift(batch_size as f32);
    delta[own.len()..].fill(0.0.into());
    for ((delta, &u), &v) in delta.iter_mut().zip(own).zip(partner) {
        let gradient = (difference(u, v) - loss * (lift(u) * own_scale)) * factor;
        *delta = if relu_mask && u <= 0.0 { 0.0.into() } else { A::store(gradient) };
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Double, Single};
    use crate::random::{Generator, Stream};

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
            let wide = |row: &[f32]| row.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            let (mut u64s, v64s) = (wide(&u), wide(&v));
            let mut delta = vec![f32::NAN; width];
            let value = row_gradient::<Double>(1, false, &u, &v, &mut delta);
            assert!((value - loss(&u64s, &v64s)).abs() < 1e-12);
            for k in 0..width {
                let (step, centre) = (1e-5, u64s[k]);
                u64s[k] = centre + step;
                let above = loss(&u64s, &v64s);
                u64s[k] = centre - step;
                let below = loss(&u64s, &v64s);
                u64s[k] = centre;
                let expected = (above - below) / (2.0 * step);
                // Truncation step²·|c'''|/6 ~ 1e-10, rounding 2⁻⁵³/step ~ 1e-11, and the result's rounding to f32.
                assert!((f64::from(delta[k]) - expected).abs() < 1e-8 + 1e-7 * expected.abs(), "width {width} at {k}");
            }
        }
    }

    #[test]
    fn equal_rows_have_no_loss_and_zero_rows_a_finite_gradient() {
        let mut delta = vec![f32::NAN; 4];
        let value = row_gradient::<Single>(1, true, &[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0], &mut delta);
        assert!(value < 1e-12, "{value}");
        assert_eq!(delta[3], 0.0);
        let value = row_gradient::<Single>(1, false, &[0.0; 3], &[1.0, 0.0, 0.0], &mut delta);
        assert_eq!(value, 1.0);
        assert!(delta.iter().all(|value| value.is_finite()));
        row_gradient::<Single>(1, true, &[0.0; 3], &[1.0, 0.0, 0.0], &mut delta);
        assert_eq!(delta, [0.0; 4]);
    }

    /// Where u and v differ by a part in 10⁴ the textbook form `1 − c` keeps no digit in f32; this one keeps nearly all.
    #[test]
    fn small_losses_keep_their_digits() {
        let (u, v) = ([1.0f32, 1.0], [1.0f32, 1.0001]);
        let mut delta = vec![0.0; 2];
        let single = f64::from(row_gradient::<Single>(1, false, &u, &v, &mut delta));
        let exact = loss(&[1.0, 1.0], &[1.0, f64::from(v[1])]);
        // The difference of unit vectors, 5e-5, carries an absolute error of 2⁻²⁴ or so: a part in 10³.
        assert!((single - exact).abs() < 4e-3 * exact, "{single} {exact}");
    }
}
