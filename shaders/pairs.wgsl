// The pairs of a step, for every slot and row of the batch: a random other row of the same class and a random row of another one,
//
//     pairs[slot, row] = (p, q)        p uniform among the rows other than this with its label, q among those with another label,
//                                      NO_ROW where there is no such row
//
// New for each step and model, the same for all layers of a model: words 0 and 1 of the model's random stream at the row's position in
// the epoch and the epoch. A word picks by rank: the rows that match are counted, then the one of the drawn rank is looked up.
//
// Grid: x = rows (64 a workgroup), y = slots.
// Memory: the labels read twice (cached) by each row, 8 bytes written.

#import constants
#import Pairs
#import Step
#import random

@group(0) @binding(0) var<uniform> shape: Pairs;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> pairs: array<vec2<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= shape.batch_size) {
        return;
    }
    let first_label = (slot >> shape.label_shift) * shape.batch_size;
    let label = labels[first_label + row];
    var equal = 0u;
    for (var other = 0u; other < shape.batch_size; other++) {
        equal += select(0u, 1u, labels[first_label + other] == label);
    }
    let seed = replica_seed(vec2<u32>(shape.seed_low, shape.seed_high), slot >> 1u);
    let words = philox(seed, shape.stream + (slot & 1u), vec2<u32>(step.first_row + row, step.epoch));
    // A rank among no rows is 0, and is never met. The row itself is one of those with its label.
    let ranks = vec2<u32>(multiply_high(words.x, equal - 1u), multiply_high(words.y, shape.batch_size - equal));
    var met = vec2<u32>(0u);
    var pair = vec2<u32>(NO_ROW);
    for (var other = 0u; other < shape.batch_size; other++) {
        let same = labels[first_label + other] == label;
        let matches = vec2<bool>(same && other != row, !same);
        pair = select(pair, vec2<u32>(other), matches & (met == ranks));
        met += select(vec2<u32>(0u), vec2<u32>(1u), matches);
    }
    pairs[slot * shape.batch_size + row] = pair;
}
