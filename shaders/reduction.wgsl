// Sums of rows of numbers: sums[first_sum + i] = values[i, 0] + ... + values[i, length - 1]. Turns the epoch's row metrics into the few
// numbers that the host reads. The order is fixed (64 strided partial sums, then a tree), so the bits are too.
//
// Grid: x = sums, one workgroup of 64 each.   Memory: 4 bytes read a value.

#import Reduction
#import tree_sum

@group(0) @binding(0) var<uniform> reduction: Reduction;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

const THREADS = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var index = lane; index < reduction.length; index += 64u) {
        sum += values[group.x * reduction.length + index];
    }
    let total = sum_over_workgroup(vec3<f32>(sum, 0.0, 0.0), lane).x;
    if (lane == 0u) {
        sums[reduction.first_sum + group.x] = total;
    }
}
