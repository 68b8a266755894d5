// One quad of a row of activations: relu of the sums in hidden layers, the sums elsewhere; behind the last output the
// constant 1 that multiplies the next layer's bias, then zeros.
fn activation(layer: Layer, quad: u32, sums: vec4<f32>) -> vec4<f32> {
    let value = select(sums, max(sums, vec4<f32>(0.0)), layer.rectified > 0u);
    let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    let width = vec4<u32>(layer.output_width);
    let padding = select(vec4<f32>(0.0), vec4<f32>(1.0), position == width);
    return select(padding, value, position < width);
}
