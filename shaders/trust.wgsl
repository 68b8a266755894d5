// trust
// Which rows of the batch are worth learning from: those of the smallest losses.
//
//     dropped = round(batch * share),  share = rate * ramp, both in units of 2^-15 and rounded, so that every device drops as many
//     kept    = batch - dropped, at least 1
//     rank    = how many rows have a smaller loss, or the same one and stand before
//     weights[row] = batch / kept where rank < kept, else 0
//
// What the layer thought of each image is left on record for the host, under the image's own number: the bits of the loss; and the answer,
// the epoch and, as the highest bit, whether it was kept.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row looks at all losses of the batch.
// Memory: the losses once for each row (cached), three words written.

#import constants
#import Trust
#import Step

@group(0) @binding(0) var<uniform> shape: Trust;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> losses: array<f32>;
@group(0) @binding(3) var<storage, read> answers: array<u32>;
@group(0) @binding(4) var<storage, read> rates: array<u32>;
@group(0) @binding(5) var<storage, read> orders: array<u32>;
@group(0) @binding(6) var<storage, read_write> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> record: array<u32>;

fn dropped(rate: u32) -> u32 {
    let share = (rate * step.trust_ramp + (1u << 14u)) >> 15u;
    return min((shape.batch_size * share + (1u << 14u)) >> 15u, shape.batch_size - 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= shape.batch_size) {
        return;
    }
    let first = slot * shape.batch_size;
    let loss = losses[first + row];
    var rank = 0u;
    for (var other = 0u; other < shape.batch_size; other++) {
        let value = losses[first + other];
        // The same loss: neither is smaller.
        rank += select(0u, 1u, value < loss || (!(loss < value) && other < row));
    }
    let kept = shape.batch_size - dropped(rates[slot >> 1u]);
    let is_kept = rank < kept;
    weights[first + row] = select(0.0, f32(shape.batch_size) / f32(kept), is_kept);
    let image = orders[(slot >> 1u) * shape.images + step.first_row + row];
    let place = 2u * (slot * shape.images + image);
    record[place] = bitcast<u32>(loss);
    record[place + 1u] = answers[first + row] | ((step.epoch & EPOCH_MASK) << 8u) | select(0u, KEPT, is_kept);
}
