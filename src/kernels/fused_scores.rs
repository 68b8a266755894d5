//! fused_scores: how badly the labels of a batch fit what each layer says.

use super::case::Take;
use super::{Describe, Kernel, Launch, Memory, Operand, Operation, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::error::Result;
use crate::layout::{Prototypes, RowLoss, ScorePlaces};

/// Invocations of a workgroup, one a row.
const THREADS: u32 = 64;

/// One layer whose losses are to select.
#[derive(Clone, Copy, Debug)]
pub struct ScoreLayer {
    /// Its prototypes, if it speaks by those.
    pub guides: Prototypes,
    /// Its scores or logits.
    pub loss: RowLoss,
    /// Where its tensors stand.
    pub places: ScorePlaces,
}

/// What `class_prototypes` of all rows, `prototype_scores` and `label_loss` do layer by layer, in one dispatch. Layers share buffers.
///
/// In bounds: rows past the batch return behind the last barrier; sums run to the batch, scores to the row's length. Places come from the
/// same list as the buffers' lengths. Prototypes stand in workgroup memory that is sized by the classes and the longest row; a label is
/// below the number of classes: [`crate::engine::Job::check`].
#[derive(Clone, Debug)]
pub struct FusedScores {
    /// The layers.
    pub layers: Vec<ScoreLayer>,
    /// The operations that it stands for, in their order.
    pub replaced: Vec<Operation>,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// The network's input, before all activations.
    pub activations: Tensor,
    /// The first layer's deltas, before all losses.
    pub deltas: Tensor,
    /// The first layer's answers, before all others.
    pub answers: Tensor,
}

impl FusedScores {
    fn classes(&self) -> u32 {
        self.layers.iter().map(|layer| layer.loss.width).max().unwrap_or(1)
    }

    fn guide_quads(&self) -> u32 {
        self.layers.iter().map(|layer| layer.guides.quads).max().unwrap_or(1).max(1)
    }

    /// Invocations of a workgroup, and bytes of its memory.
    pub fn workgroup(&self, _: Launch) -> (u32, u32) {
        (THREADS, 16 * self.classes() * self.guide_quads() + (4 * self.classes()).next_multiple_of(16))
    }
}

impl Describe for FusedScores {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read(self.labels),
            Operand::read(self.activations).packed(),
            Operand::write(self.deltas).packed(),
            Operand::write(self.answers).packed(),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        let bytes = |layer: &ScoreLayer| {
            let shapes = [bytemuck::bytes_of(&layer.guides), bytemuck::bytes_of(&layer.loss)].concat();
            [&shapes, bytemuck::bytes_of(&layer.places)].concat()
        };
        self.layers.iter().flat_map(bytes).collect()
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::FusedScores)
            .size("LAYERS", self.layers.len() as u32)
            .size("THREADS", THREADS)
            .size("CLASSES", self.classes())
            .size("GUIDE_QUADS", self.guide_quads())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let rows = self.layers.first().map_or(1, |layer| layer.loss.batch_size);
        [rows.div_ceil(THREADS), launch.slots as u32, self.layers.len() as u32]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }

    fn replaced(&self) -> &[Operation] {
        &self.replaced
    }
}

impl FusedScores {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        self.replaced.iter().for_each(|operation| operation.run::<A>(memory));
    }
}

/// Its cases are programs: `crate::verify` takes them from there.
pub(super) fn cases(_: &mut Take) -> Result<()> {
    Ok(())
}
