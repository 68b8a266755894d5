// One step of a matrix product, and its operands.
//
// The kernel defines ProductShape, and where the operands stand: input_place(shape, tile, row) and weight_place(shape, tile, column) before
// the first step, clamped to the layer; input_quad(shape, place, k) and weight_block(shape, place, k) in step k, the quad of a row and the
// quads of the four rows of weights that it meets.

#import tile

fn multiply(
    held: array<vec4<f32>, TILE_ROWS>, blocks: array<mat4x4<f32>, TILE_QUADS>, sums: ptr<function, array<vec4<f32>, TILE_ROWS * TILE_QUADS>>
) {
    for (var row = 0u; row < TILE_ROWS; row++) {
        let input = held[row];
        for (var column = 0u; column < TILE_QUADS; column++) {
            let block = blocks[column];
            var sum = (*sums)[row * TILE_QUADS + column];
            sum = fma(vec4<f32>(input.x), block[0], sum);
            sum = fma(vec4<f32>(input.y), block[1], sum);
            sum = fma(vec4<f32>(input.z), block[2], sum);
            sum = fma(vec4<f32>(input.w), block[3], sum);
            (*sums)[row * TILE_QUADS + column] = sum;
        }
    }
}
