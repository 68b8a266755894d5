// trust
// Which rows of the batch are worth learning from (shared/selection.wgsl states it), as a weight for each.
//
// The layer's loss and answer for each image are recorded for the host, under the image's own number: the bits of the loss; and the answer,
// the epoch and, as the highest bit, whether it was kept.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row looks at all losses of the batch.
// Memory: the losses once for each workgroup, three words written.

#import constants
#import Trust
#import Step
#import selection

@group(0) @binding(0) var<uniform> shape: Trust;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> losses: array<f32>;
@group(0) @binding(3) var<storage, read> answers: array<u32>;
@group(0) @binding(4) var<storage, read> rates: array<u32>;
@group(0) @binding(5) var<storage, read> orders: array<u32>;
@group(0) @binding(6) var<storage, read_write> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> record: array<u32>;

// The first row of the slot in work.
var<private> first: u32;

fn loss_of(row: u32) -> f32 {
    return losses[first + row];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = min(id.x, shape.batch_size - 1u);
    let slot = id.y;
    first = slot * shape.batch_size;
    let weight = weight_of(shape, rates[slot >> 1u], row, thread);
    if (id.x >= shape.batch_size) {
        return;
    }
    weights[first + row] = weight;
    let image = orders[(slot >> 1u) * shape.images + step.first_row + row];
    let place = 2u * (slot * shape.images + image);
    record[place] = bitcast<u32>(loss_of(row));
    record[place + 1u] = note(answers[first + row], weight);
}
