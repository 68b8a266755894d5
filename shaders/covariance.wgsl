// How a hidden layer's outputs spread over a sample of images, for every slot: with S = sum over rows of c c^T, where c is a row less
// the means,
//
//     parts[slot, 0] adds up to |S|² (Frobenius),   parts[slot, 1] to the trace of S,   parts[slot, 2] to the outputs that are never above 0
//
// trace² / |S|² is the participation ratio: how many directions share the variance. S itself is never stored. An invocation has the
// 4 x 4 block of two quads, summed in the order of rows; a workgroup adds up its 64 blocks in a tree.
//
// Grid: x, y = tiles of 8 quads, z = slots.   Memory: 32 bytes a row for 16 fma.

#import Rows
#import tree_sum

@group(0) @binding(0) var<uniform> shape: Rows;
@group(0) @binding(1) var<storage, read> representations: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> means: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

const SIDE = 8u;
const THREADS = SIDE * SIDE;

fn centred(slot: u32, row: u32, quad: u32) -> vec4<f32> {
    let values = representations[(slot * shape.rows + row) * shape.quads + quad];
    return values - means[slot * shape.quads + quad];
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = group.x * SIDE + local.x;
    let down = group.y * SIDE + local.y;
    let slot = group.z;
    var sums = vec3<f32>(0.0);
    // S is symmetric: what stands beside the diagonal counts twice, and once is enough to compute it.
    if (across < shape.quads && down <= across) {
        var block: mat4x4<f32>;
        for (var row = 0u; row < shape.rows; row++) {
            let a = centred(slot, row, down);
            let b = centred(slot, row, across);
            block[0] = fma(vec4<f32>(a.x), b, block[0]);
            block[1] = fma(vec4<f32>(a.y), b, block[1]);
            block[2] = fma(vec4<f32>(a.z), b, block[2]);
            block[3] = fma(vec4<f32>(a.w), b, block[3]);
        }
        sums.x = dot(block[0], block[0]) + dot(block[1], block[1]) + dot(block[2], block[2]) + dot(block[3], block[3]);
        sums.x *= select(2.0, 1.0, across == down);
        if (across == down) {
            sums.y = block[0].x + block[1].y + block[2].z + block[3].w;
            // Rectified outputs are never below 0: where the mean is 0, all are.
            let position = vec4<u32>(4u * across) + vec4<u32>(0u, 1u, 2u, 3u);
            let dead = (means[slot * shape.quads + across] <= vec4<f32>(0.0)) & (position < vec4<u32>(shape.width));
            sums.z = dot(select(vec4<f32>(0.0), vec4<f32>(1.0), dead), vec4<f32>(1.0));
        }
    }
    let total = sum_over_workgroup(sums, thread);
    if (thread < 3u) {
        let count = groups.x * groups.y;
        parts[(slot * 3u + thread) * count + group.y * groups.x + group.x] = total[thread];
    }
}
