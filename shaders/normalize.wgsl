// Rows brought to one length, for every slot:
//
//     normalized = length * row / sqrt(|row|² + 1e-12)        length: 1 if UNIT, else sqrt(width)
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: a row read twice (cached), written once.

#import Rows
#import lanes
#import row_scale

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> normalized: array<vec4<f32>>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let first = (group.y * shape.rows + min(batch_row, shape.rows - 1u)) * shape.quads;
    let lane = thread % LANES;
    var squares = 0.0;
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        let values = outputs[first + quad];
        squares += dot(values, values);
    }
    let scale = row_scale(shape.width, UNIT, sum_over_lanes(vec2<f32>(squares, 0.0), thread).x);
    if (batch_row < shape.rows) {
        for (var quad = lane; quad < shape.quads; quad += LANES) {
            normalized[first + quad] = outputs[first + quad] * scale;
        }
    }
}
