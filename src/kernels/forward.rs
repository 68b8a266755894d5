//! The operation `forward`: one layer's matrix product, bias and activation.

use super::{Access, Describe, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::Variant;
use crate::layout::Layer;

/// `outputs = activation(inputs × weights)`.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its shape.
    pub layer: Layer,
    /// `[view or slot, batch, quads(inputs + 1)]`.
    pub inputs: Tensor,
    /// `[slot, 4 · quads(inputs + 1), quads(outputs)]`; by [`Layer::weight_flip`] the partner's.
    pub weights: Tensor,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub outputs: Tensor,
    /// The same before the activation, where it is kept.
    pub preactivations: Option<Tensor>,
}

impl Describe for Forward {
    fn operands(&self) -> Vec<Operand> {
        let weights = if self.layer.weight_flip > 0 { Operand::read_partner } else { Operand::read };
        vec![
            Operand::read(self.inputs),
            weights(self.weights),
            Operand::write(self.outputs),
            Operand::maybe(self.preactivations, Access::Write),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::forward(launch.tiles.forward(&self.layer, launch.slots), self.preactivations.is_some())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = launch.tiles.forward(&self.layer, launch.slots);
        tile.groups(self.layer.batch_size, self.layer.weight_quads, launch.slots)
    }
}

impl Forward {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let layer = &self.layer;
        let (mut outputs, mut products) = (memory.take(self.outputs), memory.take_scratch(layer.delta_len()));
        let weights = if layer.weight_flip > 0 { memory.partner(self.weights) } else { memory.own(self.weights) };
        cpu::forward::forward::<A>(layer, memory.own(self.inputs), weights, &mut outputs, &mut products);
        if let Some(kept) = self.preactivations {
            let mut rows = memory.take(kept);
            let pairs = rows.chunks_exact_mut(layer.output_stride()).zip(products.chunks_exact(layer.weight_stride()));
            pairs.for_each(|(row, products)| row[..layer.weight_stride()].copy_from_slice(products));
            memory.put(kept, rows);
        }
        memory.put(self.outputs, outputs);
        memory.put_scratch(products);
    }
}
