// The matrix product of the forward kernels: one invocation's register tile of TILE_ROWS rows x TILE_QUADS column quads,
//
//     sums[row, column] += inputs[row, k] * weights[k, column]      for the input quads k in first .. last
//
// summed in the order of k with fma, so that the tile's shape changes no bit.
//
// The kernel defines ProductShape, and where the operands stand: input_quad(shape, tile, row, k) and
// weight_block(shape, tile, k, column), the quads of the four rows of weights that an input quad meets, both clamped to the layer.
//
// SHUFFLE: the workgroup is one subgroup of LANES_X. Each lane loads another quad of every row and the lanes hand them round,
// so a row is loaded once and not once a lane. For adapters on which a load costs far more than a shuffle.

#import lane
#import tile

const CHUNK = select(1u, LANES_X, SHUFFLE);

fn product(shape: ProductShape, tile: Tile, first: u32, last: u32, sums: ptr<function, array<vec4<f32>, TILE_ROWS * TILE_QUADS>>) {
    for (var k = first; k < last; k += CHUNK) {
        var held: array<vec4<f32>, TILE_ROWS>;
        let own = min(k + select(0u, tile.thread % LANES_X, SHUFFLE), last - 1u);
        for (var row = 0u; row < TILE_ROWS; row++) {
            held[row] = input_quad(shape, tile, row, own);
        }
        let length = min(CHUNK, last - k);
        for (var next = 0u; next < length; next++) {
            var block: array<mat4x4<f32>, TILE_QUADS>;
            for (var column = 0u; column < TILE_QUADS; column++) {
                block[column] = weight_block(shape, tile, k + next, column);
            }
            for (var row = 0u; row < TILE_ROWS; row++) {
                let input = from_lane(held[row], next);
                for (var column = 0u; column < TILE_QUADS; column++) {
                    var sum = (*sums)[row * TILE_QUADS + column];
                    sum = fma(vec4<f32>(input.x), block[column][0], sum);
                    sum = fma(vec4<f32>(input.y), block[column][1], sum);
                    sum = fma(vec4<f32>(input.z), block[column][2], sum);
                    sum = fma(vec4<f32>(input.w), block[column][3], sum);
                    (*sums)[row * TILE_QUADS + column] = sum;
                }
            }
        }
    }
}
