// Loss and gradient of logits for every slot and row (shared/output_loss.wgsl states them): of the output layer, or of the scores
// that a hidden layer's rows have with the prototypes. COUNT: right answers are counted.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row is read three times (cached), written once; with MUTUAL the partner's too.   Twin: src/cpu/output_gradient.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>;

fn logit(layer: Layer, row: u32, k: u32) -> f32 {
    return logits[row * layer.output_quads * 4u + k];
}

fn store_delta_at(layer: Layer, row: u32, k: u32, delta: f32) {
    deltas[row * layer.weight_quads * 4u + k] = delta;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let slot = id.y;
    if (row >= layer.batch_size) {
        return;
    }
    let partner = (slot ^ 1u) * layer.batch_size + row;
    let result = output_loss(layer, slot * layer.batch_size + row, partner, labels[(slot >> layer.label_shift) * layer.batch_size + row]);
    let metrics = (slot * (layer.layer_count + 1u)) * layer.batch_size + row;
    row_metrics[metrics + layer.index * layer.batch_size] += result.loss;
    if (COUNT) {
        row_metrics[metrics + layer.layer_count * layer.batch_size] += result.right;
    }
}
