//! fused_backward: from losses and gradients to the deltas below them, for a tile of the batch.

use super::case::Take;
use super::tiles::FusedTile;
use super::trust::Selection;
use super::{Describe, Kernel, Launch, Memory, Operand, Operation, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::error::Result;
use crate::layout::{BackPlaces, Linear, Places, Prototypes, RowLoss};

/// One layer that gradients go back through.
#[derive(Clone, Copy, Debug)]
pub struct BackLayer {
    /// Its shape.
    pub linear: Linear,
    /// Where its tensors begin in the shared buffers.
    pub places: Places,
    /// Where those of its loss and of the layer below do.
    pub back: BackPlaces,
    /// Its loss, if it has one of its own,
    pub loss: RowLoss,
    /// and the prototypes; of a head the number of classes alone.
    pub guides: Prototypes,
}

/// What `class_prototypes`, `prototype_loss`, `output_gradient` of heads, `input_gradient` and `normalize_gradient` do layer by layer, in one
/// dispatch. Layers share buffers.
///
/// In bounds: as [`super::fused_forward::FusedForward`]. Prototypes stand in workgroup memory that is sized by the classes and the longest row;
/// a label is below the number of classes: [`crate::engine::Job::check`].
#[derive(Clone, Debug)]
pub struct FusedBackward {
    /// The layers: each with a loss of its own, or in the order of the way back.
    pub layers: Vec<BackLayer>,
    /// Every layer has a loss by prototypes,
    pub by_prototypes: bool,
    /// or is the head of a hidden layer. Else this is backpropagation.
    pub by_heads: bool,
    /// How much each row counts, where not all count alike; the output's loss is taken here, too, as the first entry or, with losses of
    /// their own, the last.
    pub selection: Option<Selection>,
    /// Which rows count for the prototypes, by the same weights.
    pub of_prototypes: Option<Selection>,
    /// The losses are those of projections or heads.
    pub projected: bool,
    /// Rows were brought to one length before a layer read them.
    pub normalize: bool,
    /// The operations that it stands for, in their order.
    pub replaced: Vec<Operation>,
    /// The first layer's weights.
    pub weights: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// The network's input, before all activations.
    pub activations: Tensor,
    /// The first layer's deltas.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl FusedBackward {
    fn tile(&self, launch: Launch) -> FusedTile {
        let shapes: Vec<Linear> = self.layers.iter().map(|layer| layer.linear).collect();
        launch.tiles.fused(&shapes, launch.slots / 2)
    }

    /// Column quads of an invocation.
    fn tile_quads(&self, tile: &FusedTile) -> u32 {
        if self.by_prototypes && !self.projected {
            // Nothing goes back through a layer.
            return 1;
        }
        self.layers.iter().map(|layer| layer.linear.input_quads.div_ceil(tile.lanes_x)).max().unwrap_or(1)
    }

    /// Row tiles beside each other in a workgroup.
    fn teams(tile: &FusedTile) -> u32 {
        tile.splits * tile.teams
    }

    fn classes(&self) -> u32 {
        self.layers.first().map_or(1, |layer| layer.guides.classes).max(1)
    }

    fn guide_quads(&self) -> u32 {
        self.layers.iter().map(|layer| layer.guides.quads).max().unwrap_or(1).max(1)
    }

    /// Invocations of a workgroup, and bytes of its memory.
    pub fn workgroup(&self, launch: Launch) -> (u32, u32) {
        let tile = self.tile(launch);
        let threads = tile.threads();
        let staged = if tile.stage { threads * tile.rows * self.tile_quads(&tile) } else { 1 };
        let gradients = threads / tile.lanes * self.classes();
        let prototypes = self.classes() * self.guide_quads();
        // Each array begins at a multiple of 16 bytes.
        let words = [gradients, gradients, self.classes()];
        let bytes = words.map(|words| (4 * words).next_multiple_of(16)).iter().sum::<u32>();
        (threads, bytes + 16 * (staged + prototypes) + tile.lane_sum_bytes())
    }
}

impl Describe for FusedBackward {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::read(self.weights).packed(),
            Operand::read(self.labels),
            Operand::read(self.activations).packed(),
            Operand::write(self.deltas).packed(),
            Operand::write(self.row_metrics),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        let bytes = |layer: &BackLayer| {
            let places = [bytemuck::bytes_of(&layer.places), bytemuck::bytes_of(&layer.back)].concat();
            let loss = [bytemuck::bytes_of(&layer.loss), bytemuck::bytes_of(&layer.guides)].concat();
            [bytemuck::bytes_of(&layer.linear), &places, &loss].concat()
        };
        self.layers.iter().flat_map(bytes).collect()
    }

    fn variant(&self, launch: Launch) -> Variant {
        let tile = self.tile(launch);
        let variant = Variant::new(Kernel::FusedBackward)
            .size("LAYERS", self.layers.len() as u32)
            .size("LANES_X", tile.lanes_x)
            .size("TEAMS", Self::teams(&tile))
            .size("TILE_ROWS", tile.rows)
            .size("TILE_QUADS", self.tile_quads(&tile))
            .size("CLASSES", self.classes())
            .size("GUIDE_QUADS", self.guide_quads())
            .size("LANES", tile.lanes)
            .size("ROWS", tile.threads() / tile.lanes)
            .flag("SHUFFLE", tile.shuffle)
            .flag("STAGE", tile.stage)
            .flag("PROTOTYPES", self.by_prototypes)
            .flag("HEADS", self.by_heads)
            .flag("PROJECTED", self.projected)
            .flag("NORMALIZE", self.normalize)
            .flag("CROSS_ENTROPY", true)
            .size("PROTOTYPE_SELECTOR", self.of_prototypes.is_some_and(|selection| selection.by_partner).into());
        Selection::constants(self.selection, variant)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = self.tile(launch);
        let rows = self.layers.first().map_or(1, |layer| layer.linear.rows);
        let layers = if self.by_prototypes || self.by_heads { self.layers.len() as u32 } else { 1 };
        [rows.div_ceil(Self::teams(&tile) * tile.rows), launch.slots as u32, layers]
    }

    fn replaced(&self) -> &[Operation] {
        &self.replaced
    }
}

impl FusedBackward {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        self.replaced.iter().for_each(|operation| operation.run::<A>(memory));
    }
}

/// Its cases are programs: `crate::verify` takes them from there.
pub(super) fn cases(_: &mut Take) -> Result<()> {
    Ok(())
}
