//! Twin of `shaders/weight_update.wgsl`, for one slot: the local weight gradient and one step of Adam.

use super::matmul::Matrix;
use super::{Arithmetic, Real};
use crate::layout::{Layer, Step};

/// Inputs whose gradients are formed together: few enough that they are still in the first-level cache when Adam takes them up.
const BLOCK_ROWS: usize = 64;

/// f32 of scratch that [`weight_update`] needs for a layer.
pub fn scratch_len(layer: &Layer) -> usize {
    BLOCK_ROWS.min(layer.weight_rows()) * layer.weight_stride()
}

/// Updates `weights` and moments by `inputs` and `deltas`; shapes as in [`crate::layout`], without the slot axis. `gradients`
/// ([`scratch_len`]) is scratch: the kernel keeps them in registers.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel, in its order")]
pub fn weight_update<A: Arithmetic>(
    layer: &Layer,
    step: &Step,
    inputs: &[f32],
    deltas: &[f32],
    weights: &mut [A::Stored],
    first_moments: &mut [A::Stored],
    second_moments: &mut [A::Stored],
    gradients: &mut [A::Stored],
) {
    let (rows, stride) = ((layer.input_width + layer.bias) as usize, layer.weight_stride());
    let right = Matrix { values: deltas, stride, transposed: false };
    // The padding rows behind the bias are zero and stay so.
    for first_row in (0..rows).step_by(BLOCK_ROWS) {
        let left = Matrix { values: &inputs[first_row..], stride: layer.input_stride(), transposed: true };
        let range = first_row * stride..(first_row + BLOCK_ROWS).min(rows) * stride;
        let gradients = &mut gradients[..range.len()];
        A::multiply(layer.batch_size as usize, left, right, stride, gradients);
        let (weights, first, second) =
            (&mut weights[range.clone()], &mut first_moments[range.clone()], &mut second_moments[range]);
        A::run(
            #[inline(always)]
            || {
                for (((weight, first), second), gradient) in weights.iter_mut().zip(first).zip(second).zip(gradients) {
                    adam::<A>(step, *gradient, weight, first, second);
                }
            },
        );
    }
}

/// One step of Adam on one parameter.
#[inline(always)]
fn adam<A: Arithmetic>(step: &Step, gradient: A::Stored, weight: &mut A::Stored, first: &mut A::Stored, second: &mut A::Stored) {
    let (lift, gradient) = (A::Number::lift, A::load(gradient));
    let mean = lift(step.beta_1) * A::load(*first) + lift(step.one_minus_beta_1) * gradient;
    let square = lift(step.beta_2) * A::load(*second) + lift(step.one_minus_beta_2) * gradient * gradient;
    let numerator = mean * lift(step.first_correction);
    let denominator = (square * lift(step.second_correction)).sqrt() + lift(step.epsilon);
    *weight = A::store(A::load(*weight) - lift(step.learning_rate) * numerator / denominator);
    *first = A::store(mean);
    *second = A::store(square);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Adam;
    use crate::cpu::Single;

    /// With a constant gradient g both corrected moments equal g and g² at every step, so each step moves by
    /// lr·g/(|g| + ε): the closed form of Adam's first property.
    #[test]
    fn constant_gradient_moves_by_the_learning_rate() {
        let settings = Adam::default();
        for gradient in [0.5f32, -3.0] {
            let (mut weight, mut first, mut second) = (1.0f32, 0.0, 0.0);
            for time in 1..=1000 {
                adam::<Single>(&Step::new(0, 1, &settings, time), gradient, &mut weight, &mut first, &mut second);
            }
            let expected = 1.0 - 1000.0 * 1e-4 * f64::from(gradient.signum());
            // A thousand roundings of a weight near 1 (2⁻²⁴ each), and a few 2⁻²⁴ of a step, each time.
            assert!((f64::from(weight) - expected).abs() < 1000.0 * 2f64.powi(-24) * 1.1, "{weight} {expected}");
        }
    }

    #[test]
    fn zero_gradient_moves_nothing() {
        let (mut weight, mut first, mut second) = (0.25, 0.0, 0.0);
        adam::<Single>(&Step::new(0, 1, &Adam::default(), 1), 0.0, &mut weight, &mut first, &mut second);
        assert_eq!((weight, first, second), (0.25, 0.0, 0.0));
    }
}
