// One layer for every slot: outputs = activation(inputs * weights), where the inputs end in the constant 1 and the weights'
// last row is the bias. activation is relu if RELU, else the identity. KEEP_PREACTIVATION also stores the product itself.
//
//     [batch, input_quads * 4] x [input_quads * 4, weight_quads * 4] -> [batch, output_quads * 4]
//
// A register tile of TILE_ROWS rows x TILE_QUADS quads an invocation, no workgroup memory: neighbours in x read neighbouring
// quads of the weights and the same inputs. Every output is summed by one invocation in the order of the inputs, with fma, so
// the tile's shape does not change a bit of the result. Tails load a clamped address and are not stored.
//
// Grid: x = column tiles, y = row tiles, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, for each 4 inputs: 16 bytes a row + 64 bytes a column quad, for 16 fma a row and column quad.   Twin: src/cpu/forward.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> outputs: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> preactivations: array<vec4<f32>>;

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let slot = group.z;
    let first_row = (group.y * LANES_Y + local.y) * TILE_ROWS;
    let first_quad = group.x * LANES_X * TILE_QUADS + local.x;
    let input_base = (slot >> layer.view_shift) * layer.batch_size;
    let weight_base = slot * 4u * layer.input_quads * layer.weight_quads;

    var sums: array<vec4<f32>, TILE_ROWS * TILE_QUADS>;
    for (var k = 0u; k < layer.input_quads; k++) {
        var block: array<vec4<f32>, 4u * TILE_QUADS>;
        for (var part = 0u; part < 4u; part++) {
            let weight_row = weight_base + (4u * k + part) * layer.weight_quads;
            for (var column = 0u; column < TILE_QUADS; column++) {
                block[part * TILE_QUADS + column] = weights[weight_row + min(first_quad + column * LANES_X, layer.weight_quads - 1u)];
            }
        }
        for (var row = 0u; row < TILE_ROWS; row++) {
            let input = inputs[(input_base + min(first_row + row, layer.batch_size - 1u)) * layer.input_quads + k];
            for (var column = 0u; column < TILE_QUADS; column++) {
                var sum = sums[row * TILE_QUADS + column];
                sum = fma(vec4<f32>(input.x), block[column], sum);
                sum = fma(vec4<f32>(input.y), block[TILE_QUADS + column], sum);
                sum = fma(vec4<f32>(input.z), block[2u * TILE_QUADS + column], sum);
                sum = fma(vec4<f32>(input.w), block[3u * TILE_QUADS + column], sum);
                sums[row * TILE_QUADS + column] = sum;
            }
        }
    }

    for (var row = 0u; row < TILE_ROWS; row++) {
        for (var column = 0u; column < TILE_QUADS; column++) {
            let quad = first_quad + column * LANES_X;
            if (first_row + row < layer.batch_size && quad < layer.weight_quads) {
                store(slot * layer.batch_size + first_row + row, quad, sums[row * TILE_QUADS + column]);
            }
        }
    }
}

fn store(row: u32, quad: u32, sum: vec4<f32>) {
    if (KEEP_PREACTIVATION) {
        preactivations[row * layer.output_quads + quad] = sum;
    }
    var value = sum;
    if (RELU) {
        value = max(value, vec4<f32>(0.0));
    }
    // Behind the last output stands the constant 1 that multiplies the next layer's bias, then zeros.
    let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    let width = vec4<u32>(layer.output_width);
    let padding = select(vec4<f32>(0.0), vec4<f32>(1.0), position == width);
    outputs[row * layer.output_quads + quad] = select(padding, value, position < width);
    if (quad + 1u == layer.weight_quads && layer.output_quads > layer.weight_quads) {
        outputs[row * layer.output_quads + layer.weight_quads] = vec4<f32>(1.0, 0.0, 0.0, 0.0);
    }
}
