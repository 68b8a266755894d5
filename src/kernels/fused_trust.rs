//! fused_trust: which rows of a batch each layer is to learn from.

use super::case::Take;
use super::{Describe, Kernel, Launch, Memory, Operand, Operation, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::error::Result;
use crate::layout::{SelectPlaces, Trust as Shape};

/// What `trust` does layer by layer, in one dispatch. Layers share buffers.
///
/// In bounds: as [`super::trust::Trust`]; places come from the same list as the buffers' lengths.
#[derive(Clone, Debug)]
pub struct FusedTrust {
    /// The batch and the training set, and where each layer's tensors stand.
    pub layers: Vec<(Shape, SelectPlaces)>,
    /// The operations that it stands for, in their order.
    pub replaced: Vec<Operation>,
    /// Expected share of wrong labels, `[replica]`, whole numbers.
    pub rates: Tensor,
    /// The order in which images are taken, `[replica, images]`, whole numbers.
    pub orders: Tensor,
    /// The first layer's deltas, before all losses and weights.
    pub deltas: Tensor,
    /// The first layer's answers, before all others and all records.
    pub answers: Tensor,
}

impl Describe for FusedTrust {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.rates, self.orders].map(Operand::read);
        reads.into_iter().chain([self.deltas, self.answers].map(|tensor| Operand::write(tensor).packed())).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        self.layers.iter().flat_map(|(shape, places)| [bytemuck::bytes_of(shape), bytemuck::bytes_of(places)].concat()).collect()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::FusedTrust).size("LAYERS", self.layers.len() as u32)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let rows = self.layers.first().map_or(1, |(shape, _)| shape.batch_size);
        [rows.div_ceil(64), launch.slots as u32, self.layers.len() as u32]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }

    fn replaced(&self) -> &[Operation] {
        &self.replaced
    }
}

impl FusedTrust {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        self.replaced.iter().for_each(|operation| operation.run::<A>(memory));
    }
}

/// Its cases are programs: `crate::verify` takes them from there.
pub(super) fn cases(_: &mut Take) -> Result<()> {
    Ok(())
}
