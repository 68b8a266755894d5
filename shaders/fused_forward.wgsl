// One tile of the batch through all layers of both models of a pair: what forward, normalize, cosine_gradient and output_gradient do in a
// dispatch for each layer and kernel. For narrow networks, whose steps are bound by the latency of dispatches. A pair stays together in one
// workgroup because with COSINE each model's loss needs the other's output.
//
// The table lists layers in the order of the pass, each hidden layer's projection behind it (a branch, whose output ends there).
// NORMALIZE: a layer's rows are brought to one length before the next layer reads them. UNIT_ROWS: what the losses by prototypes compare is
// left behind at length 1. OUTPUT_LOSS: the output layer's loss is taken here, too.
//
// Invocations: LANES_X column lanes x SPLITS shares of the inputs x TEAMS models at a time. An invocation holds all TILE_ROWS rows of
// the workgroup and TILE_QUADS column quads, which cover the widest layer. With several SPLITS each sums a share of the inputs,
// and a tree in workgroup memory adds the shares, in a fixed order; with one, the bits are those of the forward kernel.
//
// LOCAL: a layer's output goes to the next through workgroup memory. Otherwise through `activations`, where it must be written
// anyway for the weight gradients, for adapters whose workgroup memory is no faster.
//
// GATHER: the rows of the batch are fetched here, too, as gather does where nothing changes the images; their numbers and labels stay
// behind for the dispatches that follow.
//
// Grid: x = row tiles, y = replicas.
// Memory: a workgroup reads all weights of two slots and TILE_ROWS rows of inputs; writes activations and deltas once.

#import Shard
#import Step
#import Linear
#import Places
#import ForwardPlaces
#import RowLoss
#import records
#import product
#import stage
#import row_scale
#import cosine_loss
#import output_loss


struct FusedLayer {
    linear: Linear,
    places: Places,
    forward: ForwardPlaces,
    loss: RowLoss,
}

alias ProductShape = FusedLayer;

// What the losses ask for, and where the layer stands.
struct LossShape {
    layer: FusedLayer,
    quads: u32,
    batch_size: u32,
}

struct Network {
    layers: array<FusedLayer, LAYERS>,
    shard: Shard,
}

@group(0) @binding(0) var<uniform> network: Network;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> records: array<u32>;
@group(0) @binding(3) var<storage, read> orders: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;
@group(0) @binding(7) var<storage, read_write> activations: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> row_metrics: array<f32>;

const THREADS = LANES_X * SPLITS * TEAMS;
const TILE = TILE_ROWS * TILE_QUADS;

// Outputs of the layer in work, and of its projection: [model][row][quad].
var<workgroup> hidden: array<vec4<f32>, select(1u, 2u * TILE_ROWS * HIDDEN_QUADS, LOCAL)>;
var<workgroup> projected: array<vec4<f32>, select(1u, 2u * TILE_ROWS * PROJECTED_QUADS, LOCAL)>;
// Sums of the upper half of the splits on their way to the lower.
var<workgroup> shares: array<vec4<f32>, max(1u, SPLITS / 2u * TEAMS * LANES_X * TILE)>;

// A row within the workgroup is model * TILE_ROWS + row. Rows past the batch's end repeat its last one and store nothing global.
var<private> first_row: u32;
var<private> replica: u32;

fn batch_row(local_row: u32) -> u32 {
    return first_row + local_row % TILE_ROWS;
}

// Its place among [slot, batch].
fn slot_row(layer: FusedLayer, local_row: u32) -> u32 {
    let batch_size = layer.linear.rows;
    return (2u * replica + local_row / TILE_ROWS) * batch_size + min(batch_row(local_row), batch_size - 1u);
}

fn output_place(layer: FusedLayer, local_row: u32, quad: u32) -> u32 {
    return layer.places.outputs + slot_row(layer, local_row) * layer.linear.output_quads + quad;
}

