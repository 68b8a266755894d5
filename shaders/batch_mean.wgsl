// The mean over the batch of each output of a hidden layer, for losses that compare centred vectors:
//
//     means[slot, k] = (representations[slot, 0, k] + ... + representations[slot, batch - 1, k]) / batch
//
// One invocation a quad adds the rows in their order, so the bits are fixed; neighbours read neighbouring quads.
//
// Grid: x = quads (64 a workgroup), y = slots.   Memory: 16 bytes read a row and quad.

#import Rows

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> means: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let slot = id.y;
    if (quad >= shape.quads) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var row = 0u; row < shape.rows; row++) {
        sum += representations[(slot * shape.rows + row) * shape.quads + quad];
    }
    means[slot * shape.quads + quad] = sum / f32(shape.rows);
}
