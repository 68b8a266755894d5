// One image's share of a weight gradient, and its operands.
//
// The kernel binds `inputs` and `deltas`, and defines where a quad of the batch's first row stands: input_place(layer, tile, quad) and
// delta_place(layer, tile, quad), clamped to the layer.

#import gradient_tile

// Behind a row's last quad comes the constant that the bias is multiplied with; only some workgroups meet it.
fn with_bias(layer: Linear, tile: GradientTile, loaded: array<vec4<f32>, TILE_INPUTS>) -> array<vec4<f32>, TILE_INPUTS> {
    var quads = loaded;
    if (tile.has_bias) {
        for (var part = 0u; part < TILE_INPUTS; part++) {
            quads[part] = select(quads[part], vec4<f32>(1.0, 0.0, 0.0, 0.0), tile.input + part == layer.input_quads);
        }
    }
    return quads;
}

fn accumulate(held: array<vec4<f32>, TILE_INPUTS>, delta: array<vec4<f32>, TILE_QUADS>, sums: ptr<function, array<vec4<f32>, TILE>>) {
    for (var part = 0u; part < TILE_INPUTS; part++) {
        let input = held[part];
        for (var column = 0u; column < TILE_QUADS; column++) {
            let at = 4u * (part * TILE_QUADS + column);
            (*sums)[at] = fma(vec4<f32>(input.x), delta[column], (*sums)[at]);
            (*sums)[at + 1u] = fma(vec4<f32>(input.y), delta[column], (*sums)[at + 1u]);
            (*sums)[at + 2u] = fma(vec4<f32>(input.z), delta[column], (*sums)[at + 2u]);
            (*sums)[at + 3u] = fma(vec4<f32>(input.w), delta[column], (*sums)[at + 3u]);
        }
    }
}
