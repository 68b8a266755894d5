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
// Rows of a quad whose weights and moments are loaded together.
const AT_ONCE = select(4u, 1u, STAGE);

fn delta_place(layer: Linear, tile: GradientTile, quad: u32) -> u32 {
    return tile.first_delta + min(quad, layer.output_quads - 1u);
}

fn input_place(layer: Linear, tile: GradientTile, quad: u32) -> u32 {
    return tile.first_input + min(quad, layer.input_quads - 1u);
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
    let group_input = number / across * INPUTS;
    let has_bias = layer.input_quads < group_input + INPUTS;
    let first_input = group_input + local.y * TILE_INPUTS;
    let first_quad = number % across * COLUMNS + local.x;
    let input_base = places.inputs + (slot >> layer.view_shift) * layer.rows * layer.input_quads;
    let delta_base = places.deltas + slot * layer.rows * layer.output_quads;

    let thread = local.y * LANES_X + local.x;
    var sums: array<vec4<f32>, TILE>;
    gradient(layer, GradientTile(input_base, delta_base, first_input, first_quad, thread, has_bias), &sums);
    stage(thread, &sums);
    for (var tile = 0u; tile < rolled(layer.rows, TILE / 4u); tile++) {
        let input = first_input + tile / TILE_QUADS;
        let quad = first_quad + tile % TILE_QUADS * LANES_X;
        if (input <= layer.input_quads && quad < layer.output_quads) {
            let row = 4u * input;
            let at = places.weights + (slot * (4u * layer.input_quads + 1u) + row) * layer.output_quads + quad;
            // All loads before the first store: a compiler may not move one over a store to another buffer.
            for (var first = 0u; first < rolled(layer.rows, 4u / AT_ONCE); first++) {
                var states: array<Moments, AT_ONCE>;
                for (var i = 0u; i < AT_ONCE; i++) {
                    // The bias is one row, no quad of them.
                    let place = at + select(first * AT_ONCE + i, 0u, input == layer.input_quads) * layer.output_quads;
                    states[i] = Moments(first_moments[place], second_moments[place], weights[place]);
                }
                for (var i = 0u; i < AT_ONCE; i++) {
                    let next = first * AT_ONCE + i;
                    // Padding stays, and so does a bias that is not trained.
                    let is_bias = input == layer.input_quads && next < trained.bias;
                    if (row + next < layer.input_width || is_bias) {
                        let gradient = staged_sum(thread, &sums, select(next, 4u * tile + next, STAGE));
                        let moved = adam(step, trained.rate, gradient, states[i]);
                        let place = at + next * layer.output_quads;
                        first_moments[place] = moved.first;
                        second_moments[place] = moved.second;
                        weights[place] = moved.weight;
                    }
                }
            }
        }
        // The next sums take the place of these, so that none is looked up by a number that is no constant: some compilers leave this loop
        // as it is, and would then go through all of them.
        for (var i = 4u; i < select(TILE, 0u, STAGE); i++) {
            sums[i - 4u] = sums[i];
        }
    }
}
