// prototype_loss
// Loss and gradient of one hidden layer by class prototypes, for every slot and row. With the unit row r of a row p and the prototypes
// C_k that guide the slot (the partner's, or its own):
//
//     score_k = r.C_k / temperature, or ABSENT where no image of the batch is of class k: its exponential is 0
//     loss    = softmax cross-entropy of the scores (shared/output_loss.wgsl), whose gradient is d_k
//     g       = sum_k d_k C_k / temperature,    delta = (g - r (r.g)) / n,   n² = |p|² + 1e-12
//
// and delta is 0 where p is a rectified output that is 0. MUTUAL: a share of the target is the partner's answer about the same image,
// its softmax over the prototypes that guide the partner.
//
// LANES invocations share a row: each scores every LANES-th class, the first one computes the loss, each owns every LANES-th quad of
// the gradient. Scores stand in workgroup memory; the kernel's text holds how many CLASSES there are.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both forms of a row read, the prototypes read twice (cached), one row written twice and read once.

#import constants
#import RowLoss
#import Prototypes
#import lanes
#import row_scale
#import output_loss

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

// [row of the workgroup][class]; with MUTUAL the partner's behind the own.
var<workgroup> scores: array<f32, select(1u, 2u, MUTUAL) * ROWS * CLASSES>;
var<workgroup> gradients: array<f32, ROWS * CLASSES>;

fn logit(shape: RowLoss, row: u32, k: u32) -> f32 {
    return scores[row * CLASSES + k];
}

fn store_delta_at(shape: RowLoss, row: u32, k: u32, delta: f32) {
    gradients[row * CLASSES + k] = delta;
}

// The scores of one row of a slot.
fn score(slot: u32, batch_row: u32, target_row: u32, lane: u32) {
    let guide = slot ^ shape.prototypes.partner;
    let quads = shape.loss.quads;
    let row = (slot * shape.loss.batch_size + batch_row) * quads;
    for (var k = lane; k < CLASSES; k += LANES) {
        let prototype = (guide * CLASSES + k) * quads;
        var sum = 0.0;
        for (var quad = 0u; quad < quads; quad++) {
            sum += dot(unit_rows[row + quad], prototypes[prototype + quad]);
        }
        let is_present = counts[guide * CLASSES + k] > 0u;
        scores[target_row * CLASSES + k] = select(ABSENT, sum * shape.prototypes.inverse_temperature, is_present);
    }
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let loss = shape.loss;
    let slot = group.y;
    let local_row = thread / LANES;
    let lane = thread % LANES;
    let batch_row = group.x * ROWS + local_row;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let clamped = min(batch_row, loss.batch_size - 1u);
    let keep = batch_row < loss.batch_size;
    score(slot, clamped, local_row, lane);
    if (MUTUAL) {
        score(slot ^ 1u, clamped, ROWS + local_row, lane);
    }
    if (LANES > 1u) {
        workgroupBarrier();
    }
    if (lane == 0u) {
        let label = labels[(slot >> loss.label_shift) * loss.batch_size + clamped];
        let result = output_loss(loss, CLASSES, local_row, ROWS + local_row, label);
        if (keep) {
            // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
            row_metrics[(slot * loss.metrics + loss.metric) * loss.batch_size + batch_row] += result.loss;
        }
    }
    if (LANES > 1u) {
        workgroupBarrier();
    }
    let first = (slot * loss.batch_size + clamped) * loss.quads;
    let guide = slot ^ shape.prototypes.partner;
    var sums = vec2<f32>(0.0);
    for (var quad = lane; quad < loss.quads; quad += LANES) {
        var gradient = vec4<f32>(0.0);
        for (var k = 0u; k < CLASSES; k++) {
            gradient += gradients[local_row * CLASSES + k] * prototypes[(guide * CLASSES + k) * loss.quads + quad];
        }
        gradient *= shape.prototypes.inverse_temperature;
        sums += vec2<f32>(dot(rows[first + quad], rows[first + quad]), dot(unit_rows[first + quad], gradient));
        if (keep) {
            deltas[first + quad] = gradient;
        }
    }
    sums = sum_over_lanes(sums, thread);
    let scale = row_scale(loss.width, true, sums.x);
    if (keep) {
        // Each invocation takes up again what it wrote itself.
        for (var quad = lane; quad < loss.quads; quad += LANES) {
            let delta = (deltas[first + quad] - unit_rows[first + quad] * sums.y) * scale;
            let passes = vec4<bool>(loss.rectified == 0u) | (rows[first + quad] > vec4<f32>(0.0));
            deltas[first + quad] = select(vec4<f32>(0.0), delta, passes);
        }
    }
}
