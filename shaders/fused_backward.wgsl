// fused_backward
// From losses and gradients to the deltas below them, for a tile of the batch: what class_prototypes, prototype_loss, output_gradient
// of heads, input_gradient and normalize_gradient do in several dispatches. Forward passes and the output's loss came before (fused_forward).
//
// PROTOTYPES: for each hidden layer the batch's class prototypes, the rows' loss by them, and, if PROJECTED, the way back through the
// projection to the hidden layer's delta. Each workgroup sums the few prototypes itself, in the batch's order; the first one also leaves
// them behind. HEADS: for each hidden layer the cross-entropy of its head's logits, and the way back through the head. Otherwise:
// backpropagation, from the output layer's delta down the network, layer by layer.
//
// WEIGHTED: each row counts as much as its weight says, the slot's own or, SELECTOR, its partner's (in a slot's prototypes by
// PROTOTYPE_SELECTOR); and the output's loss is taken here, too:
// of the first layer of the table, or with PROTOTYPES and HEADS of its last.
//
// Invocations: LANES_X column lanes x TEAMS, each of which holds TILE_ROWS rows of the workgroup and TILE_QUADS column quads, which cover
// the widest layer. Losses take ROWS rows at a time, LANES invocations each.
//
// Grid: x = row tiles, y = slots, z = layers of the table with PROTOTYPES or HEADS, else 1.
// Memory: a workgroup reads its rows, the weights that it goes back through and, with PROTOTYPES, all unit rows of the guide; deltas are
// written once, or twice and read once.

#import constants
#import Linear
#import Places
#import BackPlaces
#import RowLoss
#import Prototypes
#import product
#import stage
#import class_sums
#import prototype_loss
#import normalize_gradient

struct BackLayer {
    linear: Linear,
    places: Places,
    back: BackPlaces,
    loss: RowLoss,
    guides: Prototypes,
}

alias ProductShape = BackLayer;
alias LossShape = RowLoss;

@group(0) @binding(0) var<uniform> layers: array<BackLayer, LAYERS>;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> deltas: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> row_metrics: array<f32>;

const THREADS = LANES_X * TEAMS;
const TILE = TILE_ROWS * TILE_QUADS;
const GROUP_ROWS = TEAMS * TILE_ROWS;
// The entry in work.
var<private> current: u32;

// A quad among `quads` of a row of a slot, in a tensor that begins at `first`.
fn place(first: u32, slot: u32, row: u32, quads: u32, quad: u32) -> u32 {
    return first + (slot * layers[0].linear.rows + row) * quads + quad;
}

fn input_place(layer: BackLayer, tile: Tile, row: u32) -> u32 {
    let batch_row = min(tile.row + row, layer.linear.rows - 1u);
    return place(layer.places.deltas, tile.slot, batch_row, layer.linear.output_quads, 0u);
}

fn input_quad(layer: BackLayer, place: u32, k: u32) -> vec4<f32> {
    return deltas[place + k];
}

fn weight_place(layer: BackLayer, tile: Tile, column: u32) -> u32 {
    let linear = layer.linear;
    let quad = min(tile.quad + column * LANES_X, linear.input_quads - 1u);
    return layer.places.weights + (tile.slot * (4u * linear.input_quads + 1u) + 4u * quad) * linear.output_quads;
}

fn weight_block(layer: BackLayer, place: u32, k: u32) -> mat4x4<f32> {
    let quads = layer.linear.output_quads;
    let first = place + k;
    let second = first + quads;
    let third = second + quads;
    return transpose(mat4x4<f32>(weights[first], weights[second], weights[third], weights[third + quads]));
}

fn row_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return activations[place(layers[current].places.outputs, slot, row, layers[current].linear.output_quads, quad)];
}

fn unit_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return activations[place(layers[current].back.unit_rows, slot, row, layers[current].linear.output_quads, quad)];
}

