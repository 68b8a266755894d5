// class_prototypes
// The mean direction of each class among a batch's unit rows, for every slot:
//
//     sum_k = sum of rows[j] over the batch's j of class k,   prototypes[k] = sum_k / sqrt(|sum_k|² + 1e-12)
//     counts[k] = images of class k in the batch
//
// WEIGHTED: only rows whose weight is above 0, those of the slot itself or, SELECTOR, of its partner.
//
// AHEAD rows are loaded before the first one is added: on GPUs a sum would wait for each.
//
// 64 invocations share a class and own every 64th of its numbers, each summed in the batch's order: no atomics, fixed bits.
//
// Grid: x = classes, y = slots.
// Memory: the labels, the rows of one class once, and its prototype written once and scaled once.

#import constants
#import Prototypes
#import tree_sum

@group(0) @binding(0) var<uniform> shape: Prototypes;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> prototypes: array<f32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;

const THREADS = 64u;

fn takes_part(slot: u32, row: u32) -> bool {
    return !WEIGHTED || weights[(slot ^ SELECTOR) * shape.batch_size + row] > 0.0;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let label = group.x;
    let slot = group.y;
    let stride = 4u * shape.quads;
    let first_label = (slot >> shape.label_shift) * shape.batch_size;
    let prototype = (slot * shape.classes + label) * stride;
    var squares = 0.0;
    for (var k = thread; k < stride; k += THREADS) {
        var sum = 0.0;
        var count = 0u;
        for (var row = 0u; row < shape.batch_size; row += AHEAD) {
            var met: array<bool, AHEAD>;
            var number: array<f32, AHEAD>;
            for (var i = 0u; i < AHEAD; i++) {
                let at = min(row + i, shape.batch_size - 1u);
                met[i] = row + i < shape.batch_size && labels[first_label + at] == label && takes_part(slot, at);
                // One row at a time is loaded only where it counts.
                if (AHEAD > 1u || met[i]) {
                    number[i] = rows[(slot * shape.batch_size + at) * stride + k];
                }
            }
            for (var i = 0u; i < AHEAD; i++) {
                // No sum is -0, so that adding 0 changes nothing.
                sum += select(0.0, number[i], met[i]);
                count += select(0u, 1u, met[i]);
            }
        }
        prototypes[prototype + k] = sum;
        squares += sum * sum;
        if (k == 0u) {
            counts[slot * shape.classes + label] = count;
        }
    }
    let scale = 1.0 / sqrt(sum_over_workgroup(vec3<f32>(squares, 0.0, 0.0), thread).x + SQUARE_FLOOR);
    // Each invocation takes up again what it wrote itself.
    for (var k = thread; k < stride; k += THREADS) {
        prototypes[prototype + k] *= scale;
    }
}
