//! The shapes of tiles and workgroups. A shape never changes a result's bits, except for the order of sums over `lanes` and
//! `splits`.

mod candidates;

use crate::engine::DeviceDescription;
use crate::kernels::{Kernel, Variant};
use crate::layout::Linear;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One register-tiled kernel: `lanes` invocations in x and y, each with `rows × quads` outputs (for `weight_update`, a row is a
/// quad of inputs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// Invocations side by side along the columns.
    pub lanes_x: u32,
    /// Invocations along the rows.
    pub lanes_y: u32,
    /// Rows of one invocation.
    pub rows: u32,
    /// Column quads of one invocation.
    pub quads: u32,
    /// The workgroup is one subgroup, whose lanes hand their loads round.
    pub shuffle: bool,
    /// Sums are used up from workgroup memory, by loops that are not unrolled.
    pub stage: bool,
    /// Loads go by way of workgroup memory, so many steps of the product at a time in each of two buffers; 0: straight to registers.
    pub chunk: u32,
}

impl Tile {
    /// A tile whose loads go straight to registers.
    pub const fn new(lanes_x: u32, lanes_y: u32, rows: u32, quads: u32) -> Self {
        Self { lanes_x, lanes_y, rows, quads, shuffle: false, stage: false, chunk: 0 }
    }

    const fn staged(rows: u32, quads: u32, shuffle: bool) -> Self {
        Self { shuffle, stage: true, ..Self::new(SUBGROUP, 1, rows, quads) }
    }

    /// Invocations of a workgroup, and bytes of the memory of its loads, where they go by way of it; a step of the product takes
    /// `row_quads` quads for each row of the tile and `column_quads` for each of its column quads.
    pub fn workgroup(&self, row_quads: u32, column_quads: u32) -> Option<(u32, u32)> {
        let step = self.lanes_y * self.rows * row_quads + self.lanes_x * self.quads * column_quads;
        // Beside it stands the place of sums that are not staged.
        (self.chunk > 0).then(|| (self.lanes_x * self.lanes_y, 16 * (2 * self.chunk * step + 1)))
    }

    /// A kernel with this tile; `rows` is its name for the rows of an invocation.
    pub fn constants(&self, kernel: Kernel, rows: &'static str) -> Variant {
        let variant = Variant::new(kernel)
            .size("LANES_X", self.lanes_x)
            .size("LANES_Y", self.lanes_y)
            .size(rows, self.rows)
            .size("TILE_QUADS", self.quads)
            .flag("SHUFFLE", self.shuffle)
            .flag("STAGE", self.stage)
            .flag("SHARED", self.chunk > 0);
        if self.chunk > 0 { variant.size("CHUNK", self.chunk) } else { variant }
    }

    /// Workgroups that cover `rows × quads` outputs of `slots` slots.
    pub fn groups(&self, rows: u32, quads: u32, slots: usize) -> [u32; 3] {
        [quads.div_ceil(self.lanes_x * self.quads), rows.div_ceil(self.lanes_y * self.rows), slots as u32]
    }
}

/// The shape of the fused forward kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FusedTile {
    /// Invocations along the columns; each has as many quads as the widest layer needs.
    pub lanes_x: u32,
    /// Shares into which the sum over the inputs is split; a power of two.
    pub splits: u32,
    /// Models of a pair at a time: 1 or 2.
    pub teams: u32,
    /// Rows of the batch in a workgroup.
    pub rows: u32,
    /// Invocations that share a row in the losses; a power of two.
    pub lanes: u32,
    /// Activations pass from layer to layer in workgroup memory.
    pub local: bool,
    /// The workgroup is one subgroup, whose lanes hand their loads round.
    pub shuffle: bool,
    /// Sums are used up from workgroup memory, by loops that are not unrolled.
    pub stage: bool,
}

impl FusedTile {
    /// Invocations of a workgroup.
    pub fn threads(&self) -> u32 {
        self.lanes_x * self.splits * self.teams
    }

    /// Column quads of an invocation.
    pub fn quads(&self, layers: &[Linear]) -> u32 {
        layers.iter().map(|layer| layer.output_quads.div_ceil(self.lanes_x)).max().unwrap_or(1)
    }

    /// Bytes of workgroup memory in which shares of sums meet and sums are staged.
    pub fn scratch_bytes(&self, layers: &[Linear]) -> u32 {
        let shares = (self.splits / 2 * self.teams * self.lanes_x * self.rows * self.quads(layers)).max(1);
        let staged = if self.stage { self.threads() * self.rows * self.quads(layers) } else { 1 };
        16 * (shares + staged)
    }

    /// Bytes of workgroup memory in which lanes add up a row: two sums of each invocation, none where a row has one lane.
    pub fn lane_sum_bytes(&self) -> u32 {
        if self.lanes > 1 { 8 * self.threads() } else { 0 }
    }
}

