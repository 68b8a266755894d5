// How one image of one epoch is changed: a shift, a turn with a change of size about the middle, and displacements of the nodes of a
// grid over the image. Word for word the functions of src/kernels/augment.rs; additions and products only, so that both differ by rounding at most.

#import Shard
#import random

struct Change {
    // Where the middle goes, in pixels.
    shift: vec2<i32>,
    // Cosine and sine of the angle, over the factor of size.
    turn: vec2<f32>,
    // Mirrored before all else.
    flip: bool,
}

// The upper 24 bits as a number in [-1, 1).
fn signed_unit(word: u32) -> f32 {
    return 2.0 * (f32(word >> 8u) * (1.0 / 16777216.0)) - 1.0;
}

fn change(shard: Shard, epoch: u32, view: u32, image: u32) -> Change {
    let replica = view >> shard.order_shift;
    let seed = replica_seed(vec2<u32>(shard.seed_low, shard.seed_high), replica);
    let model = view & ((1u << shard.order_shift) - 1u);
    let words = philox(seed, shard.stream + model, vec2<u32>(image, epoch));
    let span = 2u * shard.shift + 1u;
    let shift = vec2<i32>(vec2<u32>(multiply_high(words.x, span), multiply_high(words.y, span))) - vec2<i32>(i32(shard.shift));
    // Series at a quarter of the angle, at most pi / 4, where the first terms left out are below 2e-7; then twice the double angle.
    let angle = 0.25 * shard.rotation * signed_unit(words.z);
    let square = angle * angle;
    var sine = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
    var cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
    for (var i = 0; i < 2; i++) {
        let double = 2.0 * sine * cosine;
        cosine = 1.0 - 2.0 * sine * sine;
        sine = double;
    }
    let size = 1.0 + shard.scale * signed_unit(words.w);
    // The lowest bit, which the factor of size does not use.
    return Change(shift, vec2<f32>(cosine, sine) / size, (shard.flip & words.w) == 1u);
}

// How far a node of the grid is displaced, in pixels; row by row.
fn displacement(shard: Shard, epoch: u32, view: u32, image: u32, node: u32) -> vec2<f32> {
    let replica = view >> shard.order_shift;
    let seed = replica_seed(vec2<u32>(shard.seed_low, shard.seed_high), replica);
    let model = view & ((1u << shard.order_shift) - 1u);
    let words = philox(seed, shard.stream + ((node + 1u) << 8u) + model, vec2<u32>(image, epoch));
    return shard.elastic * vec2<f32>(signed_unit(words.x), signed_unit(words.y));
}
