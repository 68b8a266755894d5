// Philox4x32-10, word for word the function of src/random.rs. WGSL has no 32x32 -> 64 bit product, so the upper half is
// assembled from 16-bit parts.

fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let middle = a_high * b_low + ((a_low * b_low) >> 16u);
    let carry = (middle & 0xffffu) + a_low * b_high;
    return a_high * b_high + (middle >> 16u) + (carry >> 16u);
}

fn philox(seed: vec2<u32>, stream: u32, counter: vec2<u32>) -> vec4<u32> {
    var block = vec4<u32>(counter, stream, 0u);
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let first_high = multiply_high(block.x, 0xD2511F53u);
        let second_high = multiply_high(block.z, 0xCD9E8D57u);
        let first_low = block.x * 0xD2511F53u;
        let second_low = block.z * 0xCD9E8D57u;
        block = vec4<u32>(second_high ^ block.y ^ key.x, second_low, first_high ^ block.w ^ key.y, first_low);
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return block;
}

// The seed of a replica: that of replica 0, and its number, in 64 bits.
fn replica_seed(seed: vec2<u32>, replica: u32) -> vec2<u32> {
    let low = seed.x + replica;
    return vec2<u32>(low, seed.y + select(0u, 1u, low < replica));
}
