//! Twin of `shaders/batch_mean.wgsl`, for one slot: the mean over the batch of each output of a hidden layer.

use super::{Arithmetic, Real};
use crate::layout::Layer;

/// Writes the first `output_width` of `means` `[quads(outputs)]` from the rows of `representations` `[batch, quads(outputs + 1)]`.
/// (What the kernel writes behind them nobody reads.)
pub fn batch_mean<A: Arithmetic>(layer: &Layer, representations: &[f32], means: &mut [A::Stored]) {
    let count = A::Number::lift(layer.batch_size as f32);
    for (output, mean) in means[..layer.output_width as usize].iter_mut().enumerate() {
        let rows = representations.chunks_exact(layer.output_stride());
        *mean = A::store(A::sum(rows.map(|row| A::Number::lift(row[output]))) / count);
    }
}