// Whether a layer's inputs stand in workgroup memory.
fn is_local(layer: FusedLayer) -> bool {
    return LOCAL && (layer.loss.metric > 0u || layer.forward.is_branch > 0u);
}

fn input_place(layer: FusedLayer, tile: Tile, row: u32) -> u32 {
    let linear = layer.linear;
    let first = (tile.slot >> linear.view_shift) * linear.rows;
    let place = layer.places.inputs + (first + min(tile.row + row, linear.rows - 1u)) * linear.input_quads;
    return select(place, ((tile.slot & 1u) * TILE_ROWS + row) * HIDDEN_QUADS, is_local(layer));
}

fn input_quad(layer: FusedLayer, place: u32, k: u32) -> vec4<f32> {
    if (is_local(layer)) {
        return hidden[place + k];
    }
    return activations[place + k];
}

fn weight_place(layer: FusedLayer, tile: Tile, column: u32) -> u32 {
    let quads = layer.linear.output_quads;
    let first = layer.places.weights + tile.slot * (4u * layer.linear.input_quads + 1u) * quads;
    return first + min(tile.quad + column * LANES_X, quads - 1u);
}

fn weight_block(layer: FusedLayer, place: u32, k: u32) -> mat4x4<f32> {
    let quads = layer.linear.output_quads;
    let first = place + 4u * k * quads;
    let second = first + quads;
    let third = second + quads;
    return mat4x4<f32>(weights[first], weights[second], weights[third], weights[third + quads]);
}

fn output_quad(layer: FusedLayer, local_row: u32, quad: u32) -> vec4<f32> {
    if (LOCAL && layer.forward.is_branch > 0u) {
        return projected[local_row * PROJECTED_QUADS + quad];
    }
    if (LOCAL) {
        return hidden[local_row * HIDDEN_QUADS + quad];
    }
    return activations[output_place(layer, local_row, quad)];
}

fn representation(shape: LossShape, local_row: u32, quad: u32) -> vec4<f32> {
    return output_quad(shape.layer, local_row, quad);
}

fn passes(shape: LossShape, local_row: u32, quad: u32) -> vec4<bool> {
    return output_quad(shape.layer, local_row, quad) > vec4<f32>(0.0);
}

fn delta_place(layer: FusedLayer, local_row: u32, quad: u32) -> u32 {
    return layer.places.deltas + slot_row(layer, local_row) * layer.linear.output_quads + quad;
}

fn store_delta(shape: LossShape, local_row: u32, quad: u32, delta: vec4<f32>) {
    deltas[delta_place(shape.layer, local_row, quad)] = delta;
}

fn logit(shape: LossShape, local_row: u32, k: u32) -> f32 {
    return output_quad(shape.layer, local_row, k / 4u)[k % 4u];
}

fn store_delta_at(shape: LossShape, local_row: u32, k: u32, delta: f32) {
    deltas[delta_place(shape.layer, local_row, k / 4u)][k % 4u] = delta;
}

fn add_to_metric(layer: FusedLayer, local_row: u32, metric: u32, value: f32) {
    let slot = 2u * replica + local_row / TILE_ROWS;
    row_metrics[(slot * layer.loss.metrics + metric) * layer.loss.batch_size + batch_row(local_row)] += value;
}

// What is normalised into a layer's inputs.
fn unnormalized_quad(layer: FusedLayer, local_row: u32, quad: u32) -> vec4<f32> {
    if (LOCAL) {
        return hidden[local_row * HIDDEN_QUADS + quad];
    }
    return activations[layer.forward.unnormalized + slot_row(layer, local_row) * layer.linear.input_quads + quad];
}

// Fetches the workgroup's rows of the batch, which both models read. The data set is in one piece.
fn gather_rows(thread: u32) {
    let shard = network.shard;
    for (var row = first_row; row < min(first_row + TILE_ROWS, shard.batch_size); row++) {
        let record = image_of(shard, step, replica, row) * shard.record_words;
        let place = replica * shard.batch_size + row;
        if (thread == 0u) {
            labels[place] = label_of(shard, record);
        }
        for (var quad = thread; quad < shard.input_quads; quad += THREADS) {
            activations[network.layers[0].places.inputs + place * shard.input_quads + quad] =
                padded(shard, quad, record_quad(record, quad));
        }
    }
}

