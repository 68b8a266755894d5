//! weight_norms: size, movement and distance of weights.

use super::case::{Comparison, Contents, SIZES, Take};
use super::covariance::store_parts;
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{DIAGNOSIS_SUMS, Linear, Step};

/// Three sums about a layer's weights, each in parts that are still to be added up.
///
/// In bounds: it strides up to a slot's weights; each workgroup writes its own part of each sum.
#[derive(Clone, Debug)]
pub struct WeightNorms {
    /// The layer.
    pub layer: Linear,
    /// `[slot, 4 · quads(inputs) + 1, quads(outputs)]`.
    pub weights: Tensor,
    /// The same shape: the weights when the epoch began.
    pub before: Tensor,
    /// `[slot, 3, parts]`.
    pub parts: Tensor,
}

impl WeightNorms {
    /// Parts of each sum: one a workgroup.
    pub fn parts(layer: &Linear) -> usize {
        (layer.weight_len() / 4).div_ceil(256).clamp(1, 64)
    }
}

impl Describe for WeightNorms {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read_partner(self.weights), Operand::read(self.before), Operand::write(self.parts)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::WeightNorms)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [Self::parts(&self.layer) as u32, launch.slots as u32, 1]
    }
}

impl WeightNorms {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut parts = memory.take(self.parts);
        let (weights, before, partner) = (memory.own(self.weights), memory.own(self.before), memory.partner(self.weights));
        store_parts::<A>(weight_norms::<A>(weights, before, partner), &mut parts);
        memory.put(self.parts, Data::Numbers(parts));
    }
}

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

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for outputs in [SIZES[i], SIZES[(i + 4) % SIZES.len()]] {
            let layer = Linear::new(inputs, outputs, 1);
            let count = WeightNorms::parts(&layer);
            let mut contents = Contents::new(number);
            let operation = WeightNorms {
                layer,
                weights: contents.weights(inputs, outputs),
                before: contents.weights(inputs, outputs),
                parts: contents.poison(Level::Slot, DIAGNOSIS_SUMS * count),
            };
            contents.compare(operation.parts, Comparison::Sums(count));
            take(contents.case(format!("{inputs}x{outputs}"), Step::default(), operation))?;
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
    fn squares_of_known_differences() {
        assert_eq!(weight_norms::<Double>(&[3.0, 4.0], &[3.0, 3.0], &[1.0, 1.0]), [25.0, 1.0, 13.0]);
    }
}
