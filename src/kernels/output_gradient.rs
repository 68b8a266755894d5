//! The operation `output_gradient`: loss and gradient of logits.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::config::OutputLoss;
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// Of the output layer, or of the scores that a hidden layer's rows have with the prototypes.
#[derive(Clone, Debug)]
pub struct OutputGradient {
    /// The layer that gives the logits.
    pub layer: Layer,
    /// The loss.
    pub loss: OutputLoss,
    /// Right answers are counted.
    pub count: bool,
    /// `[slot, batch, quads(classes + 1)]`; with [`Layer::mutual`] the partner's too.
    pub logits: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, batch, quads(classes)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl Describe for OutputGradient {
    fn operands(&self) -> Vec<Operand> {
        let logits = if self.layer.mutual > 0.0 { Operand::read_partner } else { Operand::read };
        vec![logits(self.logits), Operand::read(self.labels), Operand::write(self.deltas), Operand::write(self.row_metrics)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::output_gradient(self.loss, self.count, self.layer.mutual > 0.0)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::OutputGradient, &self.layer, launch.tiles, launch.slots)
    }
}

impl OutputGradient {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        cpu::output_gradient::output_gradient::<A>(
            &self.layer,
            self.loss,
            self.count,
            memory.own(self.logits),
            (self.layer.mutual > 0.0).then(|| memory.partner(self.logits)),
            memory.words(self.labels),
            &mut deltas,
            &mut row_metrics,
        );
        memory.put(self.deltas, deltas);
        memory.put(self.row_metrics, row_metrics);
    }
}
