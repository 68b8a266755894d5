// Rows of the resident data set: bytes that go through a table, or features as they are (FEATURES).
//
// Who imports it binds `records`, `orders` and `table`.

// The image that stands in a row of a view's batch. Rows past the batch's end repeat the last image.
fn image_of(shard: Shard, step: Step, view: u32, row: u32) -> u32 {
    let position = step.first_row + min(row, step.row_count - 1u);
    return orders[(view >> shard.order_shift) * shard.sample_count + position];
}

// Four numbers of the record that begins at `record`; those behind the last pixel are for `padded` to remove.
fn record_quad(record: u32, quad: u32) -> vec4<f32> {
    if (FEATURES) {
        let first = record + 4u * quad;
        return bitcast<vec4<f32>>(vec4<u32>(records[first], records[first + 1u], records[first + 2u], records[first + 3u]));
    }
    let word = records[record + quad];
    let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return vec4<f32>(table[bytes.x], table[bytes.y], table[bytes.z], table[bytes.w]);
}

// Zeros behind the last pixel.
fn padded(shard: Shard, quad: u32, numbers: vec4<f32>) -> vec4<f32> {
    let pixel = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), numbers, pixel < vec4<u32>(shard.pixels));
}

fn label_of(shard: Shard, record: u32) -> u32 {
    return records[record + shard.record_words - 1u];
}
