// The hidden layers' local loss for one row: the distance (shared/cosine_distance.wgsl) between a slot's representation and its
// partner's of the same image, which counts as a constant.
//
// Beside what that file asks for, the kernel says where deltas stand: store_delta(shape, row, quad, delta), called if `keep`.
// All invocations of the workgroup call this together.

#import cosine_distance

fn cosine_loss(shape: LossShape, own: u32, partner: u32, thread: u32, keep: bool) -> f32 {
    let cosine = cosine_distance(shape, own, partner, thread);
    if (keep) {
        for (var quad = thread % LANES; quad < shape.quads; quad += LANES) {
            store_delta(shape, own, quad, distance_delta(shape, own, partner, quad, cosine));
        }
    }
    return cosine.distance;
}