// How much a row counts for the layer in work, as `chooser` sees it.
fn row_weight(chooser: u32, row: u32) -> f32 {
    let number = chooser * layers[0].linear.rows + row;
    return deltas[layers[current].back.row_weights + number / 4u][number % 4u];
}

// Whether the layer in work has weights of its rows.
fn is_weighted() -> bool {
    return WEIGHTED && layers[current].back.row_weights != ALL_ROWS;
}

// In a slot's prototypes.
fn takes_part(slot: u32, row: u32) -> bool {
    return !is_weighted() || row_weight(slot ^ PROTOTYPE_SELECTOR, row) > 0.0;
}

fn leave_prototype(place: u32, value: vec4<f32>) {
    deltas[place] = value;
}

fn prototype_quad(guide: u32, k: u32, quad: u32) -> vec4<f32> {
    return directions[k * GUIDE_QUADS + quad];
}

fn is_present(guide: u32, k: u32) -> bool {
    return counts[k] > 0u;
}

fn delta_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    return deltas[place(layers[current].places.deltas, slot, row, layers[current].linear.output_quads, quad)];
}

fn store_delta(slot: u32, row: u32, quad: u32, delta: vec4<f32>) {
    deltas[place(layers[current].places.deltas, slot, row, layers[current].linear.output_quads, quad)] = delta;
}

fn normalized_row(row: u32, quad: u32) -> vec4<f32> {
    return activations[layers[current].back.below + row * layers[current].linear.input_quads + quad];
}

fn gradient_quad(row: u32, quad: u32) -> vec4<f32> {
    return deltas[layers[current].back.gradients_below + row * layers[current].linear.input_quads + quad];
}

fn store_gradient(row: u32, quad: u32, delta: vec4<f32>) {
    deltas[layers[current].back.deltas_below + row * layers[current].linear.input_quads + quad] = delta;
}

// Loss and gradient of logits, of the row that is the workgroup's `work_row`-th in work. All invocations call this together.
fn logits_loss(layer: BackLayer, slot: u32, batch_row: u32, work_row: u32, label: u32, thread: u32, keep: bool) -> OutputLoss {
    let lane = thread % LANES;
    for (var k = lane; k < CLASSES; k += LANES) {
        scores[work_row * CLASSES + k] = row_quad(slot, batch_row, k / 4u)[k % 4u];
    }
    if (LANES > 1u) {
        workgroupBarrier();
    }
    var result = OutputLoss(0.0, 0.0);
    if (lane == 0u) {
        result = output_loss(layer.loss, CLASSES, work_row, label);
    }
    if (LANES > 1u) {
        workgroupBarrier();
    }
    if (keep) {
        for (var quad = lane; quad < layer.linear.output_quads; quad += LANES) {
            var delta = vec4<f32>(0.0);
            for (var i = 0u; i < 4u; i++) {
                if (4u * quad + i < CLASSES) {
                    delta[i] = gradients[work_row * CLASSES + 4u * quad + i];
                }
            }
            store_delta(slot, batch_row, quad, delta);
        }
    }
    return result;
}

