// Loss and gradient of one hidden layer for every slot and row (shared/cosine_distance.wgsl states them).
//
// RELU_MASK: representations are relu(z); otherwise z. CENTRE: the vectors compared are those less their slot's means over the
// batch, which count as constants.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one row written.   Twin: src/cpu/cosine_gradient.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> means: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;

fn representation(layer: Layer, row: u32, quad: u32) -> vec4<f32> {
    var values = representations[row * layer.output_quads + quad];
    if (CENTRE) {
        values -= means[row / layer.batch_size * layer.weight_quads + quad];
    }
    return outputs_only(layer, quad, values);
}

fn passes(layer: Layer, row: u32, quad: u32) -> vec4<bool> {
    return vec4<bool>(!RELU_MASK) | (representations[row * layer.output_quads + quad] > vec4<f32>(0.0));
}

fn store_delta(layer: Layer, row: u32, quad: u32, delta: vec4<f32>) {
    deltas[row * layer.weight_quads + quad] = delta;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = group.y;
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let clamped = min(batch_row, layer.batch_size - 1u);
    let keep = batch_row < layer.batch_size;
    let loss = cosine_loss(layer, slot * layer.batch_size + clamped, (slot ^ 1u) * layer.batch_size + clamped, thread, keep);
    if (keep && thread % LANES == 0u) {
        // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
        row_metrics[(slot * (layer.layer_count + 1u) + layer.index) * layer.batch_size + batch_row] += loss;
    }
}
