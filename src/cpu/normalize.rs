//! Twin of `shaders/normalize.wgsl`, for one slot: rows brought to one length.

use super::{Arithmetic, Real};
use crate::layout::{Layer, SQUARE_FLOOR};

/// The length that rows of `layer`'s outputs get: 1 for prototypes (`unit`), √width for the next layer, so that its inputs are of
/// order 1 on average.
pub fn length(layer: &Layer, unit: bool) -> f32 {
    if unit { 1.0 } else { (layer.output_width as f32).sqrt() }
}

/// `normalized = length · row / sqrt(|row|² + 1e-12)` for each row of `outputs`; both `[batch, quads(outputs + 1)]`, with the
/// constant 1 behind the row.
pub fn normalize<A: Arithmetic>(layer: &Layer, unit: bool, outputs: &[f32], normalized: &mut [A::Stored]) {
    let (width, stride) = (layer.output_width as usize, layer.output_stride());
    for (row, target) in outputs.chunks_exact(stride).zip(normalized.chunks_exact_mut(stride)) {
        A::run(
            #[inline(always)]
            || {
                let scale = scale::<A>(&row[..width], unit);
                for (target, &value) in target.iter_mut().zip(&row[..width]) {
                    *target = A::store(A::Number::lift(value) * scale);
                }
            },
        );
        target[width..].fill(0.0.into());
        target[width] = 1.0.into();
    }
}

/// What a row is multiplied by.
#[inline(always)]
pub(super) fn scale<A: Arithmetic>(row: &[f32], unit: bool) -> A::Number {
    let squares = A::sum(row.iter().map(|&value| A::Number::lift(value) * A::Number::lift(value)));
    let one = A::Number::lift(1.0) / (squares + A::Number::lift(SQUARE_FLOOR)).sqrt();
    if unit { one } else { A::Number::lift(row.len() as f32).sqrt() * one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Double;
    use crate::layout::Views;
    use crate::model::Architecture;

    #[test]
    fn rows_get_their_length_and_zeros_stay() {
        let layer = Layer::new(&Architecture::new(vec![3, 4, 2]).unwrap(), 0, 2, Views::Replica);
        let rows = [3.0, 0.0, 4.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let mut target = [f32::NAN; 16];
        normalize::<Double>(&layer, true, &rows, &mut target);
        assert_eq!(target, [0.6, 0.0, 0.8, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        normalize::<Double>(&layer, false, &rows, &mut target);
        assert_eq!(target[..4], [1.2, 0.0, 1.6, 0.0]);
    }
}
