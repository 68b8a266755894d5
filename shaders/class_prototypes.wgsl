// The mean direction of each class among a batch's unit rows, for every slot, written as the weights of a layer:
//
//     sum_k = sum of rows[j] over the batch's j of class k,   C_k = sum_k / sqrt(|sum_k|² + 1e-12)
//     weights[input, k] = C_k[input] / temperature,   bias[k] = 0, or ABSENT where no image of the batch is of class k
//
// so that the product of a unit row with them, and the softmax of that, are those of an ordinary output layer. The bias takes
// absent classes out: e^ABSENT is 0.
//
// 64 invocations share a class and own every 64th of its numbers, each summed in the batch's order: no atomics, fixed bits.
//
// Grid: x = classes, y = slots.
// Memory: the labels, the rows of one class once, and its prototype written once and scaled once.   Twin: src/cpu/class_prototypes.rs

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;

const THREADS = 64u;

var<workgroup> partial: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let label = group.x;
    let slot = group.y;
    let stride = 4u * layer.weight_quads;
    let first_row = slot * layer.batch_size;
    let first_label = (slot >> layer.label_shift) * layer.batch_size;
    let first_weight = slot * 4u * layer.input_quads * stride + label;
    var squares = 0.0;
    var count = 0u;
    for (var input = thread; input < layer.input_width; input += THREADS) {
        var sum = 0.0;
        for (var row = 0u; row < layer.batch_size; row++) {
            if (labels[first_label + row] == label) {
                sum += rows[(first_row + row) * 4u * layer.input_quads + input];
                count += 1u;
            }
        }
        weights[first_weight + input * stride] = sum;
        squares += sum * sum;
    }
    partial[thread] = squares;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    let scale = layer.inverse_temperature / sqrt(partial[0] + SQUARE_FLOOR);
    // Each invocation takes up again what it wrote itself.
    for (var input = thread; input < layer.input_width; input += THREADS) {
        weights[first_weight + input * stride] *= scale;
    }
    // The first invocation has at least one number, and so has seen all labels.
    if (thread == 0u) {
        weights[first_weight + layer.input_width * stride] = select(ABSENT, 0.0, count > 0u);
    }
}
