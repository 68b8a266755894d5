// A quad of a row of outputs, without the constant 1 and the padding behind the outputs.
fn outputs_only(layer: Layer, quad: u32, values: vec4<f32>) -> vec4<f32> {
    let position = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), values, position < vec4<u32>(layer.output_width));
}
