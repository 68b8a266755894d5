// Loss and gradient of one hidden layer by pairs of rows, for every slot. Row i has drawn a row p of its class and a row q of another
// (pairs.wgsl); with the cosines c of outputs u, as shared/cosine_distance.wgsl states them,
//
//     loss = mean over i of (1 - c(u_i, u_p)) + max(0, c(u_i, u_q) - 0.5)        without what a row has not drawn
//
// The gradient reaches both rows of a pair. A row gathers it: the terms that it has drawn, and, met by walking over the pairs of the
// batch, those of the rows that have drawn it; in the order of the batch, without atomics. Where the row did not pass the ReLU,
// the gradient does not pass either.
//
// Each of a row's invocations owns every LANES-th quad of the row's delta and adds to it in place. Rows meet different pairs, so only rows
// of one invocation, which need no barriers, share a workgroup: LANES or ROWS is 1.
//
// Grid: x = rows (ROWS a workgroup, LANES invocations a row), y = slots.
// Memory: all pairs of the slot (8 bytes each); for each term, four on average, both rows read three times and the delta read and
// written once (all cached).

#import RowLoss
#import cosine_distance

alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> shape: RowLoss;
@group(0) @binding(1) var<storage, read> outputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;

fn representation(shape: LossShape, row: u32, quad: u32) -> vec4<f32> {
    return outputs[row * shape.quads + quad];
}

fn passes(shape: LossShape, row: u32, quad: u32) -> vec4<bool> {
    return vec4<bool>(shape.rectified == 0u) | (outputs[row * shape.quads + quad] > vec4<f32>(0.0));
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = lone_row(group.x, thread);
    let lane = thread % LANES;
    let slot = group.y;
    // With more than one invocation a row there is a workgroup for each row, and this holds for none.
    if (row >= shape.batch_size) {
        return;
    }
    let first_row = slot * shape.batch_size;
    let delta = (first_row + row) * shape.quads;
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        deltas[delta + quad] = vec4<f32>(0.0);
    }
    var loss = 0.0;
    for (var drawer = 0u; drawer < shape.batch_size; drawer++) {
        let drawn = pairs[first_row + drawer];
        for (var kind = 0u; kind < 2u; kind++) {
            // What a row draws is never the row itself, so it is at most one of the two.
            if (drawn[kind] != NO_ROW && (drawer == row || drawn[kind] == row)) {
                let other = select(drawer, drawn[kind], drawer == row);
                let cosine = cosine_distance(shape, first_row + row, first_row + other, thread);
                let alike = kind == 0u;
                let own_loss = select(max(0.0, MARGIN_DISTANCE - cosine.distance), cosine.distance, alike);
                loss += select(0.0, own_loss, drawer == row);
                // How the loss changes with the distance.
                let sign = select(select(0.0, -1.0, cosine.distance < MARGIN_DISTANCE), 1.0, alike);
                for (var quad = lane; quad < shape.quads; quad += LANES) {
                    deltas[delta + quad] += sign * distance_delta(shape, first_row + row, first_row + other, quad, cosine);
                }
            }
        }
    }
    if (lane == 0u) {
        // One invocation owns this sum for the whole epoch: no atomics, one order, the same bits each time.
        row_metrics[(slot * shape.metrics + shape.metric) * shape.batch_size + row] += loss;
    }
}
