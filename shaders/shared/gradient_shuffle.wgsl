// The weight gradient of shared/gradient.wgsl where the workgroup is one subgroup of LANES_X >= TILE_INPUTS: each lane loads one input quad
// and the lanes hand them round.

#import lane
#import accumulate

fn gradient(layer: Linear, tile: GradientTile, sums: ptr<function, array<vec4<f32>, TILE>>) {
    for (var row = 0u; row < layer.rows; row++) {
        var delta: array<vec4<f32>, TILE_QUADS>;
        for (var column = 0u; column < TILE_QUADS; column++) {
            delta[column] = deltas[delta_place(layer, tile, tile.quad + column * LANES_X) + row * layer.output_quads];
        }
        let own = inputs[input_place(layer, tile, tile.input + tile.thread % LANES_X) + row * layer.input_quads];
        var held: array<vec4<f32>, TILE_INPUTS>;
        for (var part = 0u; part < TILE_INPUTS; part++) {
            held[part] = from_lane(own, part);
        }
        accumulate(with_bias(layer, tile, held), delta, sums);
    }
}
