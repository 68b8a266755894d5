//! Twin of `shaders/gather.wgsl`, for one view: a batch from the resident data set.

use crate::layout::{Shard, Step};

/// Writes the rows of `inputs` `[batch, quads(pixels + 1)]` and `labels` `[batch]` whose images lie in the shard `records`.
/// `order` is the view's, `[sample_count]`; `table` gives each byte's number.
pub fn gather(
    shard: &Shard,
    step: &Step,
    records: &[u32],
    order: &[u32],
    table: &[f32; 256],
    inputs: &mut [f32],
    labels: &mut [u32],
) {
    let pixels = shard.pixels as usize;
    for (row, (target, label)) in inputs.chunks_exact_mut(4 * shard.input_quads as usize).zip(labels).enumerate() {
        let position = step.first_row + (row as u32).min(step.row_count - 1);
        let image = order[position as usize];
        let Some(image) = image.checked_sub(shard.first_image).filter(|&image| image < shard.image_count) else { continue };
        let record = &records[image as usize * shard.record_words as usize..][..shard.record_words as usize];
        for (quad, word) in target.chunks_exact_mut(4).zip(record) {
            for (value, byte) in quad.iter_mut().zip(word.to_le_bytes()) {
                *value = table[usize::from(byte)];
            }
        }
        target[pixels..].fill(0.0);
        target[pixels] = 1.0;
        *label = record[record.len() - 1];
    }
}
