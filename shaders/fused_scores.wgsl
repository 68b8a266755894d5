// fused_scores
// How badly the labels of a batch fit what each layer says: what class_prototypes of all rows, prototype_scores and label_loss do in
// several dispatches. fused_trust selects by it.
//
// A layer says it by prototypes, whose scores are left behind, or by logits that are there already. Each workgroup sums the few
// prototypes itself, in the batch's order; the first one also leaves them behind.
//
// Grid: x = rows (THREADS a workgroup), y = slots, z = layers; one invocation a row.
// Memory: a workgroup reads its rows and all unit rows of the guide; scores are written once and read twice (cached), then two numbers.

#import constants
#import RowLoss
#import Prototypes
#import ScorePlaces
#import class_sums
#import label_loss

struct ScoreLayer {
    guides: Prototypes,
    loss: RowLoss,
    places: ScorePlaces,
}

alias LossShape = ScoreLayer;

@group(0) @binding(0) var<uniform> layers: array<ScoreLayer, LAYERS>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;
// Of floats, not quads: an invocation owns one number.
@group(0) @binding(3) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(4) var<storage, read_write> verdicts: array<u32>;

// The layer in work.
var<private> current: u32;

fn unit_quad(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    let guides = layers[current].guides;
    return activations[layers[current].places.rows + (slot * guides.batch_size + row) * guides.quads + quad];
}

fn takes_part(slot: u32, row: u32) -> bool {
    return true;
}

fn leave_prototype(place: u32, value: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        deltas[4u * place + i] = value[i];
    }
}

fn score_place(layer: ScoreLayer, row: u32, k: u32) -> u32 {
    return 4u * (layer.places.scores + row * layer.loss.quads) + k;
}

// Of a row among those of all slots.
fn logit(layer: LossShape, row: u32, k: u32) -> f32 {
    if (layer.places.by_prototypes > 0u) {
        return deltas[score_place(layer, row, k)];
    }
    return activations[layer.places.rows + row * layer.loss.quads + k / 4u][k % 4u];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x * THREADS + thread;
    let slot = group.y;
    current = group.z;
    let layer = layers[group.z];
    if (layer.places.by_prototypes > 0u) {
        let guide = slot ^ layer.guides.partner;
        sum_prototypes(layer.guides, guide, thread, group.x == 0u, layer.places.prototypes);
    }
    if (row >= layer.loss.batch_size) {
        return;
    }
    let own = slot * layer.loss.batch_size + row;
    if (layer.places.by_prototypes > 0u) {
        for (var k = 0u; k < 4u * layer.loss.quads; k++) {
            var score = 0.0;
            if (k < CLASSES) {
                for (var quad = 0u; quad < layer.guides.quads; quad++) {
                    score += dot(unit_quad(slot, row, quad), directions[k * GUIDE_QUADS + quad]);
                }
                score = select(ABSENT, score * layer.guides.inverse_temperature, counts[k] > 0u);
            }
            deltas[score_place(layer, own, k)] = score;
        }
    }
    let label = labels[(slot >> layer.loss.label_shift) * layer.loss.batch_size + row];
    let result = label_loss(layer, layer.loss.width, own, label);
    deltas[4u * layer.places.losses + own] = result.loss;
    verdicts[4u * layer.places.answers + own] = result.answer;
}
