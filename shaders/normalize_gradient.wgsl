// The gradient through normalize.wgsl, for every slot and row (shared/normalize_gradient.wgsl states it).
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one written.

#import Rows
#import normalize_gradient

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;

fn normalized_row(row: u32, quad: u32) -> vec4<f32> {
    return outputs[row * shape.quads + quad];
}

fn gradient_quad(row: u32, quad: u32) -> vec4<f32> {
    return gradients[row * shape.quads + quad];
}

fn store_gradient(row: u32, quad: u32, delta: vec4<f32>) {
    deltas[row * shape.quads + quad] = delta;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let row = group.y * shape.rows + min(batch_row, shape.rows - 1u);
    normalize_gradient(shape.width, shape.quads, shape.rectified > 0u, UNIT, row, thread, batch_row < shape.rows);
}
