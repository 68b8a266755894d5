// Loss and gradient of one hidden layer for every slot and row (shared/cosine_distance.wgsl states them).
//
// CENTRE: the vectors compared are the layer's outputs less their slot's means over the batch, which count as constants.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one row written.

#import RowLoss
#import cosine_loss

alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> shape: RowLoss;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> means: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;

fn representation(shape: LossShape, row: u32, quad: u32) -> vec4<f32> {
    var values = representations[row * shape.quads + quad];
    if (CENTRE) {
        values -= means[row / shape.batch_size * shape.quads + quad];
    }
    return values;
}

fn passes(shape: LossShape, row: u32, quad: u32) -> vec4<bool> {
    return representations[row * shape.quads + quad] > vec4<f32>(0.0);
}

fn store_delta(shape: LossShape, row: u32, quad: u32, delta: vec4<f32>) {
    deltas[row * shape.quads + quad] = delta;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = group.y;
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let clamped = min(batch_row, shape.batch_size - 1u);
    let keep = batch_row < shape.batch_size;
    let loss = cosine_loss(shape, slot * shape.batch_size + clamped, (slot ^ 1u) * shape.batch_size + clamped, thread, keep);
    if (keep && thread % LANES == 0u) {
        // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
        row_metrics[(slot * shape.metrics + shape.metric) * shape.batch_size + batch_row] += loss;
    }
}
