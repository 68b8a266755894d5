// The weight gradient of shared/gradient.wgsl by way of workgroup memory, CHUNK rows of the batch at a time, in two buffers: the same sums
// in the same order. shared/product_shared.wgsl explains the scheme.
//
// All invocations of the workgroup call this together.

#import accumulate

const GROUP_INPUTS = LANES_Y * TILE_INPUTS;
const GROUP_QUADS = LANES_X * TILE_QUADS;
const INPUT_LOADS = (CHUNK * GROUP_INPUTS + THREADS - 1u) / THREADS;
const DELTA_LOADS = (CHUNK * GROUP_QUADS + THREADS - 1u) / THREADS;

// [buffer][row][quad]
var<workgroup> shared_inputs: array<vec4<f32>, 2u * CHUNK * GROUP_INPUTS>;
var<workgroup> shared_deltas: array<vec4<f32>, 2u * CHUNK * GROUP_QUADS>;

// What an invocation has fetched of a chunk.
var<private> fetched_inputs: array<vec4<f32>, INPUT_LOADS>;
var<private> fetched_deltas: array<vec4<f32>, DELTA_LOADS>;

// Of the chunk that begins at `row`; `corner` has the workgroup's first quads.
fn fetch(layer: Linear, corner: GradientTile, row: u32) {
    for (var i = 0u; i < INPUT_LOADS; i++) {
        let item = min(corner.thread + i * THREADS, CHUNK * GROUP_INPUTS - 1u);
        let batch_row = min(row + item / GROUP_INPUTS, layer.rows - 1u);
        fetched_inputs[i] = inputs[input_place(layer, corner, corner.input + item % GROUP_INPUTS) + batch_row * layer.input_quads];
    }
    for (var i = 0u; i < DELTA_LOADS; i++) {
        let item = min(corner.thread + i * THREADS, CHUNK * GROUP_QUADS - 1u);
        let batch_row = min(row + item / GROUP_QUADS, layer.rows - 1u);
        fetched_deltas[i] = deltas[delta_place(layer, corner, corner.quad + item % GROUP_QUADS) + batch_row * layer.output_quads];
    }
}

fn put(thread: u32, buffer: u32) {
    for (var i = 0u; i < INPUT_LOADS; i++) {
        let item = thread + i * THREADS;
        if (item < CHUNK * GROUP_INPUTS) {
            shared_inputs[buffer * CHUNK * GROUP_INPUTS + item] = fetched_inputs[i];
        }
    }
    for (var i = 0u; i < DELTA_LOADS; i++) {
        let item = thread + i * THREADS;
        if (item < CHUNK * GROUP_QUADS) {
            shared_deltas[buffer * CHUNK * GROUP_QUADS + item] = fetched_deltas[i];
        }
    }
}

fn gradient(layer: Linear, tile: GradientTile, sums: ptr<function, array<vec4<f32>, TILE>>) {
    let lane = tile.thread % LANES_X;
    let own_input = tile.thread / LANES_X * TILE_INPUTS;
    let corner = GradientTile(tile.first_input, tile.first_delta, tile.input - own_input, tile.quad - lane, tile.thread, tile.has_bias);
    let last = layer.rows;
    fetch(layer, corner, 0u);
    put(tile.thread, 0u);
    workgroupBarrier();
    var buffer = 0u;
    for (var row = 0u; row < last; row += CHUNK) {
        let is_last = row + CHUNK >= last;
        if (!is_last) {
            fetch(layer, corner, row + CHUNK);
        }
        let length = min(CHUNK, last - row);
        for (var next = 0u; next < length; next++) {
            let chunk = buffer * CHUNK + next;
            var delta: array<vec4<f32>, TILE_QUADS>;
            for (var column = 0u; column < TILE_QUADS; column++) {
                delta[column] = shared_deltas[chunk * GROUP_QUADS + lane + column * LANES_X];
            }
            var held: array<vec4<f32>, TILE_INPUTS>;
            for (var part = 0u; part < TILE_INPUTS; part++) {
                held[part] = shared_inputs[chunk * GROUP_INPUTS + own_input + part];
            }
            accumulate(with_bias(layer, tile, held), delta, sums);
        }
        if (!is_last) {
            put(tile.thread, 1u - buffer);
        }
        workgroupBarrier();
        buffer = 1u - buffer;
    }
}
