// The distance 1 - c of two rows u and v, and its gradient by u with v held constant:
//
//     c = u.v / (n_u n_v),   n² = |.|² + 1e-12;    delta = d (mean over the batch of 1 - c) / d z
//
// Written with the unit vectors a = u / n_u and b = v / n_v. Where u and v nearly agree 1 - c would be a difference of equal
// numbers; the square of a - b has the square of that error:
//
//     1 - c = (|a - b|² + 1e-12 / n_u² + 1e-12 / n_v²) / 2          -dc/du = ((a - b) - (1 - c) a) / n_u
//
// Where z did not pass the ReLU before u, the gradient does not pass either.
//
// LANES invocations share the row. The kernel defines LossShape, and where rows stand: representation(shape, row, quad), zero behind
// the width, and passes(shape, row, quad), where the gradient does. All invocations of the workgroup call cosine_distance together.

#import constants
#import lanes

struct Cosine {
    distance: f32,
    // 1 / n_u and 1 / n_v.
    scale: vec2<f32>,
    // Of the gradient: 1 / n_u over the rows of the batch.
    factor: f32,
}

fn cosine_distance(shape: LossShape, own: u32, other: u32, thread: u32) -> Cosine {
    let lane = thread % LANES;
    var squares = vec2<f32>(0.0);
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        let u = representation(shape, own, quad);
        let v = representation(shape, other, quad);
        squares += vec2<f32>(dot(u, u), dot(v, v));
    }
    squares = sum_over_lanes(squares, thread) + SQUARE_FLOOR;
    let scale = vec2<f32>(1.0) / sqrt(squares);

    var distance = vec2<f32>(0.0);
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        let difference = representation(shape, own, quad) * scale.x - representation(shape, other, quad) * scale.y;
        distance.x += dot(difference, difference);
    }
    distance = sum_over_lanes(distance, thread);
    let half_sum = 0.5 * (distance.x + SQUARE_FLOOR / squares.x + SQUARE_FLOOR / squares.y);
    return Cosine(half_sum, scale, scale.x / f32(shape.batch_size));
}

fn distance_delta(shape: LossShape, own: u32, other: u32, quad: u32, cosine: Cosine) -> vec4<f32> {
    let a = representation(shape, own, quad) * cosine.scale.x;
    let b = representation(shape, other, quad) * cosine.scale.y;
    let delta = ((a - b) - cosine.distance * a) * cosine.factor;
    return select(vec4<f32>(0.0), delta, passes(shape, own, quad));
}
