// The output layer's loss on p = softmax(z), its gradient with respect to z, and whether the row was classified right.
//
// CROSS_ENTROPY: loss = -log p_y, delta = (p - t) / batch.
// Otherwise binary cross-entropy on p, mean over batch and classes C (method of the paper):
//     loss = -(1/C) sum_k [t_k log p_k + (1 - t_k) log(1 - p_k)], each log at least -100;    q_k = -t_k + (1 - t_k) p_k / (1 - p_k)
//     delta_k = (q_k - p_k sum_j q_j) / (batch C)
//
// Let top be the row's largest logit and second the largest of the others. With e_k = exp(z_k - z_top), e_top = 1:
//     rest = sum of e_k over k != top,   p_top = 1 / (1 + rest),   1 - p_top = rest / (1 + rest)
//     share_k = exp(z_k - z_second) / sum of the same over k != top = p_k / (1 - p_top)
// so the gradient loses no digits as p -> 1, and no infinity arises where rest underflows to 0. (The loss itself is reported
// through log, whose error near 1 is absolute.)
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row is read three times (cached), written once.   Twin: src/cpu/output_gradient.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;

const LOG_FLOOR = -100.0;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= layer.batch_size) {
        return;
    }
    let classes = layer.output_width;
    let first = (slot * layer.batch_size + row) * layer.output_quads * 4u;
    let first_delta = (slot * layer.batch_size + row) * layer.weight_quads * 4u;
    let label = labels[(slot >> 1u) * layer.batch_size + row];

    var top = 0u;
    for (var k = 1u; k < classes; k++) {
        if (logits[first + k] > logits[first + top]) {
            top = k;
        }
    }
    let largest = logits[first + top];
    var second = -3.4e38;
    for (var k = 0u; k < classes; k++) {
        if (k != top) {
            second = max(second, logits[first + k]);
        }
    }
    // The sum over the others, relative to the second largest: between 1 and C.
    var tail = 0.0;
    for (var k = 0u; k < classes; k++) {
        if (k != top) {
            tail += exp(logits[first + k] - second);
        }
    }
    let rest = tail * exp(second - largest);
    let sum = 1.0 + rest;
    var loss = 0.0;

    if (CROSS_ENTROPY) {
        let scale = 1.0 / f32(layer.batch_size);
        for (var k = 0u; k < classes; k++) {
            var delta = exp(logits[first + k] - largest) / sum;
            if (k == label) {
                // p - 1 of the largest term, from the others.
                delta = select(delta - 1.0, -rest / sum, k == top);
            }
            deltas[first_delta + k] = delta * scale;
        }
        loss = log(sum) - (logits[first + label] - largest);
    } else {
        let scale = 1.0 / (f32(layer.batch_size) * f32(classes));
        let log_sum = log(sum);
        // Sum of q over all classes but the top one, and the loss.
        var others = 0.0;
        for (var k = 0u; k < classes; k++) {
            let term = exp(logits[first + k] - largest);
            if (k == label) {
                loss -= max(logits[first + k] - largest - log_sum, LOG_FLOOR);
            } else if (k == top) {
                loss -= max(second - largest + log(tail) - log_sum, LOG_FLOOR);
            } else {
                loss -= max(log((sum - term) / sum), LOG_FLOOR);
            }
            if (k != top) {
                others += select(term / (sum - term), -1.0, k == label);
            }
        }
        loss /= f32(classes);
        for (var k = 0u; k < classes; k++) {
            let term = exp(logits[first + k] - largest);
            var delta: f32;
            if (k == top) {
                delta = (select(1.0, -rest, k == label) - others) / sum;
            } else {
                let p = term / sum;
                let q = select(term / (sum - term), -1.0, k == label);
                let own = select(p, (term - sum) / sum, k == label);
                // p_k q_top where top is not the label: (p_k / (1 - p_top)) p_top.
                let share = exp(logits[first + k] - second) / tail / sum;
                delta = own - p * (others - q) - select(share, -p, top == label);
            }
            deltas[first_delta + k] = delta * scale;
        }
    }
    for (var k = classes; k < 4u * layer.weight_quads; k++) {
        deltas[first_delta + k] = 0.0;
    }
    let metrics = (slot * (layer.layer_count + 1u)) * layer.batch_size + row;
    row_metrics[metrics + layer.index * layer.batch_size] += loss;
    row_metrics[metrics + layer.layer_count * layer.batch_size] += select(0.0, 1.0, top == label);
}
