// The sum of three numbers over all invocations of the workgroup, in a fixed order: a tree in workgroup memory. The kernel defines
// THREADS, a power of two. All invocations call it together, once; the result is every invocation's.

var<workgroup> partial: array<vec3<f32>, THREADS>;

fn sum_over_workgroup(value: vec3<f32>, thread: u32) -> vec3<f32> {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    return partial[0];
}