/// A shape that can be chosen by measuring. No choice changes a bit of a result: every output is summed in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knob {
    /// The products of layers with few outputs, forward and back.
    ForwardSmall,
    /// Those of large ones.
    ForwardLarge,
    /// The updates of small layers.
    UpdateSmall,
    /// Those of large ones.
    UpdateLarge,
    /// The fused kernels, for few rows.
    FusedSmall,
    /// The same for many.
    FusedLarge,
}

impl Knob {
    /// All of them.
    pub const ALL: [Knob; 6] =
        [Self::ForwardSmall, Self::ForwardLarge, Self::UpdateSmall, Self::UpdateLarge, Self::FusedSmall, Self::FusedLarge];
}

impl fmt::Display for Knob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ForwardSmall => "forward, small",
            Self::ForwardLarge => "forward, large",
            Self::UpdateSmall => "update, small",
            Self::UpdateLarge => "update, large",
            Self::FusedSmall => "fused, small",
            Self::FusedLarge => "fused, large",
        })
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lanes_x, lanes_y, rows, quads, shuffle, stage, chunk } = self;
        write!(formatter, "{lanes_x} x {lanes_y} invocations of {rows} x {}", 4 * quads)?;
        if *chunk > 0 {
            write!(formatter, ", loads in 2 buffers of {chunk} steps")?;
        }
        formatter.write_str(if *shuffle { ", loads shuffled" } else { "" })?;
        formatter.write_str(if *stage { ", sums staged" } else { "" })
    }
}

impl fmt::Display for FusedTile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lanes_x, splits, teams, rows, shuffle, .. } = self;
        write!(formatter, "{lanes_x} x {splits} x {teams} invocations, {rows} rows")?;
        formatter.write_str(if *shuffle { ", loads shuffled" } else { "" })
    }
}

/// The shapes for one kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiles {
    forward_small: Tile,
    forward_large: Tile,
    update_small: Tile,
    update_large: Tile,
    fused_small: FusedTile,
    fused_large: FusedTile,
    /// Quads of sums that an invocation of the fused kernel can hold.
    most_quads: u32,
    /// Invocations that share a row in row-wise kernels; a power of two.
    pub lanes: u32,
    /// Rows of a workgroup in row-wise kernels.
    pub rows: u32,
}

/// From this many output quads a layer fills a GPU with large tiles; below it, only small tiles give enough workgroups.
const LARGE_OUTPUTS: u64 = 1 << 16;
/// From this many rows of all replicas the fused kernel's large tiles fill a GPU.
const LARGE_ROWS: u64 = 1 << 11;
/// Lanes of a subgroup on adapters that get tiles with shuffles: the SIMD width of AVX in f32.
const SUBGROUP: u32 = 8;

impl Tiles {
    /// For GPUs: many small workgroups for narrow layers, so that latency hides; more arithmetic a load for wide ones.
    pub const GPU: Tiles = Tiles {
        forward_small: Tile::new(16, 4, 2, 1),
        forward_large: Tile::new(8, 8, 4, 2),
        update_small: Tile::new(16, 4, 1, 1),
        update_large: Tile::new(8, 8, 2, 2),
        fused_small: FusedTile {
            lanes_x: 16,
            splits: 4,
            teams: 2,
            rows: 2,
            lanes: 32,
            local: true,
            shuffle: false,
            stage: false,
        },
        fused_large: FusedTile {
            lanes_x: 16,
            splits: 4,
            teams: 2,
            rows: 8,
            lanes: 32,
            local: true,
            shuffle: false,
            stage: false,
        },
        most_quads: 8,
        lanes: 16,
        rows: 4,
    };

    /// For software adapters: a load costs far more than an fma, so tiles are as large as registers and cache allow; a barrier
    /// costs a coroutine switch, so rows are not shared.
    pub const SOFTWARE: Tiles = Tiles {
        forward_small: Tile::staged(16, 2, false),
        forward_large: Tile::staged(16, 2, false),
        update_small: Tile::staged(4, 2, false),
        update_large: Tile::staged(4, 2, false),
        fused_small: FusedTile { lanes_x: 8, splits: 1, teams: 1, rows: 16, lanes: 1, local: false, shuffle: false, stage: true },
        fused_large: FusedTile { lanes_x: 8, splits: 1, teams: 1, rows: 16, lanes: 1, local: false, shuffle: false, stage: true },
        most_quads: 64,
        lanes: 1,
        rows: 8,
    };

    /// The same where subgroups have 8 lanes (lavapipe on AVX): each lane of a subgroup loads something else, and registers pass
    /// it on.
    pub const SOFTWARE_SHUFFLE: Tiles = Tiles {
        forward_small: Tile::staged(16, 2, true),
        forward_large: Tile::staged(32, 2, true),
        update_small: Tile::staged(8, 2, true),
        update_large: Tile::staged(8, 2, true),
        fused_small: FusedTile { shuffle: true, ..Self::SOFTWARE.fused_small },
        fused_large: FusedTile { shuffle: true, ..Self::SOFTWARE.fused_large },
        ..Self::SOFTWARE
    };

    /// Every set of shapes there is.
    pub const ALL: [Tiles; 3] = [Self::GPU, Self::SOFTWARE, Self::SOFTWARE_SHUFFLE];

