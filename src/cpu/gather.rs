//! Twin of `shaders/gather.wgsl`: a batch from the resident data set.

use crate::layout::{Shard, Step};

/// Writes the rows of `inputs` `[view, batch, quads(pixels + 1)]` and `labels` `[view, batch]` whose images lie in the shard
/// `records`. `orders` is `[view or 1, sample_count]`, `table` gives each byte's number.
pub fn gather(
    shard: &Shard,
    step: &Step,
    records: &[u32],
    orders: &[u32],
    table: &[f32],
    inputs: &mut [f32],
    labels: &mut [u32],
) {
    let (batch_size, stride) = (shard.batch_size as usize, 4 * shard.input_quads as usize);
    for (index, target) in inputs.chunks_exact_mut(stride).enumerate() {
        let (view, row) = (index / batch_size, index % batch_size);
        let position = step.first_row + (row as u32).min(step.row_count - 1);
        let image = orders[view * (shard.orders * shard.sample_count) as usize + position as usize];
        let Some(image) = image.checked_sub(shard.first_image).filter(|&image| image < shard.image_count) else { continue };
        let record = &records[image as usize * shard.record_words as usize..][..shard.record_words as usize];
        labels[index] = record[record.len() - 1];
        let pixels = shard.pixels as usize;
        for (pixel, value) in target[..pixels].iter_mut().enumerate() {
            *value = table[(record[pixel / 4] >> (8 * (pixel % 4)) & 0xff) as usize];
        }
        target[pixels..].fill(0.0);
        target[pixels] = 1.0;
    }
}
