//! The shapes of tiles and workgroups. A shape never changes a result's bits, except for the order of sums over `lanes`.

use crate::engine::DeviceDescription;
use crate::layout::Layer;

/// One register-tiled kernel: `lanes` invocations in x and y, each with `rows × quads` outputs (for `weight_update`, a row is a
/// quad of inputs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Invocations side by side along the columns.
    pub lanes_x: u32,
    /// Invocations along the rows.
    pub lanes_y: u32,
    /// Rows of one invocation.
    pub rows: u32,
    /// Column quads of one invocation.
    pub quads: u32,
}

impl Tile {
    /// Workgroups that cover `rows × quads` outputs of `slots` slots.
    pub fn groups(&self, rows: u32, quads: u32, slots: usize) -> [u32; 3] {
        [quads.div_ceil(self.lanes_x * self.quads), rows.div_ceil(self.lanes_y * self.rows), slots as u32]
    }
}

/// The shapes for one kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    forward_small: Tile,
    forward_large: Tile,
    update_small: Tile,
    update_large: Tile,
    /// Invocations that share a row in row-wise kernels; a power of two.
    pub lanes: u32,
    /// Rows of a workgroup in row-wise kernels.
    pub rows: u32,
}

/// From this many output quads a layer fills a GPU with large tiles; below it, only small tiles give enough workgroups.
const LARGE_OUTPUTS: u32 = 1 << 16;

impl Tiles {
    /// For GPUs: many small workgroups for narrow layers, so that latency hides; more arithmetic a load for wide ones.
    pub const GPU: Tiles = Tiles {
        forward_small: Tile { lanes_x: 16, lanes_y: 4, rows: 2, quads: 1 },
        forward_large: Tile { lanes_x: 16, lanes_y: 16, rows: 8, quads: 1 },
        update_small: Tile { lanes_x: 16, lanes_y: 4, rows: 1, quads: 1 },
        update_large: Tile { lanes_x: 16, lanes_y: 16, rows: 2, quads: 1 },
        lanes: 16,
        rows: 4,
    };

    /// For software adapters (lavapipe): one subgroup of 8 is a SIMD register, a load costs far more than an fma, so tiles are as
    /// wide as registers allow; a barrier costs a coroutine switch, so rows are not shared.
    pub const SOFTWARE: Tiles = Tiles {
        forward_small: Tile { lanes_x: 8, lanes_y: 1, rows: 16, quads: 2 },
        forward_large: Tile { lanes_x: 8, lanes_y: 1, rows: 16, quads: 2 },
        update_small: Tile { lanes_x: 8, lanes_y: 1, rows: 4, quads: 2 },
        update_large: Tile { lanes_x: 8, lanes_y: 1, rows: 4, quads: 2 },
        lanes: 1,
        rows: 8,
    };

    /// All shapes of the forward kernel.
    pub fn forward_tiles(&self) -> [Tile; 2] {
        [self.forward_small, self.forward_large]
    }

    /// All shapes of the update kernel.
    pub fn update_tiles(&self) -> [Tile; 2] {
        [self.update_small, self.update_large]
    }

    /// The shapes that suit a device.
    pub fn for_device(device: &DeviceDescription) -> Self {
        if device.is_software() { Self::SOFTWARE } else { Self::GPU }
    }

    /// Every set of shapes there is, for checks.
    pub const ALL: [Tiles; 2] = [Self::GPU, Self::SOFTWARE];

    /// The forward kernel's tile for a layer.
    pub fn forward(&self, layer: &Layer) -> Tile {
        let large = layer.batch_size.saturating_mul(layer.weight_quads) >= LARGE_OUTPUTS;
        if large { self.forward_large } else { self.forward_small }
    }

    /// The update kernel's tile for a layer.
    pub fn update(&self, layer: &Layer) -> Tile {
        let large = layer.input_quads.saturating_mul(4 * layer.weight_quads) >= LARGE_OUTPUTS;
        if large { self.update_large } else { self.update_small }
    }
}
