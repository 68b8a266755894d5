// Nearly nothing, but dependent on the dispatch before: what a dispatch costs besides its work.
//
// Grid: one workgroup of 64.   Memory: 4 bytes an invocation.

@group(0) @binding(0) var<storage, read_write> counters: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
    counters[thread] += 1u;
}
