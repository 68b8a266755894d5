//! Twin of `shaders/normalize_gradient.wgsl`, for one slot: the gradient through [`super::normalize`].

use super::normalize::scale;
use super::{Arithmetic, Real};
use crate::layout::Layer;

/// From `gradients` `[batch, quads(outputs)]` with respect to the normalised rows to `deltas` (the same shape) with respect to
/// the rows `outputs` `[batch, quads(outputs + 1)]`, or, if `layer.rectified`, to what was before their ReLU: `s (g − r (r·g))`
/// with the unit row `r` and the row's factor `s`.
pub fn normalize_gradient<A: Arithmetic>(
    layer: &Layer,
    unit: bool,
    outputs: &[f32],
    gradients: &[f32],
    deltas: &mut [A::Stored],
) {
    let width = layer.output_width as usize;
    let rows = outputs.chunks_exact(layer.output_stride()).zip(gradients.chunks_exact(layer.weight_stride()));
    for ((row, gradient), delta) in rows.zip(deltas.chunks_exact_mut(layer.weight_stride())) {
        A::run(
            #[inline(always)]
            || row_gradient::<A>(layer.rectified > 0, unit, &row[..width], gradient, delta),
        );
    }
}

#[inline(always)]
fn row_gradient<A: Arithmetic>(rectified: bool, unit: bool, row: &[f32], gradient: &[f32], delta: &mut [A::Stored]) {
    let lift = A::Number::lift;
    let (inverse, scale) = (scale::<A>(row, true), scale::<A>(row, unit));
    let along = A::sum(row.iter().zip(gradient).map(|(&value, &gradient)| lift(value) * inverse * lift(gradient)));
    delta[row.len()..].fill(0.0.into());
    for ((delta, &value), &gradient) in delta.iter_mut().zip(row).zip(gradient) {
        let through = (lift(gradient) - lift(value) * inverse * along) * scale;
        *delta = if rectified && value <= 0.0 { 0.0.into() } else { A::store(through) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Double;
    use crate::layout::SQUARE_FLOOR;
    use crate::random::{Generator, Stream};

    #[test]
    fn gradient_matches_finite_differences() {
        let mut generator = Generator::new(4, Stream::Check, 0);
        for width in [1usize, 3, 7, 32] {
            let row: Vec<f32> = (0..width).map(|_| generator.normal()).collect();
            let weights: Vec<f32> = (0..width).map(|_| generator.normal()).collect();
            for unit in [true, false] {
                // The loss that is linear in the normalised row has `weights` as its gradient there.
                let loss = |row: &[f64]| {
                    let squares = row.iter().map(|value| value * value).sum::<f64>() + f64::from(SQUARE_FLOOR);
                    let length = if unit { 1.0 } else { (width as f64).sqrt() };
                    row.iter().zip(&weights).map(|(a, &b)| a * f64::from(b)).sum::<f64>() * length / squares.sqrt()
                };
                let mut delta = vec![f32::NAN; width];
                row_gradient::<Double>(false, unit, &row, &weights, &mut delta);
                let mut moved: Vec<f64> = row.iter().map(|&value| value.into()).collect();
                for k in 0..width {
                    let (step, centre) = (1e-5, moved[k]);
                    moved[k] = centre + step;
                    let above = loss(&moved);
                    moved[k] = centre - step;
                    let expected = (above - loss(&moved)) / (2.0 * step);
                    moved[k] = centre;
                    // Truncation step² |f'''| / 6 with f''' below 10³ here, rounding 2⁻⁵³/step, and the result's rounding to f32.
                    assert!((f64::from(delta[k]) - expected).abs() < 3e-8 + 1e-7 * expected.abs(), "{width} {unit} at {k}");
                }
            }
        }
    }

    #[test]
    fn what_the_relu_stopped_gets_nothing() {
        let mut delta = [f32::NAN; 4];
        row_gradient::<Double>(true, true, &[0.0, 3.0, 4.0], &[1.0, 1.0, 0.0, 9.0], &mut delta);
        // (g − r (r·g)) / 5 with r = (0, 0.6, 0.8), r·g = 0.6.
        assert!((delta[1] - 0.128).abs() < 1e-7 && (delta[2] + 0.096).abs() < 1e-7, "{delta:?}");
        assert_eq!([delta[0], delta[3]], [0.0; 2]);
    }
}