    /// All shapes of the forward kernel.
    pub fn forward_tiles(&self) -> [Tile; 2] {
        [self.forward_small, self.forward_large]
    }

    /// The same with only the small, or only the large shapes, whatever a layer would get: for checks.
    pub fn extremes(&self) -> [Self; 2] {
        let small =
            Self { forward_large: self.forward_small, update_large: self.update_small, fused_large: self.fused_small, ..*self };
        let large =
            Self { forward_small: self.forward_large, update_small: self.update_large, fused_small: self.fused_large, ..*self };
        [small, large]
    }

    fn tile(&self, knob: Knob) -> Option<Tile> {
        match knob {
            Knob::ForwardSmall => Some(self.forward_small),
            Knob::ForwardLarge => Some(self.forward_large),
            Knob::UpdateSmall => Some(self.update_small),
            Knob::UpdateLarge => Some(self.update_large),
            Knob::FusedSmall | Knob::FusedLarge => None,
        }
    }

    fn fused_tile(&self, knob: Knob) -> FusedTile {
        if knob == Knob::FusedLarge { self.fused_large } else { self.fused_small }
    }

    /// What a knob stands at, for people.
    pub fn setting(&self, knob: Knob) -> String {
        self.tile(knob).map_or_else(|| self.fused_tile(knob).to_string(), |tile| tile.to_string())
    }

    /// The same with a knob where `other` has it.
    pub fn with(&self, knob: Knob, other: &Self) -> Self {
        let mut tiles = *self;
        match knob {
            Knob::ForwardSmall => tiles.forward_small = other.forward_small,
            Knob::ForwardLarge => tiles.forward_large = other.forward_large,
            Knob::UpdateSmall => tiles.update_small = other.update_small,
            Knob::UpdateLarge => tiles.update_large = other.update_large,
            Knob::FusedSmall => tiles.fused_small = other.fused_small,
            Knob::FusedLarge => tiles.fused_large = other.fused_large,
        }
        tiles
    }

    /// The same with another shape of the forward kernel.
    pub fn with_forward(&self, tile: Tile) -> Self {
        Self { forward_small: tile, forward_large: tile, ..*self }
    }

    fn runs_on(&self, subgroup_size: Option<u32>) -> bool {
        !self.forward_small.shuffle || subgroup_size == Some(SUBGROUP)
    }

    /// The shapes that suit a device, whose subgroups all have `subgroup_size` lanes, if that is known.
    pub fn for_device(device: &DeviceDescription, subgroup_size: Option<u32>) -> Self {
        match device.is_software() {
            true if Self::SOFTWARE_SHUFFLE.runs_on(subgroup_size) => Self::SOFTWARE_SHUFFLE,
            true => Self::SOFTWARE,
            false => Self::GPU,
        }
    }

    /// Every set of shapes that a device can run, for checks.
    pub fn possible(subgroup_size: Option<u32>) -> Vec<Self> {
        Self::ALL.into_iter().filter(|tiles| tiles.runs_on(subgroup_size)).collect()
    }

    /// The forward kernel's tile for a layer.
    pub fn forward(&self, layer: &Linear, slots: usize) -> Tile {
        let outputs = u64::from(layer.rows) * u64::from(layer.output_quads) * slots as u64;
        if outputs >= LARGE_OUTPUTS { self.forward_large } else { self.forward_small }
    }

    /// The input gradient's tile for a layer: a product of the forward kernel's shape.
    pub fn input_gradient(&self, layer: &Linear, slots: usize) -> Tile {
        let outputs = u64::from(layer.rows) * u64::from(layer.input_quads) * slots as u64;
        if outputs >= LARGE_OUTPUTS { self.forward_large } else { self.forward_small }
    }

    /// The update kernel's tile for the layers of one dispatch.
    pub fn update(&self, layers: &[Linear], slots: usize) -> Tile {
        let outputs: u64 = layers.iter().map(|layer| 4 * u64::from(layer.input_quads) * u64::from(layer.output_quads)).sum();
        if outputs * slots as u64 >= LARGE_OUTPUTS { self.update_large } else { self.update_small }
    }

    /// The fused forward kernel's tile for a network.
    pub fn fused(&self, layers: &[Linear], replicas: usize) -> FusedTile {
        let rows = u64::from(layers.first().map_or(1, |layer| layer.rows)) * replicas as u64;
        let large = rows >= LARGE_ROWS;
        // More quads an invocation leave fewer registers, and less workgroup memory, for rows.
        let fits = self.fused_large.rows * self.fused_large.quads(layers) <= self.most_quads;
        if large && fits { self.fused_large } else { self.fused_small }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the bits of a replica would depend on how many train beside it.
    #[test]
    fn fused_tiles_of_one_device_sum_in_one_order() {
        for tiles in Tiles::ALL {
            let (small, large) = (tiles.fused_small, tiles.fused_large);
            assert_eq!((small.splits, small.lanes), (large.splits, large.lanes));
        }
    }
}
