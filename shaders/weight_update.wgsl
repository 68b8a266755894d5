// The local weight gradient, fused with Adam: gradient = inputs^T * deltas, summed over the whole batch in registers, then one
// read and one write of weights and moments. Behind a row's last input quad comes one of (1, 0, 0, 0), whose first row is the bias.
// One dispatch updates all LAYERS of its table: a whole network whose layers share buffers, or one layer.
//
//     [input_quads * 4, batch] x [batch, output_quads * 4] -> tile of [input_quads * 4, output_quads * 4]
//
// An invocation owns TILE_INPUTS x TILE_QUADS quads: 4 rows a quad of inputs (shared/gradient.wgsl). SHARED: what it reads comes by way of
// workgroup memory (shared/gradient_shared.wgsl). Tails load a clamped address and are not stored.
//
// Grid: x = tiles of all layers, a layer's column tiles varying fastest, z = slots.   Workgroup: LANES_X x LANES_Y.
// Memory, an image: 16 bytes an input quad + 16 a delta quad for 16 fma each pair; then 24 bytes a parameter.

#import Linear
#import Places
#import Trained
#import Step
#import adam
#import stage
#import gradient

struct UpdatedLayer {
    linear: Linear,
    places: Places,
    trained: Trained,
}

@group(0) @binding(0) var<uniform> layers: array<UpdatedLayer, LAYERS>;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> deltas: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> first_moments: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> second_moments: array<vec4<f32>>;

const COLUMNS = LANES_X * TILE_QUADS;
const INPUTS = LANES_Y * TILE_INPUTS;
const THREADS = LANES_X * LANES_Y;
const TILE = 4u * TILE_INPUTS * TILE_QUADS;

fn delta_quad(layer: Linear, tile: GradientTile, row: u32, quad: u32) -> vec4<f32> {
    return deltas[tile.first_delta + row * layer.output_quads + min(quad, layer.output_quads - 1u)];
}

// Behind a row's last quad comes the constant that the bias is multiplied with.
fn input_quad(layer: Linear, tile: GradientTile, row: u32, quad: u32) -> vec4<f32> {
    let value = inputs[tile.first_input + row * layer.input_quads + min(quad, layer.input_quads - 1u)];
    return select(value, vec4<f32>(1.0, 0.0, 0.0, 0.0), quad == layer.input_quads);
}

@compute @workgroup_size(LANES_X, LANES_Y)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    // The layer whose tiles hold this workgroup, and the tile's number in it.
    var index = 0u;
    var number = group.x;
    var across = (layers[0].linear.output_quads + COLUMNS - 1u) / COLUMNS;
    for (; index + 1u < LAYERS; index++) {
        let tiles = across * ((layers[index].linear.input_quads + INPUTS) / INPUTS);
        if (number < tiles) {
            break;
        }
        number -= tiles;
        across = (layers[index + 1u].linear.output_quads + COLUMNS - 1u) / COLUMNS;
    }
    let layer = layers[index].linear;
    let places = layers[index].places;
    let trained = layers[index].trained;
    let slot = group.z;
    if (((trained.frozen >> (slot & 1u)) & 1u) == 1u) {
        return;
    }
    let first_input = number / across * INPUTS + local.y * TILE_INPUTS;
    let first_quad = number % across * COLUMNS + local.x;
    let input_base = places.inputs + (slot >> layer.view_shift) * layer.rows * layer.input_quads;
    let delta_base = places.deltas + slot * layer.rows * layer.output_quads;

    let thread = local.y * LANES_X + local.x;
    var sums: array<vec4<f32>, TILE>;
    gradient(layer, GradientTile(input_base, delta_base, first_input, first_quad, thread), &sums);
    stage(thread, &sums);
    for (var part = 0u; part < rolled(layer.rows, TILE_INPUTS); part++) {
        for (var column = 0u; column < rolled(layer.rows, TILE_QUADS); column++) {
            let quad = first_quad + column * LANES_X;
            if (first_input + part <= layer.input_quads && quad < layer.output_quads) {
                let row = 4u * (first_input + part);
                let at = places.weights + (slot * (4u * layer.input_quads + 1u) + row) * layer.output_quads + quad;
                let tile = 4u * (part * TILE_QUADS + column);
                for (var next = 0u; next < rolled(layer.rows, 4u); next++) {
                    // Padding stays, and so does a bias that is not trained.
                    let is_bias = row == 4u * layer.input_quads && next < trained.bias;
                    if (row + next < layer.input_width || is_bias) {
                        move_quad(at + next * layer.output_quads, trained.rate, staged_sum(thread, &sums, tile + next));
                    }
                }
            }
        }
    }
}

// Four neighbours of a weight row.
fn move_quad(at: u32, rate: f32, gradient: vec4<f32>) {
    let next = adam(step, rate, gradient, Moments(first_moments[at], second_moments[at], weights[at]));
    first_moments[at] = next.first;
    second_moments[at] = next.second;
    weights[at] = next.weight;
}
