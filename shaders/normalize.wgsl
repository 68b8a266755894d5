// Rows brought to one length, for every slot:
//
//     normalized = length * row / sqrt(|row|² + 1e-12)        length: 1 if UNIT, else sqrt(width)
//
// Behind a row stands the constant 1, as behind any activations.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: a row read twice (cached), written once.   Twin: src/cpu/normalize.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> normalized: array<vec4<f32>>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let first = (group.y * layer.batch_size + min(batch_row, layer.batch_size - 1u)) * layer.output_quads;
    let lane = thread % LANES;
    var squares = 0.0;
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let values = outputs_only(layer, quad, outputs[first + quad]);
        squares += dot(values, values);
    }
    let scale = row_scale(layer, UNIT, sum_over_lanes(vec2<f32>(squares, 0.0), thread).x);
    if (batch_row < layer.batch_size) {
        for (var quad = lane; quad < layer.output_quads; quad += LANES) {
            let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
            let one = select(vec4<f32>(0.0), vec4<f32>(1.0), position == vec4<u32>(layer.output_width));
            normalized[first + quad] = outputs_only(layer, quad, outputs[first + quad]) * scale + one;
        }
    }
}
