// The order of an epoch: for each replica a pseudo-random permutation of 0 .. sample_count - 1.
//
// Each position is computed on its own, without sorting or communication: a Feistel network permutes the smallest power of two
// that holds all samples, and a position that lands outside is sent through again until it lands inside (cycle walking; fewer
// than two passes on average). A permutation of a finite set always comes back, so the walk ends.
//
// HALVES: not all samples have labels. The first rows of each batch are drawn from those with labels, the others from those without:
// `samples` has the numbers of the former, then of the latter. Each half begins a new permutation where it has used one up.
//
// FOLDS: each replica leaves samples out. `samples` has for each the numbers of those that it learns from, which are permuted, then of the
// others, which stand behind them as they are.
//
// Grid: 64 invocations a workgroup, striding over replicas x samples.   Memory: 4 bytes written a sample.

#import Shuffle
#import Step
#import random

@group(0) @binding(0) var<uniform> shuffle: Shuffle;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read_write> orders: array<u32>;
@group(0) @binding(3) var<storage, read> samples: array<u32>;

fn mix(half: u32, key: u32) -> u32 {
    var hash = (half ^ key) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13u)) * 0xc2b2ae35u;
    return hash ^ (hash >> 16u);
}

// A permutation of the numbers below `count`: one of those of an epoch and a seed.
fn permuted(position: u32, count: u32, seed: vec2<u32>, number: u32) -> u32 {
    // Even 1 and 2 samples need both halves of the network to exist.
    let bits = max(2u, 32u - countLeadingZeros(count - 1u));
    let right_bits = bits / 2u;
    let right_mask = (1u << right_bits) - 1u;
    let left_mask = (1u << (bits - right_bits)) - 1u;
    let even_keys = philox(seed, shuffle.stream, vec2<u32>(step.epoch, 2u * number));
    let odd_keys = philox(seed, shuffle.stream, vec2<u32>(step.epoch, 2u * number + 1u));
    var value = position;
    loop {
        var left = value >> right_bits;
        var right = value & right_mask;
        for (var round = 0u; round < 4u; round++) {
            left ^= mix(right, even_keys[round]) & left_mask;
            right ^= mix(left, odd_keys[round]) & right_mask;
        }
        value = (left << right_bits) | right;
        if (value < count) {
            break;
        }
    }
    return value;
}

// What stands at a position of the epoch: drawn from the samples with labels in the first rows of a batch, else from the others.
fn drawn(position: u32, seed: vec2<u32>) -> u32 {
    let labelled_rows = (shuffle.batch_size + 1u) / 2u;
    let batch = position / shuffle.batch_size;
    let row = position % shuffle.batch_size;
    let half = select(0u, 1u, row >= labelled_rows);
    let first = half * shuffle.labelled;
    let count = select(shuffle.labelled, shuffle.sample_count - shuffle.labelled, half == 1u);
    let rows = select(labelled_rows, shuffle.batch_size - labelled_rows, half == 1u);
    // How many were drawn from this half before.
    let before = batch * rows + row - half * labelled_rows;
    let place = before % count;
    if (shuffle.enabled == 0u) {
        return samples[first + place];
    }
    return samples[first + permuted(place, count, seed, 2u * (before / count) + half)];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let total = shuffle.replicas * shuffle.sample_count;
    for (var index = id.x; index < total; index += groups.x * 64u) {
        let replica = index / shuffle.sample_count;
        let position = index % shuffle.sample_count;
        let seed = replica_seed(vec2<u32>(shuffle.seed_low, shuffle.seed_high), replica);
        if (HALVES) {
            orders[index] = drawn(position, seed);
        } else if (FOLDS) {
            var place = position;
            if (shuffle.enabled == 1u && position < shuffle.labelled) {
                place = permuted(position, shuffle.labelled, seed, 0u);
            }
            orders[index] = samples[replica * shuffle.sample_count + place];
        } else if (shuffle.enabled == 0u) {
            orders[index] = position;
        } else {
            orders[index] = permuted(position, shuffle.sample_count, seed, 0u);
        }
    }
}
