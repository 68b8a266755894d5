// label_loss
// How badly each row's label y fits its logits z, and the class that they say:
//
//     losses[row] = log sum_k exp(z_k - z_top) - (z_y - z_top),    answers[row] = top, the first of the largest
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row read twice (cached), two numbers written.

#import RowLoss

@group(0) @binding(0) var<uniform> shape: RowLoss;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> answers: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= shape.batch_size) {
        return;
    }
    let own = slot * shape.batch_size + row;
    let first = own * shape.quads * 4u;
    var top = 0u;
    for (var k = 1u; k < shape.width; k++) {
        if (logits[first + top] < logits[first + k]) {
            top = k;
        }
    }
    let largest = logits[first + top];
    var sum = 0.0;
    for (var k = 0u; k < shape.width; k++) {
        if (k != top) {
            sum += exp(logits[first + k] - largest);
        }
    }
    let label = labels[(slot >> shape.label_shift) * shape.batch_size + row];
    losses[own] = log(1.0 + sum) - (logits[first + label] - largest);
    answers[own] = top;
}
