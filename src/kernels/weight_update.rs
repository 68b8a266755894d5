//! The operation `weight_update`: the local weight gradient and one step of Adam, of one layer or of all.

use super::{Describe, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, update_groups};
use crate::layout::Layer;

/// One layer's part of an update.
#[derive(Clone, Copy, Debug)]
pub struct LayerUpdate {
    /// The layer.
    pub layer: Layer,
    /// `[view or slot, batch, quads(inputs + 1)]`.
    pub inputs: Tensor,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, 4 · quads(inputs + 1), quads(outputs)]`.
    pub weights: Tensor,
    /// The same shape.
    pub first_moments: Tensor,
    /// The same shape.
    pub second_moments: Tensor,
}

/// Moves the weights of one layer, or of several that share buffers.
#[derive(Clone, Debug)]
pub struct WeightUpdate {
    /// The layers.
    pub layers: Vec<LayerUpdate>,
}

impl WeightUpdate {
    fn shapes(&self) -> Vec<Layer> {
        self.layers.iter().map(|update| update.layer).collect()
    }
}

impl Describe for WeightUpdate {
    fn operands(&self) -> Vec<Operand> {
        let packed = self.layers.len() > 1;
        let bind = |operand: Operand| if packed { operand.packed() } else { operand };
        let Some(first) = self.layers.first() else { return Vec::new() };
        let reads = [first.inputs, first.deltas].map(Operand::read);
        let writes = [first.weights, first.first_moments, first.second_moments].map(Operand::write);
        reads.into_iter().chain(writes).map(bind).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::cast_slice(&self.shapes()).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::weight_update(launch.tiles.update(&self.shapes(), launch.slots), self.layers.len())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let shapes = self.shapes();
        update_groups(&shapes, launch.tiles.update(&shapes, launch.slots), launch.slots)
    }
}

impl WeightUpdate {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let slot = memory.slot();
        for update in self.layers.iter().filter(|update| update.layer.moves(slot)) {
            let state = [update.weights, update.first_moments, update.second_moments];
            let [mut weights, mut first, mut second] = state.map(|tensor| memory.take(tensor));
            let mut scratch = memory.take_scratch(cpu::weight_update::scratch_len(&update.layer));
            cpu::weight_update::weight_update::<A>(
                &update.layer,
                memory.step(),
                memory.own(update.inputs),
                memory.own(update.deltas),
                &mut weights,
                &mut first,
                &mut second,
                &mut scratch,
            );
            memory.put_scratch(scratch);
            state.into_iter().zip([weights, first, second]).for_each(|(tensor, values)| memory.put(tensor, values));
        }
    }
}
