// The gradient through shared lengths: with the unit row r = row / n, n² = |row|² + 1e-12, and the row's factor s = length / n,
//
//     delta = s (g - r (r.g))        and 0 where the row is a rectified output that is 0
//
// LANES invocations share a row. All invocations of the workgroup call this together; `keep`: the row is one of the batch, else nothing
// is stored. The kernel defines, for the number `row` of a row among those of all slots, normalized_row(row, quad), gradient_quad(row, quad)
// and store_gradient(row, quad, delta).

#import lanes
#import row_scale

fn normalize_gradient(width: u32, quads: u32, rectified: bool, one: bool, row: u32, thread: u32, keep: bool) {
    let lane = thread % LANES;
    var squares = 0.0;
    for (var quad = lane; quad < quads; quad += LANES) {
        let values = normalized_row(row, quad);
        squares += dot(values, values);
    }
    squares = sum_over_lanes(vec2<f32>(squares, 0.0), thread).x;
    let inverse = row_scale(width, true, squares);
    let scale = row_scale(width, one, squares);
    var along = 0.0;
    for (var quad = lane; quad < quads; quad += LANES) {
        along += dot(normalized_row(row, quad) * inverse, gradient_quad(row, quad));
    }
    along = sum_over_lanes(vec2<f32>(along, 0.0), thread).x;
    if (keep) {
        for (var quad = lane; quad < quads; quad += LANES) {
            let values = normalized_row(row, quad);
            let delta = (gradient_quad(row, quad) - values * inverse * along) * scale;
            let passes = vec4<bool>(!rectified) | (values > vec4<f32>(0.0));
            store_gradient(row, quad, select(vec4<f32>(0.0), delta, passes));
        }
    }
}
