//! The operation `class_prototypes`: means of the unit rows of each class.

use super::{Describe, Kernel, Launch, Memory, Operand, Tensor};
use crate::cpu::{self, Arithmetic};
use crate::gpu::kernels::{Variant, layer_groups};
use crate::layout::Layer;

/// The classes' mean directions, as the weights of a layer.
#[derive(Clone, Debug)]
pub struct ClassPrototypes {
    /// The layer whose weights they are.
    pub layer: Layer,
    /// Unit rows, `[slot, batch, quads(inputs + 1)]`.
    pub rows: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// `[slot, 4 · quads(inputs + 1), quads(classes)]`.
    pub prototypes: Tensor,
}

impl Describe for ClassPrototypes {
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read(self.rows), Operand::read(self.labels), Operand::write(self.prototypes)]
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.layer).to_vec()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::plain(Kernel::ClassPrototypes)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        layer_groups(Kernel::ClassPrototypes, &self.layer, launch.tiles, launch.slots)
    }
}

impl ClassPrototypes {
    pub(super) fn run<A: Arithmetic<Stored = f32>>(&self, memory: &mut impl Memory) {
        let mut prototypes = memory.take(self.prototypes);
        let (rows, labels) = (memory.own(self.rows), memory.words(self.labels));
        cpu::class_prototypes::class_prototypes::<A>(&self.layer, rows, labels, &mut prototypes);
        memory.put(self.prototypes, prototypes);
    }
}
