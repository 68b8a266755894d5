//! Twin of `shaders/softmax.wgsl`, for one slot: logits to probabilities, in place.

use super::{Arithmetic, Real};
use crate::layout::Layer;

/// Replaces the first `output_width` numbers of each row by their softmax; `rows` is `[batch, quads(classes + 1)]`.
pub fn softmax<A: Arithmetic>(layer: &Layer, rows: &mut [A::Stored]) {
    for row in rows.chunks_exact_mut(layer.output_stride()) {
        softmax_row::<A>(&mut row[..layer.output_width as usize]);
    }
}

fn softmax_row<A: Arithmetic>(row: &mut [A::Stored]) {
    let largest = row[1..].iter().fold(A::load(row[0]), |largest, &value| largest.max(A::load(value)));
    let term = |value: A::Stored| (A::load(value) - largest).exp();
    let sum = A::Number::sum(row.iter().map(|&value| term(value)));
    for value in row {
        *value = A::store(term(*value) / sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Double, Single};

    #[test]
    fn closed_forms() {
        let mut row = [1.0f32, 1.0, 1.0, 1.0];
        softmax_row::<Single>(&mut row);
        assert_eq!(row, [0.25; 4]);
        let mut row = [3f32.ln(), 0.0];
        softmax_row::<Double>(&mut row);
        // ln 3 is rounded to f32 first: half an ulp of it moves p by p(1 − p)·6e-8.
        assert!((row[0] - 0.75).abs() <= 6e-8 && (row[1] - 0.25).abs() <= 3e-8);
        let mut row = [3e38f32, 0.0, -3e38];
        softmax_row::<Single>(&mut row);
        assert_eq!(row, [1.0, 0.0, 0.0]);
    }
}
