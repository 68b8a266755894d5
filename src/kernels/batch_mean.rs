//! batch_mean: means of a hidden layer's outputs over the batch.

use super::case::{BATCHES, Contents, SIZES, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::{Arithmetic, Real};
use crate::error::Result;
use crate::layout::{Rows, Step};

/// What centred losses subtract.
///
/// In bounds: quads past the row return, and rows run to the batch.
#[derive(Clone, Debug)]
pub struct BatchMean {
    /// The rows.
    pub shape: Rows,
    /// `[slot, batch, quads(width)]`.
    pub rows: Tensor,
    /// `[slot, quads(width)]`.
    pub means: Tensor,
}

impl Describe for BatchMean {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::write(self.means)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::BatchMean)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shape.quads.div_ceil(64), launch.slots as u32, 1]
    }
}

impl BatchMean {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut means = memory.take(self.means);
        batch_mean::<A>(&self.shape, memory.own(self.rows), &mut means);
        memory.put(self.means, Data::Numbers(means));
    }
}

/// One slot: `means` `[quads(width)]` of `rows` `[batch, quads(width)]`.
pub fn batch_mean<A: Arithmetic>(shape: &Rows, rows: &[f32], means: &mut [A::Stored]) {
    let count = A::Number::lift(shape.rows as f32);
    let (numbers, padding) = means.split_at_mut(shape.width as usize);
    for (output, mean) in numbers.iter_mut().enumerate() {
        let rows = rows.chunks_exact(shape.stride());
        *mean = A::store(A::sum(rows.map(|row| A::Number::lift(row[output]))) / count);
    }
    padding.fill(0.0.into());
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for width in SIZES {
        for batch_size in BATCHES {
            let shape = Rows::new(width, batch_size, true);
            let mut contents = Contents::new(number);
            let operation = BatchMean {
                shape,
                rows: contents.rectified_rows(Level::Slot, batch_size, width),
                means: contents.poison(Level::Slot, shape.stride()),
            };
            take(contents.case(format!("{width} batch {batch_size}"), Step::default(), operation))?;
            number += 1;
        }
    }
    Ok(())
}
