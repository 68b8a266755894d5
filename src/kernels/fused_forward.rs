//! The operation `fused_forward`: a tile of the batch through all layers of a pair, losses and gradients included.

use super::{Access, Describe, Launch, Memory, Operand, Operation, Tensor};
use crate::config::{OutputLoss, Representation};
use crate::cpu::Arithmetic;
use crate::gpu::kernels::{Variant, fused_groups};
use crate::layout::Layer;

/// What `forward`, `cosine_gradient` and `output_gradient` do layer by layer, in one dispatch. Layers share buffers.
#[derive(Clone, Debug)]
pub struct FusedForward {
    /// All layers, with their places in the shared buffers.
    pub layers: Vec<Layer>,
    /// What the hidden layers' loss compares.
    pub representation: Representation,
    /// The output layer's loss.
    pub loss: OutputLoss,
    /// The operations that it stands for, in their order.
    pub replaced: Vec<Operation>,
    /// The first layer's weights.
    pub weights: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// The network's input, before all activations.
    pub activations: Tensor,
    /// The first layer's pre-activations, where they are kept.
    pub preactivations: Option<Tensor>,
    /// The first layer's deltas.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl Describe for FusedForward {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read(self.weights).packed(),
            Operand::read(self.labels),
            Operand::write(self.activations).packed(),
            Operand::maybe(self.preactivations, Access::Write).packed(),
            Operand::write(self.deltas).packed(),
            Operand::write(self.row_metrics),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::cast_slice(&self.layers).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        let tile = launch.tiles.fused(&self.layers, launch.slots / 2);
        Variant::fused_forward(tile, &self.layers, self.representation, self.loss)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let rows = self.layers.first().map_or(1, |layer| layer.batch_size);
        fused_groups(rows, launch.tiles.fused(&self.layers, launch.slots / 2), launch.slots / 2)
    }
}

impl FusedForward {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        self.replaced.iter().for_each(|operation| operation.run::<A>(memory));
    }
}
