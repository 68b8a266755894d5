//! Twin of `shaders/accuracy.wgsl`, for one replica: right answers of A, of B and of the ensemble.

use crate::layout::{EVALUATION_METRICS, Layer, Step};

/// Adds each row's three right answers to `row_counts` `[3, batch]`, from the `probabilities` of A and of B
/// `[batch, quads(classes + 1)]` and the `labels` `[batch]`; only the first `step.row_count` rows count. Ties go to the first
/// class.
pub fn accuracy(layer: &Layer, step: &Step, probabilities: [&[f32]; 2], labels: &[u32], row_counts: &mut [f32]) {
    let (batch_size, classes) = (layer.batch_size as usize, layer.output_width as usize);
    let [rows_a, rows_b] = probabilities.map(|rows| rows.chunks_exact(layer.output_stride()));
    for (row, (a, b)) in rows_a.zip(rows_b).take(step.row_count as usize).enumerate() {
        let answers =
            [&|k: usize| a[k], &|k: usize| b[k], &|k: usize| a[k] + b[k]] as [&dyn Fn(usize) -> f32; EVALUATION_METRICS];
        for (metric, value) in answers.into_iter().enumerate() {
            let answer = (1..classes).fold(0, |best, k| if value(k) > value(best) { k } else { best });
            row_counts[metric * batch_size + row] += f32::from(u8::from(answer == labels[row] as usize));
        }
    }
}
