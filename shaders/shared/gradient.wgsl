// The weight gradient: one invocation's register tile of TILE_INPUTS input quads x TILE_QUADS column quads,
//
//     sums[4 input + i, column] = sum over the batch of inputs[row, input][i] * deltas[row, column]
//
// summed in the batch's order with fma, so that neither the tile's shape nor UNROLL changes a bit; UNROLL as in shared/product.wgsl.

#import accumulate

const UNROLL = select(select(1u, select(4u, 8u, TILE_QUADS == 1u), TILE_INPUTS == 1u && TILE_QUADS <= 2u), 1u, STAGE);

fn input_quads(layer: Linear, places: array<u32, TILE_INPUTS>, row: u32) -> array<vec4<f32>, TILE_INPUTS> {
    var quads: array<vec4<f32>, TILE_INPUTS>;
    for (var part = 0u; part < TILE_INPUTS; part++) {
        quads[part] = inputs[places[part] + row * layer.input_quads];
    }
    return quads;
}

fn delta_quads(layer: Linear, places: array<u32, TILE_QUADS>, row: u32) -> array<vec4<f32>, TILE_QUADS> {
    var quads: array<vec4<f32>, TILE_QUADS>;
    for (var column = 0u; column < TILE_QUADS; column++) {
        quads[column] = deltas[places[column] + row * layer.output_quads];
    }
    return quads;
}

fn gradient(layer: Linear, tile: GradientTile, sums: ptr<function, array<vec4<f32>, TILE>>) {
    var inputs_at: array<u32, TILE_INPUTS>;
    for (var part = 0u; part < TILE_INPUTS; part++) {
        inputs_at[part] = input_place(layer, tile, tile.input + part);
    }
    var deltas_at: array<u32, TILE_QUADS>;
    for (var column = 0u; column < TILE_QUADS; column++) {
        deltas_at[column] = delta_place(layer, tile, tile.quad + column * LANES_X);
    }
    var row = 0u;
    for (; row + UNROLL <= layer.rows; row += UNROLL) {
        var held: array<array<vec4<f32>, TILE_INPUTS>, UNROLL>;
        var delta: array<array<vec4<f32>, TILE_QUADS>, UNROLL>;
        for (var i = 0u; i < UNROLL; i++) {
            held[i] = input_quads(layer, inputs_at, row + i);
            delta[i] = delta_quads(layer, deltas_at, row + i);
        }
        for (var i = 0u; i < UNROLL; i++) {
            accumulate(with_bias(layer, tile, held[i]), delta[i], sums);
        }
    }
    for (; UNROLL > 1u && row < layer.rows; row++) {
        accumulate(with_bias(layer, tile, input_quads(layer, inputs_at, row)), delta_quads(layer, deltas_at, row), sums);
    }
}