// What is brought to another length: a row that is to enter a layer, or one that has left it.
fn row_quad(layer: FusedLayer, enters: bool, local_row: u32, quad: u32) -> vec4<f32> {
    if (enters) {
        return unnormalized_quad(layer, local_row, quad);
    }
    return output_quad(layer, local_row, quad);
}

// The factor that does it, by the LANES invocations of the row together.
fn length_scale(layer: FusedLayer, enters: bool, local_row: u32, thread: u32) -> f32 {
    let quads = select(layer.linear.output_quads, layer.linear.input_quads, enters);
    let width = select(layer.linear.output_width, layer.linear.input_width, enters);
    var squares = 0.0;
    for (var quad = thread % LANES; quad < quads; quad += LANES) {
        let values = row_quad(layer, enters, local_row, quad);
        squares += dot(values, values);
    }
    return row_scale(width, !enters, sum_over_lanes(vec2<f32>(squares, 0.0), thread).x);
}

// Brings the rows that a layer reads to one length, in both memories.
fn normalize_inputs(layer: FusedLayer, thread: u32) {
    let quads = layer.linear.input_quads;
    for (var round = 0u; round < 2u * TILE_ROWS; round += ROWS) {
        let row = round + thread / LANES;
        let scale = length_scale(layer, true, min(row, 2u * TILE_ROWS - 1u), thread);
        if (row < 2u * TILE_ROWS) {
            // Each invocation replaces what it has read itself.
            for (var quad = thread % LANES; quad < quads; quad += LANES) {
                let value = row_quad(layer, true, row, quad) * scale;
                if (LOCAL) {
                    hidden[row * HIDDEN_QUADS + quad] = value;
                }
                if (batch_row(row) < layer.linear.rows) {
                    activations[layer.places.inputs + slot_row(layer, row) * quads + quad] = value;
                }
            }
        }
    }
    workgroupBarrier();
    storageBarrier();
}

