// forward
// One layer for every slot: outputs = activation(inputs * weights + bias), the bias being the weights' last row. activation is relu in
// hidden layers, the identity elsewhere.
//
//     [batch, input_quads * 4] x [input_quads * 4, output_quads * 4] -> [batch, output_quads * 4]
//
// A register tile an invocation (shared/product.wgsl): neighbours in x read neighbouring quads of the weights and the same inputs. SHARED:
// both come by way of workgroup memory (shared/product_shared.wgsl). Tails load a clamped address and are not stored.
//
// Grid: x = column tiles, y = row tiles, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, for each 4 inputs: 16 bytes a row + 64 bytes a column quad, for 16 fma a row and column quad.

#import Linear
#import product
#import stage

alias ProductShape = Linear;

@group(0) @binding(0) var<uniform> layer: Linear;
@group(0) @binding(1) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> outputs: array<vec4<f32>>;

const THREADS = LANES_X * LANES_Y;
const TILE = TILE_ROWS * TILE_QUADS;

fn input_place(layer: Linear, tile: Tile, row: u32) -> u32 {
    let first = (tile.slot >> layer.view_shift) * layer.rows;
    return (first + min(tile.row + row, layer.rows - 1u)) * layer.input_quads;
}

fn input_quad(layer: Linear, place: u32, k: u32) -> vec4<f32> {
    return inputs[place + k];
}

fn weight_place(layer: Linear, tile: Tile, column: u32) -> u32 {
    let first = tile.slot * (4u * layer.input_quads + 1u) * layer.output_quads;
    return first + min(tile.quad + column * LANES_X, layer.output_quads - 1u);
}

fn weight_block(layer: Linear, place: u32, k: u32) -> mat4x4<f32> {
    let first = place + 4u * k * layer.output_quads;
    let second = first + layer.output_quads;
    let third = second + layer.output_quads;
    return mat4x4<f32>(weights[first], weights[second], weights[third], weights[third + layer.output_quads]);
}

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let first_row = (group.y * LANES_Y + local.y) * TILE_ROWS;
    let thread = local.y * LANES_X + local.x;
    let tile = Tile(group.z, first_row, group.x * LANES_X * TILE_QUADS + local.x, thread);
    var sums: array<vec4<f32>, TILE>;
    product(layer, tile, 0u, layer.input_quads, &sums);
    stage(thread, &sums);

    let bias = ((tile.slot + 1u) * (4u * layer.input_quads + 1u) - 1u) * layer.output_quads;
    for (var row = 0u; row < rolled(layer.rows, TILE_ROWS); row++) {
        for (var column = 0u; column < rolled(layer.rows, TILE_QUADS); column++) {
            let quad = tile.quad + column * LANES_X;
            if (tile.row + row < layer.rows && quad < layer.output_quads) {
                let place = (tile.slot * layer.rows + tile.row + row) * layer.output_quads + quad;
                let sum = staged_sum(thread, &sums, row * TILE_QUADS + column) + weights[bias + quad];
                outputs[place] = select(sum, max(sum, vec4<f32>(0.0)), layer.rectified > 0u);
            }
        }
    }
}
