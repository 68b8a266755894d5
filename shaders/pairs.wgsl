// The pairs of a step, for every slot and row of the batch: a random other row of the same class and a random row of another one,
//
//     pairs[slot, row] = (p, q)        p uniform among the rows other than this with its label, q among those with another label,
//                                      NO_ROW where there is no such row
//
// New for each step and model, the same for all layers of a model: words 0 and 1 of the model's random stream at the row's position in
// the epoch and the epoch. A word picks by rank: the rows that match are counted, then the one of the drawn rank is looked up.
//
// Grid: x = rows (64 a workgroup), y = slots.
// Memory: the labels read twice by each workgroup, 8 bytes a row written.

#import constants
#import Pairs
#import Step
#import random

@group(0) @binding(0) var<uniform> shape: Pairs;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> pairs: array<vec2<u32>>;

// Labels at which all invocations look, several an invocation.
const THREADS = 64u;
const STAGED = 4u * THREADS;
var<workgroup> staged: array<u32, STAGED>;

// Brings those from row `first` on, `count` of them, by all invocations together.
fn stage(first: u32, count: u32, thread: u32) {
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
        staged[thread + i * THREADS] = labels[first + min(thread + i * THREADS, count - 1u)];
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = min(id.x, shape.batch_size - 1u);
    let slot = id.y;
    let first_label = (slot >> shape.label_shift) * shape.batch_size;
    let label = labels[first_label + row];
    var equal = 0u;
    for (var first = 0u; first < shape.batch_size; first += STAGED) {
        let count = min(STAGED, shape.batch_size - first);
        stage(first_label + first, count, thread);
        for (var i = 0u; i < count; i++) {
            equal += select(0u, 1u, staged[i] == label);
        }
    }
    let seed = replica_seed(vec2<u32>(shape.seed_low, shape.seed_high), slot >> 1u);
    let words = philox(seed, shape.stream + (slot & 1u), vec2<u32>(step.first_row + row, step.epoch));
    // A rank among no rows is 0, and is never met. The row itself is one of those with its label.
    let ranks = vec2<u32>(multiply_high(words.x, equal - 1u), multiply_high(words.y, shape.batch_size - equal));
    var met = vec2<u32>(0u);
    var pair = vec2<u32>(NO_ROW);
    for (var first = 0u; first < shape.batch_size; first += STAGED) {
        let count = min(STAGED, shape.batch_size - first);
        stage(first_label + first, count, thread);
        for (var i = 0u; i < count; i++) {
            let same = staged[i] == label;
            let matches = vec2<bool>(same && first + i != row, !same);
            pair = select(pair, vec2<u32>(first + i), matches & (met == ranks));
            met += select(vec2<u32>(0u), vec2<u32>(1u), matches);
        }
    }
    if (id.x < shape.batch_size) {
        pairs[slot * shape.batch_size + row] = pair;
    }
}
