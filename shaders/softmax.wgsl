// Logits to probabilities, in place: p = exp(z - max z) / sum. What lies behind the classes is left as it is.
//
// Grid: x = rows (64 a workgroup), y = slots; one invocation a row, since classes are few.
// Memory: the row read three times (cached) and written once.

#import Rows

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read_write> rows: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= shape.rows) {
        return;
    }
    let first = (id.y * shape.rows + id.x) * shape.quads * 4u;
    var largest = rows[first];
    for (var k = 1u; k < shape.width; k++) {
        largest = max(largest, rows[first + k]);
    }
    var sum = 0.0;
    for (var k = 0u; k < shape.width; k++) {
        sum += exp(rows[first + k] - largest);
    }
    for (var k = 0u; k < shape.width; k++) {
        rows[first + k] = exp(rows[first + k] - largest) / sum;
    }
}
