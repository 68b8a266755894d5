//! normalize_gradient: from the gradient of normalised rows to that of the rows.

use super::case::{BATCHES, Contents, SIZES, Take};
use super::normalize::scale;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Rows, Step};

/// The gradient through [`super::normalize`], and through the ReLU before it.
///
/// In bounds: as `normalize`; all three tensors have the same shape.
#[derive(Clone, Debug)]
pub struct NormalizeGradient {
    /// The rows.
    pub shape: Rows,
    /// They were brought to length 1, else √width.
    pub unit: bool,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// The same shape: with respect to the normalised rows.
    pub gradients: Tensor,
    /// The same shape.
    pub deltas: Tensor,
}

impl Describe for NormalizeGradient {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::read(self.gradients), Operand::write(self.deltas)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        launch.rows(Kernel::NormalizeGradient).flag("UNIT", self.unit)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        launch.row_groups(self.shape.rows)
    }
}

impl NormalizeGradient {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut deltas = memory.take(self.deltas);
        let (rows, gradients) = (memory.own(self.rows), memory.own(self.gradients));
        normalize_gradient::<A>(&self.shape, self.unit, rows, gradients, &mut deltas);
        memory.put(self.deltas, Data::Numbers(deltas));
    }
}

/// From `gradients` `[batch, quads(width)]` with respect to the normalised rows to `deltas` (the same shape) with respect to
/// the rows `outputs` (the same shape), or, if `shape.rectified`, to what was before their ReLU: `s (g − r (r·g))`
/// with the unit row `r` and the row's factor `s`.
pub fn normalize_gradient<A: Arithmetic>(shape: &Rows, unit: bool, outputs: &[f32], gradients: &[f32], deltas: &mut [A::Stored]) {
    let width = shape.width as usize;
    let rows = outputs.chunks_exact(shape.stride()).zip(gradients.chunks_exact(shape.stride()));
    for ((row, gradient), delta) in rows.zip(deltas.chunks_exact_mut(shape.stride())) {
        A::run(
            #[inline(always)]
            || row_gradient::<A>(shape.rectified > 0, unit, &row[..width], gradient, delta),
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

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for width in SIZES {
        for batch_size in BATCHES {
            // A hidden layer's rectified rows, and a projection's.
            for (unit, rectified) in [(true, true), (true, false), (false, true)] {
                let shape = Rows::new(width, batch_size, rectified);
                let mut contents = Contents::new(number);
                let operation = NormalizeGradient {
                    shape,
                    unit,
                    rows: if rectified {
                        contents.rectified_rows(Level::Slot, batch_size, width)
                    } else {
                        contents.rows(Level::Slot, batch_size, width)
                    },
                    gradients: contents.rows(Level::Slot, batch_size, width),
                    deltas: contents.poison(Level::Slot, shape.len()),
                };
                let name = format!("{width} batch {batch_size} unit {unit} rectified {rectified}");
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
    use crate::arithmetic::Double;
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