// The losses of the workgroup's rows in the layer in work, and their gradients, by all invocations together.
fn losses(layer: BackLayer, slot: u32, first_row: u32, thread: u32) {
    let batch_size = layers[0].linear.rows;
    for (var round = 0u; round < GROUP_ROWS; round += ROWS) {
        let local_row = round + thread / LANES;
        let batch_row = first_row + local_row;
        // Rows past the end repeat the last one, so that all invocations reach the barriers, and store nothing.
        let clamped = min(batch_row, batch_size - 1u);
        let keep = local_row < GROUP_ROWS && batch_row < batch_size;
        let label = labels[(slot >> layer.loss.label_shift) * batch_size + clamped];
        var result = OutputLoss(0.0, 0.0);
        if (PROTOTYPES && layer.back.is_output == 0u) {
            result.loss = prototype_loss(layer.loss, layer.guides, slot, clamped, thread / LANES, label, thread, keep);
        } else {
            result = logits_loss(layer, slot, clamped, thread / LANES, label, thread, keep);
        }
        if (is_weighted() && keep) {
            // A class all of whose rows are left out has no prototype.
            let counts = !PROTOTYPES || layer.back.is_output > 0u || is_present(slot ^ layer.guides.partner, label);
            let weight = select(0.0, row_weight(slot ^ SELECTOR, clamped), counts);
            result.loss *= weight;
            // Each invocation takes up again what it wrote itself.
            for (var quad = thread % LANES; quad < layer.linear.output_quads; quad += LANES) {
                store_delta(slot, clamped, quad, delta_quad(slot, clamped, quad) * weight);
            }
        }
        if (keep && thread % LANES == 0u) {
            row_metrics[(slot * layer.loss.metrics + layer.loss.metric) * batch_size + batch_row] += result.loss;
            if (layer.back.is_output > 0u) {
                row_metrics[(slot * layer.loss.metrics + layer.loss.metrics - 1u) * batch_size + batch_row] += result.right;
            }
        }
    }
    // The rows' deltas are there.
    storageBarrier();
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = group.y;
    let first_row = group.x * GROUP_ROWS;
    let lane = thread % LANES_X;
    let team = thread / LANES_X;
    let batch_size = layers[0].linear.rows;
    let begin = select(0u, group.z, PROTOTYPES || HEADS);
    let end = select(layers[0].back.count, group.z + 1u, PROTOTYPES || HEADS);
    for (var index = begin; index < end; index++) {
        current = index;
        let layer = layers[index];
        let linear = layer.linear;
        let is_output = layer.back.is_output > 0u;
        if (PROTOTYPES && !is_output) {
            let guide = slot ^ layer.guides.partner;
            sum_prototypes(layer.guides, guide, thread, group.x == 0u, layer.back.prototypes);
        }
        if (PROTOTYPES || HEADS || (WEIGHTED && is_output)) {
            losses(layer, slot, first_row, thread);
        }
        // With losses of their own, nothing goes back from the output.
        let ends = (PROTOTYPES || HEADS) && is_output;
        if ((!PROTOTYPES || PROJECTED) && !ends) {
            let tile = Tile(slot, first_row + team * TILE_ROWS, lane, thread);
            // Said, not left out: one browser does not begin a variable without a value anew in each round of a loop.
            var sums = array<vec4<f32>, TILE>();
            product(layer, tile, 0u, linear.output_quads, &sums);
            stage(thread, &sums);
            for (var row = 0u; row < rolled(batch_size, TILE_ROWS); row++) {
                for (var column = 0u; column < rolled(batch_size, TILE_QUADS); column++) {
                    let quad = tile.quad + column * LANES_X;
                    if (tile.row + row < batch_size && quad < linear.input_quads) {
                        let at = place(0u, slot, tile.row + row, linear.input_quads, quad);
                        let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
                        var passes = position < vec4<u32>(linear.input_width);
                        if (!NORMALIZE) {
                            passes &= activations[layer.back.below + at] > vec4<f32>(0.0);
                        }
                        let sum = staged_sum(thread, &sums, row * TILE_QUADS + column);
                        let first = select(layer.back.deltas_below, layer.back.gradients_below, NORMALIZE);
                        deltas[first + at] = select(vec4<f32>(0.0), sum, passes);
                    }
                }
            }
            if (NORMALIZE) {
                storageBarrier();
                workgroupBarrier();
                for (var round = 0u; round < GROUP_ROWS; round += ROWS) {
                    let local_row = round + thread / LANES;
                    let batch_row = first_row + local_row;
                    let keep = local_row < GROUP_ROWS && batch_row < batch_size;
                    let row = slot * batch_size + min(batch_row, batch_size - 1u);
                    normalize_gradient(linear.input_width, linear.input_quads, true, false, row, thread, keep);
                }
            }
            // The next entry reads these deltas.
            storageBarrier();
            workgroupBarrier();
        }
    }
}
