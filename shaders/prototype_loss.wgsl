// prototype_loss
// Loss and gradient of one hidden layer by class prototypes (shared/prototype_loss.wgsl states them), for every slot and row.
//
// WEIGHTED: each row's loss and gradient count as much as its weight says, the slot's own or, SELECTOR, its partner's; nothing where its
// class has no prototype.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both forms of a row read, the prototypes read twice (cached), one row written twice and read once.

#import constants
#import RowLoss
#import Prototypes
#import prototype_loss

struct PrototypeLoss {
    loss: RowLoss,
    prototypes: Prototypes,
}

alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> shape: PrototypeLoss;
@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> unit_rows: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> prototypes: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> labels: array<u32>;
@group(0) @binding(6) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> row_metrics: array<f32>;
@group(0) @binding(8) var<storage, read> weights: array<f32>;

fn place(slot: u32, row: u32, quad: u32) -> u32 {
    return (slot * shape.loss.batch_size + row) * shape.loss.quads + quad;
}

fn row_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return rows[place(slot, row, quad)];
}

fn unit_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return unit_rows[place(slot, row, quad)];
}

fn prototype_quad(guide: u32, k: u32, quad: u32) -> vec4<f32> {
    return prototypes[(guide * CLASSES + k) * shape.loss.quads + quad];
}

fn is_present(guide: u32, k: u32) -> bool {
    return counts[guide * CLASSES + k] > 0u;
}

fn delta_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return deltas[place(slot, row, quad)];
}

fn store_delta(slot: u32, row: u32, quad: u32, delta: vec4<f32>) {
    deltas[place(slot, row, quad)] = delta;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let loss = shape.loss;
    let slot = group.y;
    let local_row = thread / LANES;
    let batch_row = group.x * ROWS + local_row;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let clamped = min(batch_row, loss.batch_size - 1u);
    let keep = batch_row < loss.batch_size;
    let label = labels[(slot >> loss.label_shift) * loss.batch_size + clamped];
    var value = prototype_loss(loss, shape.prototypes, slot, clamped, local_row, label, thread, keep);
    if (WEIGHTED && keep) {
        let has_prototype = is_present(slot ^ shape.prototypes.partner, label);
        let weight = select(0.0, weights[(slot ^ SELECTOR) * loss.batch_size + clamped], has_prototype);
        value *= weight;
        // Each invocation takes up again what it wrote itself.
        for (var quad = thread % LANES; quad < loss.quads; quad += LANES) {
            deltas[place(slot, clamped, quad)] *= weight;
        }
    }
    if (keep && thread % LANES == 0u) {
        // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
        row_metrics[(slot * loss.metrics + loss.metric) * loss.batch_size + batch_row] += value;
    }
}
