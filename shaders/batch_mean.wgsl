// The mean over the batch of each output of a hidden layer, for losses that compare centred vectors:
//
//     means[slot, k] = (representations[slot, 0, k] + ... + representations[slot, batch - 1, k]) / batch
//
// One invocation a quad adds the rows in their order, so the bits are fixed; neighbours read neighbouring quads.
//
// Grid: x = quads (64 a workgroup), y = slots.   Memory: 16 bytes read a row and quad.   Twin: src/cpu/batch_mean.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> means: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let slot = id.y;
    if (quad >= layer.weight_quads) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var row = 0u; row < layer.batch_size; row++) {
        sum += representations[(slot * layer.batch_size + row) * layer.output_quads + quad];
    }
    means[slot * layer.weight_quads + quad] = sum / f32(layer.batch_size);
}
