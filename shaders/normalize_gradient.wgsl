// The gradient through normalize.wgsl, for every slot and row: with the unit row r = row / n, n² = |row|² + 1e-12, and the row's
// factor s = length / n,
//
//     delta = s (g - r (r.g))        and 0 where the row is a rectified output that is 0
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one written.

#import Rows
#import lanes
#import row_scale

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch_row = group.x * ROWS + thread / LANES;
    let row = group.y * shape.batch_size + min(batch_row, shape.batch_size - 1u);
    let first = row * shape.quads;
    let lane = thread % LANES;
    var sums = vec2<f32>(0.0);
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        let values = outputs[first + quad];
        sums.x += dot(values, values);
    }
    sums.x = sum_over_lanes(sums, thread).x;
    let inverse = row_scale(shape.width, true, sums.x);
    let scale = row_scale(shape.width, UNIT, sums.x);
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        let unit_row = outputs[first + quad] * inverse;
        sums.y += dot(unit_row, gradients[first + quad]);
    }
    let along = sum_over_lanes(vec2<f32>(0.0, sums.y), thread).y;
    if (batch_row < shape.batch_size) {
        for (var quad = lane; quad < shape.quads; quad += LANES) {
            let values = outputs[first + quad];
            let delta = (gradients[first + quad] - values * inverse * along) * scale;
            let passes = vec4<bool>(shape.rectified == 0u) | (values > vec4<f32>(0.0));
            deltas[first + quad] = select(vec4<f32>(0.0), delta, passes);
        }
    }
}
