//! The operation `cosine_gradient`: a hidden layer's local loss and its gradient.

use super::{Access, Describe, Kernel, Launch, Memory, Operand, Tensor, Whose};
use crate::config::Representation;
use crate::cpu::cosine_gradient::Compared;
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// The distance of each row from the partner's of the same image.
#[derive(Clone, Debug)]
pub struct CosineGradient {
    /// The layer.
    pub layer: Layer,
    /// What `rows` are.
    pub representation: Representation,
    /// `[slot, batch, quads(outputs + 1)]`.
    pub rows: Tensor,
    /// What is subtracted from each row, `[slot, quads(outputs)]`, where the loss is centred.
    pub means: Option<Tensor>,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl Describe for CosineGradient {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read_partner(self.rows),
            Operand { whose: Whose::Partner, ..Operand::maybe(self.means, Access::Read) },
            Operand::write(self.deltas),
            Operand::write(self.row_metrics),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, launch: Launch) -> Variant {
        Variant::cosine_gradient(launch.tiles, self.representation, self.means.is_some())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::CosineGradient, &self.layer, launch.tiles, launch.slots)
    }
}

impl CosineGradient {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let (mut deltas, mut row_metrics) = (memory.take(self.deltas), memory.take(self.row_metrics));
        let masked = self.representation == Representation::Activation;
        let own = Compared { rows: memory.own(self.rows), means: self.means.map(|means| memory.own(means)) };
        let partner = Compared { rows: memory.partner(self.rows), means: self.means.map(|means| memory.partner(means)) };
        cpu::cosine_gradient::cosine_gradient::<A>(&self.layer, masked, own, partner, &mut deltas, &mut row_metrics);
        memory.put(self.deltas, deltas);
        memory.put(self.row_metrics, row_metrics);
    }
}
