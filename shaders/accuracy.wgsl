// Counts right answers of A, of B and of the ensemble, whose answer is the class of the largest mean of the two probabilities.
// Ties go to the first class. Each row adds to its own three counts (held as f32: whole numbers below 2^24 are exact).
//
// Grid: x = rows (64 a workgroup), y = replicas; one invocation a row.
// Memory: two rows of probabilities read, three counts read and written.

#import Rows
#import Step

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> probabilities: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> row_counts: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    let replica = id.y;
    // The last batch of a test set may be a part of one.
    if (row >= step.row_count) {
        return;
    }
    let stride = shape.quads * 4u;
    let a = (2u * replica * shape.rows + row) * stride;
    let b = ((2u * replica + 1u) * shape.rows + row) * stride;
    var best = vec3<f32>(-1.0);
    var answer = vec3<u32>(0u);
    for (var k = 0u; k < shape.width; k++) {
        let values = vec3<f32>(probabilities[a + k], probabilities[b + k], probabilities[a + k] + probabilities[b + k]);
        answer = select(answer, vec3<u32>(k), values > best);
        best = max(best, values);
    }
    let right = select(vec3<f32>(0.0), vec3<f32>(1.0), answer == vec3<u32>(labels[row]));
    let first = replica * 3u * shape.rows + row;
    row_counts[first] += right.x;
    row_counts[first + shape.rows] += right.y;
    row_counts[first + 2u * shape.rows] += right.z;
}
