// Which rows of a batch are worth learning from: those of the smallest losses.
//
//     dropped = round(batch * share),  share = rate * ramp, both in units of 2^-15 and rounded, so that every device drops as many
//     kept    = batch - dropped, at least 1
//     rank    = how many rows have a smaller loss, or the same one and stand before
//     weight  = batch / kept where rank < kept, else 0
//
// The kernel has the structures Trust and Step, and defines loss_of(row) for the slot in work. All invocations of a workgroup of 64 call
// weight_of together.

fn dropped(shape: Trust, rate: u32) -> u32 {
    let share = (rate * step.trust_ramp + (1u << 14u)) >> 15u;
    return min((shape.batch_size * share + (1u << 14u)) >> 15u, shape.batch_size - 1u);
}

// The losses at which all invocations look, a quad an invocation.
const STAGED_QUADS = 64u;
var<workgroup> staged_losses: array<vec4<f32>, STAGED_QUADS>;

// The weight of a row; 0 where it is left out.
fn weight_of(shape: Trust, rate: u32, row: u32, thread: u32) -> f32 {
    let loss = vec4<f32>(loss_of(row));
    var smaller = vec4<u32>(0u);
    for (var first = 0u; first < shape.batch_size; first += 4u * STAGED_QUADS) {
        let quads = min(STAGED_QUADS, (shape.batch_size - first + 3u) / 4u);
        if (thread < quads) {
            let others = min(vec4<u32>(first + 4u * thread) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(shape.batch_size - 1u));
            staged_losses[thread] = vec4<f32>(loss_of(others.x), loss_of(others.y), loss_of(others.z), loss_of(others.w));
        }
        workgroupBarrier();
        for (var quad = 0u; quad < quads; quad++) {
            let values = staged_losses[quad];
            let others = vec4<u32>(first + 4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
            // The same loss: neither is smaller.
            let counts = (values < loss) | (!(loss < values) & (others < vec4<u32>(row)));
            smaller += select(vec4<u32>(0u), vec4<u32>(1u), counts & (others < vec4<u32>(shape.batch_size)));
        }
        workgroupBarrier();
    }
    let rank = smaller.x + smaller.y + smaller.z + smaller.w;
    let kept = shape.batch_size - dropped(shape, rate);
    return select(0.0, f32(shape.batch_size) / f32(kept), rank < kept);
}

// What is left on record beside the bits of the loss: the answer, the epoch and, as the highest bit, whether the image was kept.
fn note(answer: u32, weight: f32) -> u32 {
    return answer | ((step.epoch & EPOCH_MASK) << 8u) | select(0u, KEPT, weight > 0.0);
}
