//! covariance: how a hidden layer's outputs spread over a sample of images.

use super::batch_mean::batch_mean;
use super::case::{BATCHES, Comparison, Contents, SIZES, SLOTS, Take, extreme_rows, without_subnormals};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real, Single};
use crate::error::Result;
use crate::layout::{DIAGNOSIS_SUMS, Rows, Step};

/// Three sums about the covariance of a layer's outputs, each in parts that are still to be added up.
///
/// In bounds: quads are compared with the row's before a load, rows run to the batch; each workgroup writes its own part of each sum.
#[derive(Clone, Debug)]
pub struct Covariance {
    /// The rows.
    pub shape: Rows,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// `[slot, quads(width)]`.
    pub means: Tensor,
    /// `[slot, 3, parts]`.
    pub parts: Tensor,
}

impl Covariance {
    /// Parts of each sum: one for a tile of 8 by 8 quads.
    pub fn parts(shape: &Rows) -> usize {
        (shape.quads as usize).div_ceil(8).pow(2)
    }
}

impl Describe for Covariance {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::read(self.means), Operand::write(self.parts)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Covariance)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let side = self.shape.quads.div_ceil(8);
        [side, side, launch.slots as u32]
    }
}

impl Covariance {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut parts = memory.take(self.parts);
        store_parts::<A>(covariance::<A>(&self.shape, memory.own(self.rows), memory.own(self.means)), &mut parts);
        memory.put(self.parts, Data::Numbers(parts));
    }
}

/// Whole sums as parts: the first is the sum, the others are 0.
pub(super) fn store_parts<A: Arithmetic>(sums: [A::Number; DIAGNOSIS_SUMS], parts: &mut [A::Stored]) {
    parts.fill(0.0.into());
    let length = parts.len() / DIAGNOSIS_SUMS;
    parts.chunks_exact_mut(length).zip(sums).for_each(|(parts, sum)| parts[0] = A::store(sum));
}

/// `[|S|², trace of S, outputs that are never above 0]` of the rows `[batch, quads(width)]` with their `means`
/// `[quads(width)]`, where S is the sum of the outer products of centred rows.
pub fn covariance<A: Arithmetic>(shape: &Rows, rows: &[f32], means: &[f32]) -> [A::Number; 3] {
    let (lift, width) = (A::Number::lift, shape.width as usize);
    // Transposed, so that every product is of two contiguous rows.
    let centred: Vec<Vec<A::Number>> = (0..width)
        .map(|output| rows.chunks_exact(shape.stride()).map(|row| lift(row[output]) - lift(means[output])).collect())
        .collect();
    let product = |a: &[A::Number], b: &[A::Number]| {
        A::run(
            #[inline(always)]
            || A::dot(a, b),
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

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    // A thousand outputs are half a million pairs of them, which the reference takes one by one.
    for width in SIZES.into_iter().filter(|&width| width < 784) {
        for batch_size in BATCHES {
            let shape = Rows::new(width, batch_size, true);
            let mut contents = Contents::new(number);
            let mut rows = extreme_rows(&mut contents.generator, SLOTS * batch_size, width);
            // The sum has fourth powers. A unit of subnormal outputs may count as one that never is above 0.
            without_subnormals(&mut rows);
            rows.iter_mut().for_each(|value| *value = value.clamp(0.0, 1e4));
            let mut means = vec![0.0f32; SLOTS * shape.stride()];
            for (rows, means) in rows.chunks_exact(shape.len()).zip(means.chunks_exact_mut(shape.stride())) {
                batch_mean::<Single>(&shape, rows, means);
                // One unit that never is above 0.
                means[width - 1] = 0.0;
            }
            let count = Covariance::parts(&shape);
            let operation = Covariance {
                shape,
                rows: contents.numbers(Level::Slot, rows),
                means: contents.numbers(Level::Slot, means),
                parts: contents.poison(Level::Slot, DIAGNOSIS_SUMS * count),
            };
            contents.compare(operation.parts, Comparison::Sums(count));
            take(contents.case(format!("width {width} batch {batch_size}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Double;

    #[test]
    fn the_participation_ratio_counts_directions() {
        let shape = Rows::new(3, 4, true);
        let ratio = |rows: [[f32; 4]; 4]| {
            let means: Vec<f32> = (0..4).map(|k| rows.iter().map(|row| row[k]).sum::<f32>() / 4.0).collect();
            let [squares, trace, dead] = covariance::<Double>(&shape, rows.as_flattened(), &means);
            (trace * trace / squares, dead)
        };
        // Two outputs of equal variance that do not vary together, and one that is dead.
        assert_eq!(ratio([[0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]), (2.0, 1.0));
        // All three along one direction.
        assert_eq!(ratio([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 0.0], [2.0, 4.0, 6.0, 0.0], [1.0, 2.0, 3.0, 0.0]]), (1.0, 0.0));
    }
}
