//! Twin of `shaders/weight_norms.wgsl`, for one slot: size, movement and distance of a layer's weights.

use super::{Arithmetic, Real};

/// `[|W|², |W − before|², |W − partner|²]`; all three slices are one slot's weights of one layer.
pub fn weight_norms<A: Arithmetic>(weights: &[f32], before: &[f32], partner: &[f32]) -> [A::Number; 3] {
    let lift = A::Number::lift;
    let distance = |other: &[f32]| {
        A::run(
            #[inline(always)]
            || {
                A::sum(weights.iter().zip(other).map(|(&weight, &other)| {
                    let difference = lift(weight) - lift(other);
                    difference * difference
                }))
            },
        )
    };
    let squares = A::run(
        #[inline(always)]
        || A::sum(weights.iter().map(|&weight| lift(weight) * lift(weight))),
    );
    [squares, distance(before), distance(partner)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Double;

    #[test]
    fn squares_of_known_differences() {
        assert_eq!(weight_norms::<Double>(&[3.0, 4.0], &[3.0, 3.0], &[1.0, 1.0]), [25.0, 1.0, 13.0]);
    }
}
