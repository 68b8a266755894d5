//! Twin of `shaders/class_prototypes.wgsl`, for one slot: the mean direction of each class, as the weights of a layer.

use super::{Arithmetic, Real};
use crate::layout::{ABSENT, Layer, SQUARE_FLOOR};

/// Fills the prototypes' part of `weights`, which is laid out as the guide layer's: column k holds `C_k / τ`, where `C_k` is the
/// sum of class k's unit rows brought to unit length, and below it 0, or [`ABSENT`]. `rows` is `[batch, quads(inputs + 1)]`,
/// `labels` `[batch]`.
pub fn class_prototypes<A: Arithmetic>(guide: &Layer, rows: &[f32], labels: &[u32], weights: &mut [A::Stored]) {
    let lift = A::Number::lift;
    let (width, stride) = (guide.input_width as usize, guide.weight_stride());
    let mut sums = vec![lift(0.0); width];
    for class in 0..guide.output_width as usize {
        sums.fill(lift(0.0));
        let mut present = false;
        let members = rows.chunks_exact(guide.input_stride()).zip(labels).filter(|&(_, &label)| label as usize == class);
        for (row, _) in members {
            present = true;
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum = *sum + lift(value));
        }
        let squares = A::sum(sums.iter().map(|&sum| sum * sum)) + lift(SQUARE_FLOOR);
        let scale = lift(guide.inverse_temperature) / squares.sqrt();
        for (row, &sum) in weights.chunks_exact_mut(stride).zip(&sums) {
            row[class] = A::store(sum * scale);
        }
        weights[width * stride + class] = if present { 0.0 } else { ABSENT }.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainingConfig;
    use crate::cpu::Double;
    use crate::layout::Views;
    use crate::model::Architecture;

    #[test]
    fn prototypes_are_mean_directions_over_the_temperature() {
        let hidden = Layer::new(&Architecture::new(vec![9, 2, 3]).unwrap(), 0, 3, Views::Replica);
        let guide = hidden.guide(3, &TrainingConfig { temperature: 0.5, ..TrainingConfig::default() });
        let mut weights = vec![0.0f32; guide.weight_len()];
        let rows = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.6, 0.8, 1.0, 0.0];
        class_prototypes::<Double>(&guide, &rows, &[0, 0, 2], &mut weights);
        let half = 2.0 * 0.5f32.sqrt();
        assert_eq!(weights[..4], [half, 0.0, 1.2, 0.0]);
        assert_eq!(weights[4..8], [half, 0.0, 1.6, 0.0]);
        assert_eq!(weights[8..12], [0.0, ABSENT, 0.0, 0.0]);
        assert!(weights[12..].iter().all(|&padding| padding == 0.0));
    }
}
