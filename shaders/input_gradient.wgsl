// From a layer's gradient to that of its input, for every slot: gradients = deltas * weights^T, without the bias's row. MASK: the
// input is a rectified output, and where it is 0 nothing passes.
//
//     [batch, output_quads * 4] x [output_quads * 4, input] -> [batch, quads(input) * 4]
//
// The same register tile as forward (shared/product.wgsl): weights are read along their rows, four rows by a quad at a time, and turned in
// registers. Tails load a clamped address and are not stored.
//
// Grid: x = tiles of input quads, y = row tiles, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, for each 4 outputs: 16 bytes a row + 64 bytes an input quad, for 16 fma a row and input quad.

#import Linear
#import product
#import stage

alias ProductShape = Linear;

@group(0) @binding(0) var<uniform> layer: Linear;
@group(0) @binding(1) var<storage, read> deltas: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4<f32>>;

const THREADS = LANES_X * LANES_Y;
const TILE = TILE_ROWS * TILE_QUADS;

fn input_place(layer: Linear, tile: Tile, row: u32) -> u32 {
    return (tile.slot * layer.rows + min(tile.row + row, layer.rows - 1u)) * layer.output_quads;
}

fn input_quad(layer: Linear, place: u32, k: u32) -> vec4<f32> {
    return deltas[place + k];
}

fn weight_place(layer: Linear, tile: Tile, column: u32) -> u32 {
    let quad = min(tile.quad + column * LANES_X, layer.input_quads - 1u);
    return (tile.slot * (4u * layer.input_quads + 1u) + 4u * quad) * layer.output_quads;
}

fn weight_block(layer: Linear, place: u32, k: u32) -> mat4x4<f32> {
    let first = place + k;
    let second = first + layer.output_quads;
    let third = second + layer.output_quads;
    return transpose(mat4x4<f32>(weights[first], weights[second], weights[third], weights[third + layer.output_quads]));
}

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let first_row = (group.y * LANES_Y + local.y) * TILE_ROWS;
    let thread = local.y * LANES_X + local.x;
    let tile = Tile(group.z, first_row, group.x * LANES_X * TILE_QUADS + local.x, thread);
    var sums: array<vec4<f32>, TILE>;
    product(layer, tile, 0u, layer.output_quads, &sums);
    stage(thread, &sums);

    for (var row = 0u; row < rolled(layer.rows, TILE_ROWS); row++) {
        for (var column = 0u; column < rolled(layer.rows, TILE_QUADS); column++) {
            let quad = tile.quad + column * LANES_X;
            if (tile.row + row < layer.rows && quad < layer.input_quads) {
                let batch_row = tile.slot * layer.rows + tile.row + row;
                let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
                var passes = position < vec4<u32>(layer.input_width);
                if (MASK) {
                    passes &= inputs[batch_row * layer.input_quads + quad] > vec4<f32>(0.0);
                }
                let sum = staged_sum(thread, &sums, row * TILE_QUADS + column);
                gradients[batch_row * layer.input_quads + quad] = select(vec4<f32>(0.0), sum, passes);
            }
        }
    }
}
