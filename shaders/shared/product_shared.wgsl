// The matrix product of shared/product.wgsl by way of workgroup memory: the same sums in the same order, so the same bits. Each input quad is
// loaded once for all columns of the workgroup, and each block of weights once for all its rows.
//
// There are two buffers of CHUNK input quads. While the invocations multiply out of one, each fetches its share of the next chunk into
// registers, and then puts it into the other buffer: the loads are under way during the arithmetic, and a chunk takes one barrier. It
// keeps both apart: before it everybody has read the one buffer, and written the other.
//
// All invocations of the workgroup call this together, with the same `first` and `last`; what the kernel defines stands in multiply.wgsl.

#import multiply

const GROUP_ROWS = LANES_Y * TILE_ROWS;
const GROUP_QUADS = LANES_X * TILE_QUADS;
const INPUT_LOADS = (CHUNK * GROUP_ROWS + THREADS - 1u) / THREADS;
const WEIGHT_LOADS = (CHUNK * GROUP_QUADS + THREADS - 1u) / THREADS;

// [buffer][k][row], and [buffer][k][one of four rows of weights][column quad]: neighbours in x read neighbours here.
var<workgroup> shared_inputs: array<vec4<f32>, 2u * CHUNK * GROUP_ROWS>;
var<workgroup> shared_weights: array<vec4<f32>, 2u * CHUNK * 4u * GROUP_QUADS>;

// What an invocation has fetched of a chunk.
var<private> fetched_inputs: array<vec4<f32>, INPUT_LOADS>;
var<private> fetched_weights: array<mat4x4<f32>, WEIGHT_LOADS>;

// Of the chunk that begins at `k`; `corner` is the workgroup's first row and quad.
fn fetch(shape: ProductShape, corner: Tile, k: u32, last: u32) {
    for (var i = 0u; i < INPUT_LOADS; i++) {
        let item = min(corner.thread + i * THREADS, CHUNK * GROUP_ROWS - 1u);
        // Neighbours load neighbouring quads of a row.
        fetched_inputs[i] = input_quad(shape, input_place(shape, corner, item / CHUNK), min(k + item % CHUNK, last - 1u));
    }
    for (var i = 0u; i < WEIGHT_LOADS; i++) {
        let item = min(corner.thread + i * THREADS, CHUNK * GROUP_QUADS - 1u);
        let place = Tile(corner.slot, corner.row, corner.quad + item % GROUP_QUADS, corner.thread);
        fetched_weights[i] = weight_block(shape, weight_place(shape, place, 0u), min(k + item / GROUP_QUADS, last - 1u));
    }
}

fn put(thread: u32, buffer: u32) {
    for (var i = 0u; i < INPUT_LOADS; i++) {
        let item = thread + i * THREADS;
        if (item < CHUNK * GROUP_ROWS) {
            shared_inputs[(buffer * CHUNK + item % CHUNK) * GROUP_ROWS + item / CHUNK] = fetched_inputs[i];
        }
    }
    for (var i = 0u; i < WEIGHT_LOADS; i++) {
        let item = thread + i * THREADS;
        if (item < CHUNK * GROUP_QUADS) {
            let at = (buffer * CHUNK + item / GROUP_QUADS) * 4u * GROUP_QUADS + item % GROUP_QUADS;
            for (var part = 0u; part < 4u; part++) {
                shared_weights[at + part * GROUP_QUADS] = fetched_weights[i][part];
            }
        }
    }
}

fn product(shape: ProductShape, tile: Tile, first: u32, last: u32, sums: ptr<function, array<vec4<f32>, TILE_ROWS * TILE_QUADS>>) {
    let lane = tile.thread % LANES_X;
    let own_row = tile.thread / LANES_X * TILE_ROWS;
    let corner = Tile(tile.slot, tile.row - own_row, tile.quad - lane, tile.thread);
    fetch(shape, corner, first, last);
    put(tile.thread, 0u);
    workgroupBarrier();
    var buffer = 0u;
    for (var k = first; k < last; k += CHUNK) {
        let is_last = k + CHUNK >= last;
        if (!is_last) {
            fetch(shape, corner, k + CHUNK, last);
        }
        let length = min(CHUNK, last - k);
        for (var next = 0u; next < length; next++) {
            let chunk = buffer * CHUNK + next;
            var block: array<mat4x4<f32>, TILE_QUADS>;
            for (var column = 0u; column < TILE_QUADS; column++) {
                let at = chunk * 4u * GROUP_QUADS + lane + column * LANES_X;
                block[column] = mat4x4<f32>(
                    shared_weights[at],
                    shared_weights[at + GROUP_QUADS],
                    shared_weights[at + 2u * GROUP_QUADS],
                    shared_weights[at + 3u * GROUP_QUADS],
                );
            }
            var held: array<vec4<f32>, TILE_ROWS>;
            for (var row = 0u; row < TILE_ROWS; row++) {
                held[row] = shared_inputs[chunk * GROUP_ROWS + own_row + row];
            }
            multiply(held, block, sums);
        }
        if (!is_last) {
            put(tile.thread, 1u - buffer);
        }
        workgroupBarrier();
        buffer = 1u - buffer;
    }
}
