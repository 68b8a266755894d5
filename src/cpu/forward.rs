//! Twin of `shaders/forward.wgsl`: one layer of every slot.

use super::matmul::Matrix;
use super::{Arithmetic, Real};
use crate::layout::Layer;
use rayon::prelude::*;

/// `outputs = activation(inputs × weights)` for every slot; shapes as in [`crate::layout`]. `relu` as in the kernel.
/// `preactivations`, if given, receives the product itself (only the columns of the outputs).
pub fn forward<A: Arithmetic>(
    layer: &Layer,
    relu: bool,
    inputs: &[f32],
    weights: &[f32],
    outputs: &mut [A::Stored],
    preactivations: Option<&mut [A::Stored]>,
    products: &mut [A::Stored],
) {
    let slot_inputs = |slot| &inputs[layer.view(slot) * layer.input_len()..][..layer.input_len()];
    let slot_weights = |slot| &weights[slot * layer.weight_len()..][..layer.weight_len()];
    outputs.par_chunks_mut(layer.output_len()).zip(products.par_chunks_mut(layer.delta_len())).enumerate().for_each(
        |(slot, (outputs, products))| {
            forward_slot::<A>(layer, relu, slot_inputs(slot), slot_weights(slot), outputs, products);
        },
    );
    if let Some(preactivations) = preactivations {
        let rows = preactivations.chunks_exact_mut(layer.output_stride()).zip(products.chunks_exact(layer.weight_stride()));
        for (row, products) in rows {
            row[..layer.weight_stride()].copy_from_slice(products);
        }
    }
}

/// One slot of [`forward`]; `products` `[batch, quads(outputs)]` keeps the product before the activation.
fn forward_slot<A: Arithmetic>(
    layer: &Layer,
    relu: bool,
    inputs: &[f32],
    weights: &[f32],
    outputs: &mut [A::Stored],
    products: &mut [A::Stored],
) {
    let left = Matrix { values: inputs, stride: layer.input_stride(), transposed: false };
    // The padding behind the constant 1 is zero on both sides: skipping it changes nothing.
    A::multiply(layer.input_width as usize + 1, left, weights, layer.weight_stride(), products);
    let width = layer.output_width as usize;
    for (row, products) in outputs.chunks_exact_mut(layer.output_stride()).zip(products.chunks_exact(layer.weight_stride())) {
        for (output, &product) in row[..width].iter_mut().zip(products) {
            *output = if relu { A::store(A::load(product).max(A::Number::lift(0.0))) } else { product };
        }
        row[width..].fill(0.0.into());
        row[width] = 1.0.into();
    }
}
