// Which rows of a batch are worth learning from: those of the smallest losses.
//
//     dropped = round(batch * share),  share = rate * ramp, both in units of 2^-15 and rounded, so that every device drops as many
//     kept    = batch - dropped, at least 1
//     rank    = how many rows have a smaller loss, or the same one and stand before
//     weight  = batch / kept where rank < kept, else 0
//
// The kernel has the structures Trust and Step, and defines loss_of(row) for the slot in work.

fn dropped(shape: Trust, rate: u32) -> u32 {
    let share = (rate * step.trust_ramp + (1u << 14u)) >> 15u;
    return min((shape.batch_size * share + (1u << 14u)) >> 15u, shape.batch_size - 1u);
}

// The weight of a row; 0 where it is left out.
fn weight_of(shape: Trust, rate: u32, row: u32) -> f32 {
    let loss = loss_of(row);
    var rank = 0u;
    for (var other = 0u; other < shape.batch_size; other++) {
        let value = loss_of(other);
        // The same loss: neither is smaller.
        rank += select(0u, 1u, value < loss || (!(loss < value) && other < row));
    }
    let kept = shape.batch_size - dropped(shape, rate);
    return select(0.0, f32(shape.batch_size) / f32(kept), rank < kept);
}

// What is left on record beside the bits of the loss: the answer, the epoch and, as the highest bit, whether the image was kept.
fn note(answer: u32, weight: f32) -> u32 {
    return answer | ((step.epoch & EPOCH_MASK) << 8u) | select(0u, KEPT, weight > 0.0);
}
