// A batch from the resident data set: bytes to numbers, by the epoch's order.
//
//     inputs[view, row] = (table[pixels of image order[view, first_row + row]], 1, 0 ...)        labels[view, row] = its label
//
// A data set that exceeds one binding is cut into shards; the kernel runs once a shard, and a row is written by the one run
// whose shard holds its image. Rows past the batch's end repeat the last image; whoever reads them must ignore them.
//
// Grid: x = quads of a row (64 an invocation group), y = rows, z = views.
// Memory: 4 + 1 bytes read and 16 written a quad.   Twin: src/cpu/gather.rs

@group(0) @binding(0) var<uniform> shard: Shard;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> records: array<u32>;
@group(0) @binding(3) var<storage, read> orders: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<f32>;
@group(0) @binding(5) var<storage, read_write> inputs: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let row = id.y;
    let view = id.z;
    if (quad >= shard.input_quads) {
        return;
    }
    let position = step.first_row + min(row, step.row_count - 1u);
    let image = orders[view * shard.orders * shard.sample_count + position] - shard.first_image;
    // Images before the shard wrap around to huge numbers and fall out here as well.
    if (image >= shard.image_count) {
        return;
    }
    let record = image * shard.record_words;
    if (quad == 0u) {
        labels[view * shard.batch_size + row] = records[record + shard.record_words - 1u];
    }
    // A width that is a multiple of four has its constant 1 in a quad without pixels.
    let word = records[record + min(quad, shard.record_words - 2u)];
    let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    let numbers = vec4<f32>(table[bytes.x], table[bytes.y], table[bytes.z], table[bytes.w]);
    let pixel = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    let padding = select(vec4<f32>(0.0), vec4<f32>(1.0), pixel == vec4<u32>(shard.pixels));
    let values = select(padding, numbers, pixel < vec4<u32>(shard.pixels));
    inputs[(view * shard.batch_size + row) * shard.input_quads + quad] = values;
}
