// fused_trust
// Which rows of the batch each layer is to learn from: what trust does in a dispatch for each layer (shared/selection.wgsl states it).
//
// Grid: x = rows (64 a workgroup), y = slots, z = layers; one invocation a row looks at all losses of the batch.
// Memory: the losses once for each workgroup, three words written.

#import constants
#import Trust
#import Step
#import SelectPlaces
#import selection

struct SelectLayer {
    shape: Trust,
    places: SelectPlaces,
}

@group(0) @binding(0) var<uniform> layers: array<SelectLayer, LAYERS>;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> rates: array<u32>;
@group(0) @binding(3) var<storage, read> orders: array<u32>;
// Of floats, not quads: an invocation owns one number.
@group(0) @binding(4) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(5) var<storage, read_write> verdicts: array<u32>;

// The first loss of the slot in work.
var<private> first: u32;

fn loss_of(row: u32) -> f32 {
    return deltas[first + row];
}

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32
) {
    let slot = id.y;
    // By the workgroup's number, which a browser's compiler knows to be the same for all who meet at a barrier.
    let shape = layers[group.z].shape;
    let places = layers[group.z].places;
    let row = min(id.x, shape.batch_size - 1u);
    let own = slot * shape.batch_size;
    first = 4u * places.losses + own;
    let weight = weight_of(shape, rates[slot >> 1u], row, thread);
    if (id.x >= shape.batch_size) {
        return;
    }
    deltas[4u * places.weights + own + row] = weight;
    let image = orders[(slot >> 1u) * shape.images + step.first_row + row];
    let place = 4u * places.record + 2u * (slot * shape.images + image);
    verdicts[place] = bitcast<u32>(loss_of(row));
    verdicts[place + 1u] = note(verdicts[4u * places.answers + own + row], weight);
}
