// The sum over the LANES neighbouring invocations that share a row, in a fixed order: a tree in workgroup memory. (The
// other form is for one lane.)

var<workgroup> partial_sums: array<vec2<f32>, LANES * ROWS>;

fn sum_over_lanes(value: vec2<f32>, thread: u32) -> vec2<f32> {
    let lane = thread % LANES;
    partial_sums[thread] = value;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        if (lane < stride) {
            partial_sums[thread] += partial_sums[thread + stride];
        }
        workgroupBarrier();
    }
    let total = partial_sums[thread - lane];
    // All must have read this sum before one starts the next.
    workgroupBarrier();
    return total;
}

// The row of an invocation, where rows that meet different others cannot share barriers: each has a workgroup to itself.
fn lone_row(group: u32, thread: u32) -> u32 {
    return group;
}
