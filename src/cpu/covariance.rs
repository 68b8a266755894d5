//! Twin of `shaders/covariance.wgsl`, for one slot: how a hidden layer's outputs spread over a sample of images.

use super::{Arithmetic, Real};
use crate::layout::Layer;

/// `[|S|², trace of S, outputs that are never above 0]` of the rows `[batch, quads(outputs + 1)]` with their `means`
/// `[quads(outputs)]`, where S is the sum of the outer products of centred rows.
pub fn covariance<A: Arithmetic>(layer: &Layer, rows: &[f32], means: &[f32]) -> [A::Number; 3] {
    let (lift, width) = (A::Number::lift, layer.output_width as usize);
    // Transposed, so that every product is of two contiguous rows.
    let centred: Vec<Vec<A::Number>> = (0..width)
        .map(|output| rows.chunks_exact(layer.output_stride()).map(|row| lift(row[output]) - lift(means[output])).collect())
        .collect();
    let product = |a: &[A::Number], b: &[A::Number]| {
        A::run(
            #[inline(always)]
            || A::sum(a.iter().zip(b).map(|(&a, &b)| a * b)),
        )
    };
    // S is symmetric: what stands beside the diagonal counts twice.
    let variances: Vec<A::Number> = centred.iter().map(|column| product(column, column)).collect();
    let beside = (0..width).map(|i| {
        A::Number::sum((0..i).map(|j| {
            let covariance = product(&centred[i], &centred[j]);
            lift(2.0) * covariance * covariance
        }))
    });
    let squares = A::Number::sum(beside) + A::Number::sum(variances.iter().map(|&variance| variance * variance));
    let dead = means[..width].iter().filter(|&&mean| mean <= 0.0).count();
    [squares, A::Number::sum(variances.into_iter()), lift(dead as f32)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Double;
    use crate::layout::Views;
    use crate::model::Architecture;

    #[test]
    fn the_participation_ratio_counts_directions() {
        let layer = Layer::new(&Architecture::new(vec![2, 3, 2]).unwrap(), 0, 4, Views::Run);
        let ratio = |rows: [[f32; 4]; 4]| {
            let means: Vec<f32> = (0..4).map(|k| rows.iter().map(|row| row[k]).sum::<f32>() / 4.0).collect();
            let [squares, trace, dead] = covariance::<Double>(&layer, rows.as_flattened(), &means);
            (trace * trace / squares, dead)
        };
        // Two outputs of equal variance that do not vary together, and one that is dead.
        assert_eq!(ratio([[0.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, 1.0], [2.0, 2.0, 0.0, 1.0]]), (2.0, 1.0));
        // All three along one direction.
        assert_eq!(ratio([[0.0, 0.0, 0.0, 1.0], [1.0, 2.0, 3.0, 1.0], [2.0, 4.0, 6.0, 1.0], [1.0, 2.0, 3.0, 1.0]]), (1.0, 0.0));
    }
}
