// The matrix product of the forward kernels: one invocation's register tile of TILE_ROWS rows x TILE_QUADS column quads,
//
//     sums[row, column] += inputs[row, k] * weights[k, column]      for the input quads k in first .. last
//
// summed in the order of k with fma, so that neither the tile's shape nor UNROLL changes a bit. UNROLL steps are loaded before the first of
// them is multiplied: GPU compilers neither unroll the loop nor load ahead, and each step would wait for its own loads.
//
// The kernel defines what shared/multiply.wgsl asks for.

#import multiply

// As many as compilers have registers for. A software adapter has no waiting to hide.
const OPERANDS = TILE_ROWS + 4u * TILE_QUADS;
const UNROLL = select(select(1u, select(2u, 4u, OPERANDS <= 6u), OPERANDS <= 10u), 1u, STAGE);

fn input_quads(shape: ProductShape, places: array<u32, TILE_ROWS>, k: u32) -> array<vec4<f32>, TILE_ROWS> {
    var quads: array<vec4<f32>, TILE_ROWS>;
    for (var row = 0u; row < TILE_ROWS; row++) {
        quads[row] = input_quad(shape, places[row], k);
    }
    return quads;
}

fn weight_blocks(shape: ProductShape, places: array<u32, TILE_QUADS>, k: u32) -> array<mat4x4<f32>, TILE_QUADS> {
    var blocks: array<mat4x4<f32>, TILE_QUADS>;
    for (var column = 0u; column < TILE_QUADS; column++) {
        blocks[column] = weight_block(shape, places[column], k);
    }
    return blocks;
}

fn product(shape: ProductShape, tile: Tile, first: u32, last: u32, sums: ptr<function, array<vec4<f32>, TILE_ROWS * TILE_QUADS>>) {
    var rows: array<u32, TILE_ROWS>;
    for (var row = 0u; row < TILE_ROWS; row++) {
        rows[row] = input_place(shape, tile, row);
    }
    var columns: array<u32, TILE_QUADS>;
    for (var column = 0u; column < TILE_QUADS; column++) {
        columns[column] = weight_place(shape, tile, column);
    }
    var k = first;
    for (; k + UNROLL <= last; k += UNROLL) {
        var held: array<array<vec4<f32>, TILE_ROWS>, UNROLL>;
        var blocks: array<array<mat4x4<f32>, TILE_QUADS>, UNROLL>;
        for (var i = 0u; i < UNROLL; i++) {
            held[i] = input_quads(shape, rows, k + i);
            blocks[i] = weight_blocks(shape, columns, k + i);
        }
        for (var i = 0u; i < UNROLL; i++) {
            multiply(held[i], blocks[i], sums);
        }
    }
    for (; UNROLL > 1u && k < last; k++) {
        multiply(input_quads(shape, rows, k), weight_blocks(shape, columns, k), sums);
    }
}
