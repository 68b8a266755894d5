// How large a layer's weights are, how far they went since a copy was made, and how far they are from the partner's, for every slot:
//
//     parts[slot, 0] adds up to |W|²,   parts[slot, 1] to |W - before|²,   parts[slot, 2] to |W - partner|²
//
// The bias counts as weights; padding is zero everywhere. 64 invocations stride over the layer, then add up in a tree.
//
// Grid: x = parts, y = slots.   Memory: 48 bytes read a quad.

#import Linear
#import tree_sum

@group(0) @binding(0) var<uniform> layer: Linear;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> before: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let slot = group.y;
    let length = (4u * layer.input_quads + 1u) * layer.output_quads;
    let own = slot * length;
    let partner = (slot ^ 1u) * length;
    var sums = vec3<f32>(0.0);
    for (var quad = group.x * THREADS + thread; quad < length; quad += groups.x * THREADS) {
        let weight = weights[own + quad];
        let update = weight - before[own + quad];
        let distance = weight - weights[partner + quad];
        sums += vec3<f32>(dot(weight, weight), dot(update, update), dot(distance, distance));
    }
    let total = sum_over_workgroup(sums, thread);
    if (thread < 3u) {
        parts[(slot * 3u + thread) * groups.x + group.x] = total[thread];
    }
}
