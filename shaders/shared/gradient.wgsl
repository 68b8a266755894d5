// The weight gradient: one invocation's register tile of TILE_INPUTS input quads x TILE_QUADS column quads,
//
//     sums[4 input + i, column] = sum over the batch of inputs[row, input][i] * deltas[row, column]
//
// summed in the batch's order with fma, so that the tile's shape changes no bit.
//
// The kernel defines where the operands stand: input_quad(layer, tile, row, quad) and delta_quad(layer, tile, row, quad), both clamped to
// the layer.
//
// SHUFFLE: the workgroup is one subgroup of LANES_X >= TILE_INPUTS. Each lane loads one input quad and the lanes hand them round.

#import lane
#import gradient_tile

fn gradient(layer: Linear, tile: GradientTile, sums: ptr<function, array<vec4<f32>, TILE>>) {
    for (var row = 0u; row < layer.rows; row++) {
        var delta: array<vec4<f32>, TILE_QUADS>;
        for (var column = 0u; column < TILE_QUADS; column++) {
            delta[column] = delta_quad(layer, tile, row, tile.quad + column * LANES_X);
        }
        var held: vec4<f32>;
        if (SHUFFLE) {
            held = input_quad(layer, tile, row, tile.input + tile.thread % LANES_X);
        }
        for (var part = 0u; part < TILE_INPUTS; part++) {
            var input = from_lane(held, part);
            if (!SHUFFLE) {
                input = input_quad(layer, tile, row, tile.input + part);
            }
            for (var column = 0u; column < TILE_QUADS; column++) {
                let at = 4u * (part * TILE_QUADS + column);
                (*sums)[at] = fma(vec4<f32>(input.x), delta[column], (*sums)[at]);
                (*sums)[at + 1u] = fma(vec4<f32>(input.y), delta[column], (*sums)[at + 1u]);
                (*sums)[at + 2u] = fma(vec4<f32>(input.z), delta[column], (*sums)[at + 2u]);
                (*sums)[at + 3u] = fma(vec4<f32>(input.w), delta[column], (*sums)[at + 3u]);
            }
        }
    }
}
