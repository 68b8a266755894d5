//! Twin of `shaders/forward.wgsl`, for one slot: one layer's product, bias and activation.

use super::matmul::Matrix;
use super::{Arithmetic, Real};
use crate::layout::Layer;

/// `outputs = activation(inputs × weights)`; shapes as in [`crate::layout`], without the slot axis.
/// `products` `[batch, quads(outputs)]` receives the product before the activation.
pub fn forward<A: Arithmetic>(
    layer: &Layer,
    inputs: &[f32],
    weights: &[f32],
    outputs: &mut [A::Stored],
    products: &mut [A::Stored],
) {
    let left = Matrix { values: inputs, stride: layer.input_stride(), transposed: false };
    // The padding behind the constant 1 is zero on both sides: skipping it changes nothing.
    let right = Matrix { values: weights, stride: layer.weight_stride(), transposed: false };
    A::multiply(layer.input_width as usize + 1, left, right, layer.weight_stride(), products);
    let width = layer.output_width as usize;
    for (row, products) in outputs.chunks_exact_mut(layer.output_stride()).zip(products.chunks_exact(layer.weight_stride())) {
        for (output, &product) in row[..width].iter_mut().zip(products) {
            *output = if layer.rectified > 0 { A::store(A::load(product).max(A::Number::lift(0.0))) } else { product };
        }
        row[width..].fill(0.0.into());
        row[width] = 1.0.into();
    }
}
