//! Twin of `shaders/input_gradient.wgsl`, for one slot: from a layer's gradient to that of its input.

use super::Arithmetic;
use super::matmul::Matrix;
use crate::layout::Layer;

/// `gradients = deltas × weightsᵀ` `[batch, quads(inputs)]`, without the bias's row. `mask` holds the rectified outputs that the
/// layer read, `[batch, quads(inputs + 1)]`: where one is 0, no gradient passes.
pub fn input_gradient<A: Arithmetic>(
    layer: &Layer,
    mask: Option<&[f32]>,
    deltas: &[f32],
    weights: &[f32],
    gradients: &mut [A::Stored],
) {
    let (width, stride) = (layer.input_width as usize, layer.gradient_stride());
    let left = Matrix { values: deltas, stride: layer.weight_stride(), transposed: false };
    let right = Matrix { values: weights, stride: layer.weight_stride(), transposed: true };
    // Columns past the inputs are products with the bias's row and with padding, and are cleared below.
    A::multiply(layer.output_width as usize, left, right, stride, gradients);
    for (row, gradients) in gradients.chunks_exact_mut(stride).enumerate() {
        gradients[width..].fill(0.0.into());
        if let Some(outputs) = mask {
            let outputs = &outputs[row * layer.input_stride()..][..width];
            let stopped = gradients.iter_mut().zip(outputs).filter(|&(_, &output)| output <= 0.0);
            stopped.for_each(|(gradient, _)| *gradient = 0.0.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Double;
    use crate::layout::Views;
    use crate::model::{Architecture, LayerParameters};

    #[test]
    fn a_product_with_the_transpose_without_the_bias() {
        let layer = Layer::new(&Architecture::new(vec![9, 3, 2]).unwrap(), 1, 2, Views::Replica);
        let weights = layer.pack(&LayerParameters { weight: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], bias: vec![7.0, 8.0] });
        let deltas = [1.0, 10.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0];
        let mut gradients = [f32::NAN; 8];
        input_gradient::<Double>(&layer, None, &deltas, &weights, &mut gradients);
        assert_eq!(gradients, [41.0, 52.0, 63.0, 0.0, 3.0, 3.0, 3.0, 0.0]);
        let outputs = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0, 0.0, 1.0];
        input_gradient::<Double>(&layer, Some(&outputs), &deltas, &weights, &mut gradients);
        assert_eq!(gradients, [41.0, 0.0, 63.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
    }
}
