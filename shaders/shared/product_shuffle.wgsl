// The matrix product of shared/product.wgsl where the workgroup is one subgroup of LANES_X: each lane loads another quad of every row and
// the lanes hand them round, so a row is loaded once and not once a lane. For adapters on which a load costs far more than a shuffle.

#import lane
#import multiply

const CHUNK = LANES_X;

fn product(shape: ProductShape, tile: Tile, first: u32, last: u32, sums: ptr<function, array<vec4<f32>, TILE_ROWS * TILE_QUADS>>) {
    for (var k = first; k < last; k += CHUNK) {
        var held: array<vec4<f32>, TILE_ROWS>;
        let own = min(k + tile.thread % LANES_X, last - 1u);
        for (var row = 0u; row < TILE_ROWS; row++) {
            held[row] = input_quad(shape, input_place(shape, tile, row), own);
        }
        let length = min(CHUNK, last - k);
        for (var next = 0u; next < length; next++) {
            var block: array<mat4x4<f32>, TILE_QUADS>;
            for (var column = 0u; column < TILE_QUADS; column++) {
                block[column] = weight_block(shape, weight_place(shape, tile, column), k + next);
            }
            var handed: array<vec4<f32>, TILE_ROWS>;
            for (var row = 0u; row < TILE_ROWS; row++) {
                handed[row] = from_lane(held[row], next);
            }
            multiply(handed, block, sums);
        }
    }
}
