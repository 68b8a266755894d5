// One quad of a row of activations: relu or identity of the sums, then the constant 1 that multiplies the next layer's bias
// behind the last output, then zeros.
fn activation(layer: Layer, quad: u32, sums: vec4<f32>, relu: bool) -> vec4<f32> {
    let value = select(sums, max(sums, vec4<f32>(0.0)), relu);
    let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    let width = vec4<u32>(layer.output_width);
    let padding = select(vec4<f32>(0.0), vec4<f32>(1.0), position == width);
    return select(padding, value, position < width);
}
