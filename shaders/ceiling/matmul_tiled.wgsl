// The textbook matrix product with tiles in workgroup memory, as a ceiling to measure the kernels against: products = left * right,
// all square with SIDE a multiple of 64.
//
// Grid: x = column tiles of 64, y = row tiles of 64.   Workgroup: 16 x 16, 4 rows x 1 quad of outputs each.
// Memory: each workgroup reads 64 rows and 64 columns once; an invocation reads 4 x 16 + 16 x 16 bytes of workgroup memory for 256 fma.

@group(0) @binding(0) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> products: array<vec4<f32>>;

const QUADS = SIDE / 4u;

// 64 rows of 4 quads, and 16 rows of 16 quads.
var<workgroup> left_tile: array<vec4<f32>, 256>;
var<workgroup> right_tile: array<vec4<f32>, 256>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_row = group.y * 64u;
    var sums: array<vec4<f32>, 4>;
    for (var k = 0u; k < QUADS; k += 4u) {
        left_tile[thread] = left[(first_row + thread / 4u) * QUADS + k + thread % 4u];
        right_tile[thread] = right[(4u * k + local.y) * QUADS + group.x * 16u + local.x];
        workgroupBarrier();
        for (var quad = 0u; quad < 4u; quad++) {
            for (var row = 0u; row < 4u; row++) {
                let factor = left_tile[(local.y * 4u + row) * 4u + quad];
                for (var part = 0u; part < 4u; part++) {
                    sums[row] = fma(vec4<f32>(factor[part]), right_tile[(4u * quad + part) * 16u + local.x], sums[row]);
                }
            }
        }
        // All must be done with these tiles before one loads the next.
        workgroupBarrier();
    }
    for (var row = 0u; row < 4u; row++) {
        products[(first_row + local.y * 4u + row) * QUADS + group.x * 16u + local.x] = sums[row];
    }
}
