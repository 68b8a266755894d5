// label_loss
// How badly each row's label fits its logits, and the class that they say (shared/label_loss.wgsl states both).
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row read twice (cached), two numbers written.

#import constants
#import RowLoss
#import label_loss

alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> shape: RowLoss;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> answers: array<u32>;

fn logit(rows: LossShape, row: u32, k: u32) -> f32 {
    return logits[row * rows.quads * 4u + k];
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
    let result = label_loss(shape, shape.width, own, label);
    losses[own] = result.loss;
    answers[own] = result.answer;
}
