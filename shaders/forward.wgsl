// One layer for every slot: outputs = activation(inputs * weights), where the inputs end in the constant 1 and the weights'
// last row is the bias. activation is relu in hidden layers, the identity elsewhere. KEEP_PREACTIVATION also stores the product.
//
//     [batch, input_quads * 4] x [input_quads * 4, weight_quads * 4] -> [batch, output_quads * 4]
//
// A register tile an invocation (shared/product.wgsl), no workgroup memory: neighbours in x read neighbouring quads of the
// weights and the same inputs. Tails load a clamped address and are not stored.
//
// Grid: x = column tiles, y = row tiles, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, for each 4 inputs: 16 bytes a row + 64 bytes a column quad, for 16 fma a row and column quad.   Twin: src/cpu/forward.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> outputs: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> preactivations: array<vec4<f32>>;

const THREADS = LANES_X * LANES_Y;
const TILE = TILE_ROWS * TILE_QUADS;

fn input_quad(layer: Layer, tile: Tile, row: u32, k: u32) -> vec4<f32> {
    let first = (tile.slot >> layer.view_shift) * layer.batch_size;
    return inputs[(first + min(tile.row + row, layer.batch_size - 1u)) * layer.input_quads + k];
}

fn weight_block(layer: Layer, tile: Tile, k: u32, column: u32) -> mat4x4<f32> {
    let row = ((tile.slot ^ layer.weight_flip) * layer.input_quads + k) * 4u * layer.weight_quads;
    let first = layer.weight_offset + row + min(tile.quad + column * LANES_X, layer.weight_quads - 1u);
    let second = first + layer.weight_quads;
    let third = second + layer.weight_quads;
    return mat4x4<f32>(weights[first], weights[second], weights[third], weights[third + layer.weight_quads]);
}

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let first_row = (group.y * LANES_Y + local.y) * TILE_ROWS;
    let tile = Tile(group.z, first_row, group.x * LANES_X * TILE_QUADS + local.x, local.x);
    let thread = local.y * LANES_X + local.x;
    var sums: array<vec4<f32>, TILE>;
    product(layer, tile, 0u, layer.input_quads, &sums);
    stage(thread, &sums);

    for (var row = 0u; row < rolled(layer, TILE_ROWS); row++) {
        for (var column = 0u; column < rolled(layer, TILE_QUADS); column++) {
            let quad = tile.quad + column * LANES_X;
            if (tile.row + row < layer.batch_size && quad < layer.weight_quads) {
                let place = (tile.slot * layer.batch_size + tile.row + row) * layer.output_quads + quad;
                let sum = staged_sum(thread, &sums, row * TILE_QUADS + column);
                if (KEEP_PREACTIVATION) {
                    preactivations[place] = sum;
                }
                outputs[place] = activation(layer, quad, sum);
                // A width that is a multiple of four has its constant 1 in a quad of its own.
                if (quad + 1u == layer.weight_quads && layer.output_quads > layer.weight_quads) {
                    outputs[place + 1u] = vec4<f32>(1.0, 0.0, 0.0, 0.0);
                }
            }
        }
    }
}
