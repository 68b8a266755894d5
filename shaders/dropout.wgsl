// dropout
// Leaves units of a hidden layer out by chance, for every slot, in place:
//
//     rows[k] = factor rows[k] where a random word is at least the threshold, else 0        factor = 1 / (1 - share)
//
// The word of a unit follows from the seed, the layer, the model, the epoch, and the row's place in the epoch's order: a step's outputs
// and its deltas meet the same ones.
//
// Grid: x = quads of a row (64 a workgroup), y = rows, z = slots.
// Memory: 16 bytes read and written a quad.

#import Dropout
#import Step
#import random

@group(0) @binding(0) var<uniform> shape: Dropout;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let row = id.y;
    let slot = id.z;
    if (quad >= shape.quads) {
        return;
    }
    let seed = replica_seed(vec2<u32>(shape.seed_low, shape.seed_high), slot >> 1u);
    let counter = vec2<u32>((step.first_row + row) * shape.quads + quad, step.epoch);
    let words = philox(seed, shape.stream + ((slot & 1u) << 16u), counter);
    let at = (slot * shape.rows + row) * shape.quads + quad;
    rows[at] = select(vec4<f32>(0.0), shape.factor * rows[at], words >= vec4<u32>(shape.threshold));
}
