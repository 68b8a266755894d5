// The hidden layers' local loss: cosine embedding between a slot's representation u and its partner's v of the same image.
//
//     loss = mean over the batch of 1 - c,   c = u.v / (n_u n_v),   n² = |.|² + 1e-12
//     delta = d loss / d z,  the partner held constant
//
// Written with the unit vectors a = u / n_u and b = v / n_v. Where u and v nearly agree, which is where this loss lives, 1 - c
// would be a difference of equal numbers; the square of a - b has the square of that error:      1 - c = (|a - b|² + 1e-12 / n_u² + 1e-12 / n_v²) / 2          -dc/du = ((a - b) - (1 - c) a) / n_u
//
// RELU_MASK: u is relu(z), so the gradient passes only where u > 0. Otherwise u is z itself.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: both rows read three times (cached), one row written.   Twin: src/cpu/cosine_gradient.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> row_metrics: array<f32>;

const SQUARE_FLOOR = 1e-12;

// The row's quad without the constant 1 and the padding behind the outputs.
fn representation(row: u32, quad: u32) -> vec4<f32> {
    let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), representations[row * layer.output_quads + quad], position < vec4<u32>(layer.output_width));
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = group.y;
    let lane = thread % LANES;
    let batch_row = group.x * ROWS + thread / LANES;
    // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
    let clamped = min(batch_row, layer.batch_size - 1u);
    let own = slot * layer.batch_size + clamped;
    let partner = (slot ^ 1u) * layer.batch_size + clamped;

    var squares = vec2<f32>(0.0);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let u = representation(own, quad);
        let v = representation(partner, quad);
        squares += vec2<f32>(dot(u, u), dot(v, v));
    }
    squares = sum_over_lanes(squares, thread) + SQUARE_FLOOR;
    let scale = vec2<f32>(1.0) / sqrt(squares);

    var distance = vec2<f32>(0.0);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let difference = representation(own, quad) * scale.x - representation(partner, quad) * scale.y;
        distance.x += dot(difference, difference);
    }
    distance = sum_over_lanes(distance, thread);
    let loss = 0.5 * (distance.x + SQUARE_FLOOR / squares.x + SQUARE_FLOOR / squares.y);

    if (batch_row >= layer.batch_size) {
        return;
    }
    let factor = scale.x / f32(layer.batch_size);
    for (var quad = lane; quad < layer.weight_quads; quad += LANES) {
        let u = representation(own, quad);
        let a = u * scale.x;
        let b = representation(partner, quad) * scale.y;
        var delta = ((a - b) - loss * a) * factor;
        if (RELU_MASK) {
            delta = select(vec4<f32>(0.0), delta, u > vec4<f32>(0.0));
        }
        deltas[own * layer.weight_quads + quad] = delta;
    }
    if (lane == 0u) {
        // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
        row_metrics[(slot * (layer.layer_count + 1u) + layer.index) * layer.batch_size + batch_row] += loss;
    }
}
