// The hidden layers' local loss for one row: cosine embedding between a slot's representation u and its partner's v of the same
// image.
//
//     loss = 1 - c,   c = u.v / (n_u n_v),   n² = |.|² + 1e-12;    delta = d (mean over the batch) / d z,  the partner held constant
//
// Written with the unit vectors a = u / n_u and b = v / n_v. Where u and v nearly agree, which is where this loss lives, 1 - c
// would be a difference of equal numbers; the square of a - b has the square of that error:
//
//     1 - c = (|a - b|² + 1e-12 / n_u² + 1e-12 / n_v²) / 2          -dc/du = ((a - b) - (1 - c) a) / n_u
//
// Where z did not pass the ReLU before u, the gradient does not pass either.
//
// LANES invocations share the row. The kernel says where rows stand: representation(layer, row, quad), zero behind the layer's
// width; passes(layer, row, quad), where the gradient does; and store_delta(layer, row, quad, delta), called if `keep`. All
// invocations of the workgroup call this together.

const SQUARE_FLOOR = 1e-12;

fn cosine_loss(layer: Layer, own: u32, partner: u32, thread: u32, keep: bool) -> f32 {
    let lane = thread % LANES;
    var squares = vec2<f32>(0.0);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let u = representation(layer, own, quad);
        let v = representation(layer, partner, quad);
        squares += vec2<f32>(dot(u, u), dot(v, v));
    }
    squares = sum_over_lanes(squares, thread) + SQUARE_FLOOR;
    let scale = vec2<f32>(1.0) / sqrt(squares);

    var distance = vec2<f32>(0.0);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let difference = representation(layer, own, quad) * scale.x - representation(layer, partner, quad) * scale.y;
        distance.x += dot(difference, difference);
    }
    distance = sum_over_lanes(distance, thread);
    let loss = 0.5 * (distance.x + SQUARE_FLOOR / squares.x + SQUARE_FLOOR / squares.y);

    if (keep) {
        let factor = scale.x / f32(layer.batch_size);
        for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
            let a = representation(layer, own, quad) * scale.x;
            let b = representation(layer, partner, quad) * scale.y;
            let delta = ((a - b) - loss * a) * factor;
            store_delta(layer, own, quad, select(vec4<f32>(0.0), delta, passes(layer, own, quad)));
        }
    }
    return loss;
}
