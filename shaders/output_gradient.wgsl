// Loss and gradient of logits for every slot and row (shared/output_loss.wgsl states them): of the output layer, or of a hidden layer's
// head.
//
// COUNTS: right answers are counted; LABELLED_ROWS: where it is not 0, of so many rows, the first ones.
//
// WEIGHTED: each row's loss and gradient count as much as its weight says, the slot's own or, SELECTOR, its partner's.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row is read three times (cached), written once.

#import RowLoss
#import output_loss

alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> shape: RowLoss;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;

// Of a row of a slot, counted through all slots.
fn weighted(shape: LossShape, row: u32, number: f32) -> f32 {
    if (WEIGHTED) {
        let slot = row / shape.batch_size;
        return number * weights[(slot ^ SELECTOR) * shape.batch_size + row % shape.batch_size];
    }
    return number;
}

fn logit(shape: LossShape, row: u32, k: u32) -> f32 {
    return logits[row * shape.quads * 4u + k];
}

fn store_delta_at(shape: LossShape, row: u32, k: u32, delta: f32) {
    deltas[row * shape.quads * 4u + k] = weighted(shape, row, delta);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= shape.batch_size) {
        return;
    }
    let own = slot * shape.batch_size + row;
    let label = labels[(slot >> shape.label_shift) * shape.batch_size + row];
    let result = output_loss(shape, shape.width, own, label);
    for (var k = shape.width; k < 4u * shape.quads; k++) {
        store_delta_at(shape, own, k, 0.0);
    }
    let metrics = slot * shape.metrics * shape.batch_size + row;
    row_metrics[metrics + shape.metric * shape.batch_size] += weighted(shape, own, result.loss);
    if (COUNTS && (LABELLED_ROWS == 0u || row < LABELLED_ROWS)) {
        row_metrics[metrics + (shape.metrics - 1u) * shape.batch_size] += result.right;
    }
}