// Leaves a layer's output at length 1.
fn unit_rows(layer: FusedLayer, thread: u32) {
    let quads = layer.linear.output_quads;
    for (var round = 0u; round < 2u * TILE_ROWS; round += ROWS) {
        let row = round + thread / LANES;
        let scale = length_scale(layer, false, min(row, 2u * TILE_ROWS - 1u), thread);
        if (row < 2u * TILE_ROWS && batch_row(row) < layer.linear.rows) {
            for (var quad = thread % LANES; quad < quads; quad += LANES) {
                let at = layer.forward.unit_rows + slot_row(layer, row) * quads + quad;
                activations[at] = row_quad(layer, false, row, quad) * scale;
            }
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    first_row = group.x * TILE_ROWS;
    replica = group.y;
    let lane = thread % LANES_X;
    let split = thread / LANES_X % SPLITS;
    let team = thread / (LANES_X * SPLITS);

    if (GATHER) {
        gather_rows(thread);
        workgroupBarrier();
        storageBarrier();
    }
    // Not LAYERS: a bound known to the compiler would have it unroll the whole network.
    let count = network.layers[0].forward.count;
    for (var index = 0u; index < count; index++) {
        let layer = network.layers[index];
        let linear = layer.linear;
        let is_branch = layer.forward.is_branch > 0u;
        if (NORMALIZE && index > 0u && !is_branch) {
            normalize_inputs(layer, thread);
        }
        let shape = LossShape(layer, linear.output_quads, layer.loss.batch_size);
        for (var round = 0u; round < rolled(linear.rows, 2u / TEAMS); round++) {
            let model = round * TEAMS + team;
            let tile = Tile(2u * replica + model, first_row, lane, thread);
            let share = (linear.input_quads + SPLITS - 1u) / SPLITS;
            let first = min(split * share, linear.input_quads);
            // Said, not left out: one browser does not begin a variable without a value anew in each round of a loop.
            var sums = array<vec4<f32>, TILE>();
            product(layer, tile, first, min(first + share, linear.input_quads), &sums);

            // Also: everybody has read `hidden` before anybody replaces it.
            if (LOCAL) {
                workgroupBarrier();
            }
            for (var half = SPLITS / 2u; half > 0u; half /= 2u) {
                let given = ((split - half) * TEAMS + team) * LANES_X + lane;
                let taken = (split * TEAMS + team) * LANES_X + lane;
                if (split >= half && split < 2u * half) {
                    for (var i = 0u; i < TILE; i++) {
                        shares[given * TILE + i] = sums[i];
                    }
                }
                workgroupBarrier();
                if (split < half) {
                    for (var i = 0u; i < TILE; i++) {
                        sums[i] += shares[taken * TILE + i];
                    }
                }
                // The next round writes where this one reads.
                workgroupBarrier();
            }
            if (split == 0u) {
                stage(thread, &sums);
                for (var row = 0u; row < rolled(linear.rows, TILE_ROWS); row++) {
                    for (var column = 0u; column < rolled(linear.rows, TILE_QUADS); column++) {
                        let quad = tile.quad + column * LANES_X;
                        if (quad < linear.output_quads) {
                            let local_row = model * TILE_ROWS + row;
                            let bias = ((tile.slot + 1u) * (4u * linear.input_quads + 1u) - 1u) * linear.output_quads;
                            let offset = weights[layer.places.weights + bias + quad];
                            let sum = staged_sum(thread, &sums, row * TILE_QUADS + column) + offset;
                            let value = select(sum, max(sum, vec4<f32>(0.0)), linear.rectified > 0u);
                            if (LOCAL && is_branch) {
                                projected[local_row * PROJECTED_QUADS + quad] = value;
                            } else if (LOCAL) {
                                hidden[local_row * HIDDEN_QUADS + quad] = value;
                            }
                            if (batch_row(row) < linear.rows) {
                                activations[output_place(layer, local_row, quad)] = value;
                            }
                        }
                    }
                }
            }
        }
        // Both models' rows are there, in both memories.
        workgroupBarrier();
        storageBarrier();

        if (index + 1u < count) {
            if (UNIT_ROWS && (is_branch || !PROJECTED)) {
                unit_rows(layer, thread);
            }
            // ROWS rows at a time, LANES invocations each; all invocations take part in each round.
            for (var round = 0u; round < select(0u, 2u * TILE_ROWS, COSINE); round += ROWS) {
                let row = round + thread / LANES;
                let clamped = min(row, 2u * TILE_ROWS - 1u);
                let keep = row < 2u * TILE_ROWS && batch_row(clamped) < linear.rows;
                let partner = (clamped + TILE_ROWS) % (2u * TILE_ROWS);
                let loss = cosine_loss(shape, clamped, partner, thread, keep);
                if (keep && thread % LANES == 0u) {
                    add_to_metric(layer, row, layer.loss.metric, loss);
                }
            }
        } else if (OUTPUT_LOSS) {
            for (var row = thread; row < 2u * TILE_ROWS; row += THREADS) {
                if (batch_row(row) < linear.rows) {
                    let view = (2u * replica + row / TILE_ROWS) >> layer.loss.label_shift;
                    let result = output_loss(shape, linear.output_width, row, labels[view * layer.loss.batch_size + batch_row(row)]);
                    for (var k = linear.output_width; k < 4u * linear.output_quads; k++) {
                        store_delta_at(shape, row, k, 0.0);
                    }
                    add_to_metric(layer, row, layer.loss.metric, result.loss);
                    add_to_metric(layer, row, layer.loss.metrics - 1u, result.right);
                }
            }
        }
    }
}
