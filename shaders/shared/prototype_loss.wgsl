// A row's loss by class prototypes. With the unit row r of a row p and the prototypes C_k that guide the slot (the partner's, or its own):
//
//     score_k = r.C_k / temperature, or ABSENT where no image of the batch is of class k: its exponential is 0
//     loss    = softmax cross-entropy of the scores (shared/output_loss.wgsl), whose gradient is d_k
//     g       = sum_k d_k C_k / temperature,    delta = (g - r (r.g)) / n,   n² = |p|² + 1e-12
//
// and delta is 0 where p is a rectified output that is 0.
//
// LANES invocations share a row, ROWS rows are in work at a time: each invocation scores every LANES-th class, the first one computes the
// loss, each owns every LANES-th quad of the gradient. Scores stand in workgroup memory; the kernel's text holds how many CLASSES there
// are. All invocations of the workgroup call this together; `keep`: the row is one of the batch, else nothing is stored.
//
// The kernel defines LossShape = RowLoss, and where tensors stand: row_quad(slot, row, quad), unit_quad(slot, row, quad),
// prototype_quad(guide, k, quad) and is_present(guide, k) for the slot `guide` whose prototypes they are, delta_quad(slot, row, quad) and
// store_delta(slot, row, quad, delta).

#import lanes
#import row_scale
#import output_loss

// [row in work][class]
var<workgroup> scores: array<f32, ROWS * CLASSES>;
var<workgroup> gradients: array<f32, ROWS * CLASSES>;

fn logit(shape: LossShape, row: u32, k: u32) -> f32 {
    return scores[row * CLASSES + k];
}

fn store_delta_at(shape: LossShape, row: u32, k: u32, delta: f32) {
    gradients[row * CLASSES + k] = delta;
}

// Classes whose scores an invocation sums at a time: a quad of the row is loaded once for all of them; and quads that it loads at a time.
const SCORED = min((CLASSES + LANES - 1u) / LANES, select(4u, 16u, LANES == 1u));
const LOADED = select(4u, 1u, LANES == 1u);

// The scores of one row of a slot.
fn score(guides: Prototypes, slot: u32, batch_row: u32, local_row: u32, lane: u32) {
    let guide = slot ^ guides.partner;
    for (var first = lane; first < CLASSES; first += LANES * SCORED) {
        // Said, not left out: one browser does not begin a variable without a value anew in each round of a loop.
        var sums = array<f32, SCORED>();
        for (var quad = 0u; quad < guides.quads; quad += LOADED) {
            var unit: array<vec4<f32>, LOADED>;
            for (var j = 0u; j < LOADED; j++) {
                unit[j] = unit_quad(slot, batch_row, min(quad + j, guides.quads - 1u));
            }
            for (var j = 0u; j < min(LOADED, guides.quads - quad); j++) {
                for (var i = 0u; i < SCORED; i++) {
                    sums[i] += dot(unit[j], prototype_quad(guide, min(first + i * LANES, CLASSES - 1u), quad + j));
                }
            }
        }
        for (var i = 0u; i < SCORED; i++) {
            let k = first + i * LANES;
            if (k < CLASSES) {
                scores[local_row * CLASSES + k] = select(ABSENT, sums[i] * guides.inverse_temperature, is_present(guide, k));
            }
        }
    }
}

// The loss of a row of the batch, which is the workgroup's `local_row`-th in work.
fn prototype_loss(
    shape: RowLoss, guides: Prototypes, slot: u32, batch_row: u32, local_row: u32, label: u32, thread: u32, keep: bool
) -> f32 {
    let lane = thread % LANES;
    score(guides, slot, batch_row, local_row, lane);
    if (LANES > 1u) {
        workgroupBarrier();
    }
    var loss = 0.0;
    if (lane == 0u) {
        loss = output_loss(shape, CLASSES, local_row, label).loss;
    }
    if (LANES > 1u) {
        workgroupBarrier();
    }
    let guide = slot ^ guides.partner;
    var sums = vec2<f32>(0.0);
    for (var quad = lane; quad < shape.quads; quad += LANES) {
        var gradient = vec4<f32>(0.0);
        for (var k = 0u; k < CLASSES; k++) {
            gradient += gradients[local_row * CLASSES + k] * prototype_quad(guide, k, quad);
        }
        gradient *= guides.inverse_temperature;
        let row = row_quad(slot, batch_row, quad);
        sums += vec2<f32>(dot(row, row), dot(unit_quad(slot, batch_row, quad), gradient));
        if (keep) {
            store_delta(slot, batch_row, quad, gradient);
        }
    }
    sums = sum_over_lanes(sums, thread);
    let scale = row_scale(shape.width, true, sums.x);
    if (keep) {
        // Each invocation takes up again what it wrote itself.
        for (var quad = lane; quad < shape.quads; quad += LANES) {
            let delta = (delta_quad(slot, batch_row, quad) - unit_quad(slot, batch_row, quad) * sums.y) * scale;
            let passes = vec4<bool>(shape.rectified == 0u) | (row_quad(slot, batch_row, quad) > vec4<f32>(0.0));
            store_delta(slot, batch_row, quad, select(vec4<f32>(0.0), delta, passes));
        }
    }
    return loss;
}
