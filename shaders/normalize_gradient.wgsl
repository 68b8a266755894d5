// The gradient through normalize.wgsl, for every slot and row: with the unit row r = row / n, n² = |row|² + 1e-12, and the row's
// factor s = length / n,
//
//     delta = s (g - r (r.g))        and 0 where the row is a rectified output that is 0
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one written.   Twin: src/cpu/normalize_gradient.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch_row = group.x * ROWS + thread / LANES;
    let row = group.y * layer.batch_size + min(batch_row, layer.batch_size - 1u);
    let output = row * layer.output_quads;
    let gradient = row * layer.weight_quads;
    let lane = thread % LANES;
    var sums = vec2<f32>(0.0);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let values = outputs_only(layer, quad, outputs[output + quad]);
        sums.x += dot(values, values);
    }
    sums.x = sum_over_lanes(sums, thread).x;
    let inverse = row_scale(layer, true, sums.x);
    let scale = row_scale(layer, UNIT, sums.x);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let unit_row = outputs_only(layer, quad, outputs[output + quad]) * inverse;
        sums.y += dot(unit_row, gradients[gradient + quad]);
    }
    let along = sum_over_lanes(vec2<f32>(0.0, sums.y), thread).y;
    if (batch_row < layer.batch_size) {
        for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
            let values = outputs_only(layer, quad, outputs[output + quad]);
            let delta = (gradients[gradient + quad] - values * inverse * along) * scale;
            let passes = vec4<bool>(layer.rectified == 0u) | (values > vec4<f32>(0.0));
            deltas[gradient + quad] = outputs_only(layer, quad, select(vec4<f32>(0.0), delta, passes));
        }
    }
}
