// pseudo_labels
// From which label each row learns, and how much it counts:
//
//     a row with a label:      that label, labelled_weight
//     a row without:           the partner's answer about it,
//                              unlabelled_weight, as far as it has risen, if the partner's loss there is below largest_loss; else 0
//
// A loss at the answer is -log of its probability: a small one is a sure answer. The answer of an unsure one stays beside the weight 0.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row.
// Memory: three numbers read, two written.

#import constants
#import PseudoLabels
#import Step

@group(0) @binding(0) var<uniform> shape: PseudoLabels;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> losses: array<f32>;
@group(0) @binding(4) var<storage, read> answers: array<u32>;
@group(0) @binding(5) var<storage, read_write> targets: array<u32>;
@group(0) @binding(6) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= shape.batch_size) {
        return;
    }
    let own = slot * shape.batch_size + row;
    let partner = (slot ^ 1u) * shape.batch_size + row;
    let label = labels[(slot >> shape.label_shift) * shape.batch_size + row];
    let has_label = label != UNLABELLED;
    // A power of two divides without rounding.
    let risen = shape.unlabelled_weight * (f32(step.trust_ramp) / f32(WHOLE));
    let weight = select(0.0, risen, losses[partner] < shape.largest_loss);
    targets[own] = select(answers[partner], label, has_label);
    weights[own] = select(weight, shape.labelled_weight, has_label);
}
