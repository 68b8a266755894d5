//! fused_forward: a tile of the batch through all layers of a pair.

use super::case::Take;
use super::gather::Gather;
use super::{Access, Describe, Kernel, Launch, Memory, Operand, Operation, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::config::OutputLoss;
use crate::error::Result;
use crate::layout::{ForwardPlaces, Linear, Places, RowLoss, Shard};

/// One layer of the fused kernel.
#[derive(Clone, Copy, Debug)]
pub struct FusedLayer {
    /// Its shape.
    pub linear: Linear,
    /// Where its tensors begin in the shared buffers.
    pub places: Places,
    /// What else the pass has to know of it.
    pub forward: ForwardPlaces,
    /// Its loss.
    pub loss: RowLoss,
}

/// What `forward`, `normalize`, `cosine_gradient` and `output_gradient` do layer by layer, in one dispatch, and `gather` before them where
/// nothing changes the images. Layers share buffers.
///
/// In bounds: fetched rows as [`Gather`] says; rows past the batch repeat its last one and store nothing; quads are clamped to the layer before a load and compared with it
/// before a store. Places come from the same list as the buffers' lengths. Workgroup memory is declared by the same constants that bound
/// its indices.
#[derive(Clone, Debug)]
pub struct FusedForward {
    /// All layers, projections behind the layers that they belong to.
    pub layers: Vec<FusedLayer>,
    /// The hidden layers' loss is the cosine.
    pub cosine: bool,
    /// Rows are brought to one length before the next layer reads them.
    pub normalize: bool,
    /// What losses by prototypes compare is left behind at length 1.
    pub unit_rows: bool,
    /// The output layer's loss, where it is taken here.
    pub loss: Option<OutputLoss>,
    /// The operations that it stands for, in their order.
    pub replaced: Vec<Operation>,
    /// The first layer's weights.
    pub weights: Tensor,
    /// What fetches the batch, where that is done here too.
    pub gather: Option<Gather>,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// The network's input, before all activations.
    pub activations: Tensor,
    /// The first layer's deltas.
    pub deltas: Tensor,
    /// `[slot, layers + 1, batch]`.
    pub row_metrics: Tensor,
}

impl FusedForward {
    /// The shapes of all layers.
    pub fn shapes(&self) -> Vec<Linear> {
        self.layers.iter().map(|layer| layer.linear).collect()
    }

    /// Quads of a row of the widest output among the projections or the other layers.
    fn widest(&self, branch: u32) -> u32 {
        let layers = self.layers.iter().filter(|layer| layer.forward.is_branch == branch);
        layers.map(|layer| layer.linear.output_quads).max().unwrap_or(0)
    }

    /// Invocations of a workgroup, and bytes of its memory.
    pub fn workgroup(&self, launch: Launch) -> (u32, u32) {
        let shapes = self.shapes();
        let tile = launch.tiles.fused(&shapes, launch.slots / 2);
        let local = if tile.local { 2 * tile.rows * (self.widest(0) + self.widest(1).max(1)) } else { 2 };
        (tile.threads(), tile.scratch_bytes(&shapes) + 16 * local + tile.lane_sum_bytes())
    }
}

impl Describe for FusedForward {
    fn operands(&self) -> Vec<Operand> {
        let gather = |tensor: fn(&Gather) -> Tensor| self.gather.as_ref().map(tensor);
        vec![
            Operand::maybe(gather(|gather| gather.records), Access::Read),
            Operand::maybe(gather(|gather| gather.orders), Access::Read),
            Operand::maybe(gather(|gather| gather.table), Access::Read),
            Operand::read(self.weights).packed(),
            Operand::write(self.labels),
            Operand::write(self.activations).packed(),
            Operand::write(self.deltas).packed(),
            Operand::write(self.row_metrics),
        ]
    }

    fn parameters(&self) -> Vec<u8> {
        let bytes = |layer: &FusedLayer| {
            let places = [bytemuck::bytes_of(&layer.places), bytemuck::bytes_of(&layer.forward)].concat();
            [bytemuck::bytes_of(&layer.linear), &places, bytemuck::bytes_of(&layer.loss)].concat()
        };
        let shard = self.gather.as_ref().map_or_else(Shard::default, |gather| gather.shard);
        self.layers.iter().flat_map(bytes).chain(bytemuck::bytes_of(&shard).iter().copied()).collect()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, launch: Launch) -> Variant {
        let shapes = self.shapes();
        let tile = launch.tiles.fused(&shapes, launch.slots / 2);
        Variant::new(Kernel::FusedForward)
            .flag("GATHER", self.gather.is_some())
            .flag("FEATURES", self.gather.as_ref().is_some_and(|gather| gather.shard.has_features()))
            .size("LAYERS", self.layers.len() as u32)
            .size("LANES_X", tile.lanes_x)
            .size("SPLITS", tile.splits)
            .size("TEAMS", tile.teams)
            .size("TILE_ROWS", tile.rows)
            .size("TILE_QUADS", tile.quads(&shapes))
            .size("HIDDEN_QUADS", self.widest(0))
            .size("PROJECTED_QUADS", self.widest(1).max(1))
            .flag("LOCAL", tile.local)
            .flag("SHUFFLE", tile.shuffle)
            .flag("STAGE", tile.stage)
            .size("LANES", tile.lanes)
            .size("ROWS", tile.threads() / tile.lanes)
            .flag("COSINE", self.cosine)
            .flag("NORMALIZE", self.normalize)
            .flag("UNIT_ROWS", self.unit_rows)
            .flag("PROJECTED", self.widest(1) > 0)
            .flag("OUTPUT_LOSS", self.loss.is_some())
            .flag("CROSS_ENTROPY", self.loss == Some(OutputLoss::CrossEntropy))
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let tile = launch.tiles.fused(&self.shapes(), launch.slots / 2);
        let rows = self.layers.first().map_or(1, |layer| layer.linear.rows);
        [rows.div_ceil(tile.rows), launch.slots as u32 / 2, 1]
    }

    fn replaced(&self) -> &[Operation] {
        &self.replaced
    }
}

impl FusedForward {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        self.replaced.iter().for_each(|operation| operation.run::<A>(memory));
    }
}

/// Its cases are programs: `crate::verify` takes them from there.
pub(super) fn cases(_: &mut Take) -> Result<()> {
    Ok(())
}
