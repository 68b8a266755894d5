//! Twin of `shaders/accuracy.wgsl`: right answers of A, of B and of the ensemble.

use crate::layout::{EVALUATION_METRICS, Layer, Step};

/// Adds each row's three right answers to `row_counts` `[replica, 3, batch]`. `labels` is `[batch]`; only the first
/// `step.row_count` rows count. Ties go to the first class.
pub fn accuracy(layer: &Layer, step: &Step, probabilities: &[f32], labels: &[u32], row_counts: &mut [f32]) {
    let batch_size = layer.batch_size as usize;
    for (replica, counts) in row_counts.chunks_exact_mut(EVALUATION_METRICS * batch_size).enumerate() {
        for row in 0..step.row_count as usize {
            let start = |model: usize| (2 * replica + model) * layer.output_len() + row * layer.output_stride();
            let [a, b] = [0, 1].map(|model| &probabilities[start(model)..][..layer.output_width as usize]);
            let mean: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + b).collect();
            for (metric, values) in [a, b, &mean].into_iter().enumerate() {
                let answer = (1..values.len()).fold(0, |best, k| if values[k] > values[best] { k } else { best });
                counts[metric * batch_size + row] += f32::from(u8::from(answer == labels[row] as usize));
            }
        }
    }
}
