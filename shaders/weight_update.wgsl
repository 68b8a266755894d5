// The local weight gradient, fused with Adam: gradient = inputs^T * deltas, summed over the whole batch in registers, then one
// read and one write of weights and moments. The constant 1 behind the inputs makes the last row's gradient that of the bias.
//
//     [input_quads * 4, batch] x [batch, weight_quads * 4] -> tile of [input_quads * 4, weight_quads * 4]
//
// An invocation owns TILE_INPUTS x TILE_QUADS quads: 4 rows a quad of inputs, summed in batch order with fma, so the tile's
// shape does not change a bit. Tails load a clamped address and are not stored. No workgroup memory, no barrier.
//
// Grid: x = column tiles, y = row tiles, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, an image: 16 bytes an input quad + 16 a delta quad for 16 fma each pair; then 24 bytes a parameter.
// Twin: src/cpu/weight_update.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> deltas: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> first_moments: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> second_moments: array<vec4<f32>>;

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let slot = group.z;
    let first_input = (group.y * LANES_Y + local.y) * TILE_INPUTS;
    let first_quad = group.x * LANES_X * TILE_QUADS + local.x;
    let input_base = (slot >> layer.view_shift) * layer.batch_size * layer.input_quads;
    let delta_base = slot * layer.batch_size * layer.weight_quads;

    var sums: array<vec4<f32>, 4u * TILE_INPUTS * TILE_QUADS>;
    for (var row = 0u; row < layer.batch_size; row++) {
        var delta: array<vec4<f32>, TILE_QUADS>;
        for (var column = 0u; column < TILE_QUADS; column++) {
            delta[column] = deltas[delta_base + row * layer.weight_quads + min(first_quad + column * LANES_X, layer.weight_quads - 1u)];
        }
        for (var part = 0u; part < TILE_INPUTS; part++) {
            let input = inputs[input_base + row * layer.input_quads + min(first_input + part, layer.input_quads - 1u)];
            for (var column = 0u; column < TILE_QUADS; column++) {
                let at = 4u * (part * TILE_QUADS + column);
                sums[at] = fma(vec4<f32>(input.x), delta[column], sums[at]);
                sums[at + 1u] = fma(vec4<f32>(input.y), delta[column], sums[at + 1u]);
                sums[at + 2u] = fma(vec4<f32>(input.z), delta[column], sums[at + 2u]);
                sums[at + 3u] = fma(vec4<f32>(input.w), delta[column], sums[at + 3u]);
            }
        }
    }

    for (var part = 0u; part < TILE_INPUTS; part++) {
        for (var column = 0u; column < TILE_QUADS; column++) {
            let quad = first_quad + column * LANES_X;
            if (first_input + part < layer.input_quads && quad < layer.weight_quads) {
                let at = (slot * layer.input_quads + first_input + part) * 4u * layer.weight_quads + quad;
                let tile = 4u * (part * TILE_QUADS + column);
                move_quad(at, sums[tile]);
                move_quad(at + layer.weight_quads, sums[tile + 1u]);
                move_quad(at + 2u * layer.weight_quads, sums[tile + 2u]);
                move_quad(at + 3u * layer.weight_quads, sums[tile + 3u]);
            }
        }
    }
}

// Four neighbours of a weight row.
fn move_quad(at: u32, gradient: vec4<f32>) {
    let next = adam(step, gradient, Moments(first_moments[at], second_moments[at], weights[at]));
    first_moments[at] = next.first;
    second_moments[at] = next.second;
    weights[at] = next.weight;
}
