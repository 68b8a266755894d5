//! THE table of kernels: source, structures, shared code and bindings of each. Layouts, pipelines and tests all read it.

use super::order::{Order, reorder};
use super::tiles::{FusedTile, Tile, Tiles};
use crate::config::{OutputLoss, Representation};
use crate::kernels::Kernel;
use crate::layout::{CONSTANTS, Layer, Pairs, Reduction, Shard, Shuffle, Step};
use std::fmt::Write;

/// How a kernel sees one buffer. Binding numbers follow the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A structure that stays the same for the whole run.
    Uniform,
    /// The [`Step`], at an offset that is chosen for each dispatch.
    Step,
    /// Storage that the kernel only reads.
    Read,
    /// Storage that the kernel writes.
    Write,
}

/// What a kernel is made of.
#[derive(Clone, Copy)]
pub struct Source {
    /// The kernel's own file.
    pub text: &'static str,
    /// Declarations to stand before it: structures and shared functions.
    pub prelude: &'static [&'static str],
    /// Its bindings, in order.
    pub bindings: &'static [Binding],
}

const RANDOM: &str = include_str!("../../shaders/shared/random.wgsl");
const ADAM: &str = include_str!("../../shaders/shared/adam.wgsl");
const LANES: &str = include_str!("../../shaders/shared/lanes.wgsl");
const LANE_PLAIN: &str = include_str!("../../shaders/shared/lane_plain.wgsl");
const LANE_SHUFFLE: &str = include_str!("../../shaders/shared/lane_shuffle.wgsl");
const PRODUCT: &str = include_str!("../../shaders/shared/product.wgsl");
const STAGE: &str = include_str!("../../shaders/shared/stage.wgsl");
const ACTIVATION: &str = include_str!("../../shaders/shared/activation.wgsl");
const ROW: &str = include_str!("../../shaders/shared/row.wgsl");
const ROW_SCALE: &str = include_str!("../../shaders/shared/row_scale.wgsl");
const TRIPLE_SUM: &str = include_str!("../../shaders/shared/triple_sum.wgsl");
const AUGMENT: &str = include_str!("../../shaders/shared/augment.wgsl");
const COSINE_DISTANCE: &str = include_str!("../../shaders/shared/cosine_distance.wgsl");
const COSINE_LOSS: &str = include_str!("../../shaders/shared/cosine_loss.wgsl");
const OUTPUT_LOSS: &str = include_str!("../../shaders/shared/output_loss.wgsl");

/// The table.
pub const fn source(kernel: Kernel) -> Source {
    use Binding::{Read, Step as Stepped, Uniform, Write};
    match kernel {
        Kernel::Shuffle => Source {
            text: include_str!("../../shaders/shuffle.wgsl"),
            prelude: &[Shuffle::WGSL, Step::WGSL, RANDOM],
            bindings: &[Uniform, Stepped, Write],
        },
        Kernel::Gather => Source {
            text: include_str!("../../shaders/gather.wgsl"),
            prelude: &[Shard::WGSL, Step::WGSL, RANDOM, AUGMENT],
            bindings: &[Uniform, Stepped, Read, Read, Read, Write, Write],
        },
        Kernel::Forward => Source {
            text: include_str!("../../shaders/forward.wgsl"),
            prelude: &[Layer::WGSL, PRODUCT, STAGE, ACTIVATION],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::BatchMean => Source {
            text: include_str!("../../shaders/batch_mean.wgsl"),
            prelude: &[Layer::WGSL],
            bindings: &[Uniform, Read, Write],
        },
        Kernel::CosineGradient => Source {
            text: include_str!("../../shaders/cosine_gradient.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL, LANES, ROW, COSINE_DISTANCE, COSINE_LOSS],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::Pairs => Source {
            text: include_str!("../../shaders/pairs.wgsl"),
            prelude: &[CONSTANTS, Pairs::WGSL, Step::WGSL, RANDOM],
            bindings: &[Uniform, Stepped, Read, Write],
        },
        Kernel::PairGradient => Source {
            text: include_str!("../../shaders/pair_gradient.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL, LANES, ROW, COSINE_DISTANCE],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::Normalize => Source {
            text: include_str!("../../shaders/normalize.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL, LANES, ROW, ROW_SCALE],
            bindings: &[Uniform, Read, Write],
        },
        Kernel::ClassPrototypes => Source {
            text: include_str!("../../shaders/class_prototypes.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL],
            bindings: &[Uniform, Read, Read, Write],
        },
        Kernel::InputGradient => Source {
            text: include_str!("../../shaders/input_gradient.wgsl"),
            prelude: &[Layer::WGSL, PRODUCT, STAGE],
            bindings: &[Uniform, Read, Read, Read, Write],
        },
        Kernel::NormalizeGradient => Source {
            text: include_str!("../../shaders/normalize_gradient.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL, LANES, ROW, ROW_SCALE],
            bindings: &[Uniform, Read, Read, Write],
        },
        Kernel::OutputGradient => Source {
            text: include_str!("../../shaders/output_gradient.wgsl"),
            prelude: &[Layer::WGSL, OUTPUT_LOSS],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::FusedForward => Source {
            text: include_str!("../../shaders/fused_forward.wgsl"),
            prelude: &[CONSTANTS, Layer::WGSL, LANES, PRODUCT, STAGE, ACTIVATION, ROW, COSINE_DISTANCE, COSINE_LOSS, OUTPUT_LOSS],
            bindings: &[Uniform, Read, Read, Write, Write, Write, Write],
        },
        Kernel::WeightUpdate => Source {
            text: include_str!("../../shaders/weight_update.wgsl"),
            prelude: &[Layer::WGSL, Step::WGSL, ADAM, STAGE],
            bindings: &[Uniform, Stepped, Read, Read, Write, Write, Write],
        },
        Kernel::Softmax => {
            Source { text: include_str!("../../shaders/softmax.wgsl"), prelude: &[Layer::WGSL], bindings: &[Uniform, Write] }
        }
        Kernel::Accuracy => Source {
            text: include_str!("../../shaders/accuracy.wgsl"),
            prelude: &[Layer::WGSL, Step::WGSL],
            bindings: &[Uniform, Stepped, Read, Read, Write],
        },
        Kernel::Covariance => Source {
            text: include_str!("../../shaders/covariance.wgsl"),
            prelude: &[Layer::WGSL, ROW, TRIPLE_SUM],
            bindings: &[Uniform, Read, Read, Write],
        },
        Kernel::WeightNorms => Source {
            text: include_str!("../../shaders/weight_norms.wgsl"),
            prelude: &[Layer::WGSL, TRIPLE_SUM],
            bindings: &[Uniform, Read, Read, Write],
        },
        Kernel::Reduction => Source {
            text: include_str!("../../shaders/reduction.wgsl"),
            prelude: &[Reduction::WGSL],
            bindings: &[Uniform, Read, Write],
        },
    }
}

/// A kernel with its compile-time constants: what a pipeline is made from.
///
/// The constants are prepended as WGSL `const`s: they size arrays in registers, which a pipeline-overridable constant may not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The kernel.
    pub kernel: Kernel,
    constants: Vec<(&'static str, Constant)>,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Constant {
    Size(u32),
    Flag(bool),
}

impl Variant {
    /// A kernel without constants.
    pub fn plain(kernel: Kernel) -> Self {
        Self { kernel, constants: Vec::new(), order: Order::Natural }
    }

    /// `keep`: store the pre-activation too.
    pub fn forward(tile: Tile, keep: bool) -> Self {
        Self::tiled(Kernel::Forward, tile, "TILE_ROWS").flag("KEEP_PREACTIVATION", keep)
    }

    /// The hidden layers' gradient for what the loss compares.
    pub fn cosine_gradient(tiles: &Tiles, representation: Representation, centre: bool) -> Self {
        Self::plain(Kernel::CosineGradient).lanes(tiles.lanes, tiles.rows, representation).flag("CENTRE", centre)
    }

    /// The gradient of logits; `count`: right answers are counted; `mutual`: the partner's answer is part of the target.
    pub fn output_gradient(loss: OutputLoss, count: bool, mutual: bool) -> Self {
        Self::plain(Kernel::OutputGradient)
            .flag("CROSS_ENTROPY", loss == OutputLoss::CrossEntropy)
            .flag("COUNT", count)
            .flag("MUTUAL", mutual)
    }

    /// The hidden layers' gradient by pairs.
    pub fn pair_gradient(tiles: &Tiles) -> Self {
        Self::plain(Kernel::PairGradient).size("LANES", tiles.lanes).size("ROWS", pair_rows(tiles))
    }

    /// A batch, whose images may be shifted (`moves`) and turned or resized too (`turns`).
    pub fn gather(shard: &Shard) -> Self {
        Self::plain(Kernel::Gather).flag("MOVE", shard.moves()).flag("TURN", shard.turns())
    }

    /// Rows brought to one length, or the gradient through that; `unit`: to 1.
    pub fn normalize(kernel: Kernel, tiles: &Tiles, unit: bool) -> Self {
        Self::plain(kernel).size("LANES", tiles.lanes).size("ROWS", tiles.rows).flag("UNIT", unit)
    }

    /// The gradient of a layer's input; `mask`: that is a rectified output.
    pub fn input_gradient(tile: Tile, mask: bool) -> Self {
        Self::tiled(Kernel::InputGradient, tile, "TILE_ROWS").flag("MASK", mask)
    }

    /// All layers forward, with their losses.
    pub fn fused_forward(tile: FusedTile, layers: &[Layer], representation: Representation, loss: OutputLoss) -> Self {
        Self::plain(Kernel::FusedForward)
            .size("LAYERS", layers.len() as u32)
            .size("LANES_X", tile.lanes_x)
            .size("SPLITS", tile.splits)
            .size("TEAMS", tile.teams)
            .size("TILE_ROWS", tile.rows)
            .size("TILE_QUADS", tile.quads(layers))
            .size("HIDDEN_QUADS", tile.hidden_quads(layers))
            .flag("LOCAL", tile.local)
            .flag("SHUFFLE", tile.shuffle)
            .flag("STAGE", tile.stage)
            .lanes(tile.lanes, tile.threads() / tile.lanes, representation)
            .flag("KEEP_PREACTIVATION", representation == Representation::PreActivation)
            .flag("CROSS_ENTROPY", loss == OutputLoss::CrossEntropy)
            .flag("MUTUAL", false)
    }

    /// The weight gradient and Adam, of `layers` layers in one dispatch.
    pub fn weight_update(tile: Tile, layers: usize) -> Self {
        Self::tiled(Kernel::WeightUpdate, tile, "TILE_INPUTS").size("LAYERS", layers as u32)
    }

    fn tiled(kernel: Kernel, tile: Tile, rows: &'static str) -> Self {
        Self::plain(kernel)
            .size("LANES_X", tile.lanes_x)
            .size("LANES_Y", tile.lanes_y)
            .size(rows, tile.rows)
            .size("TILE_QUADS", tile.quads)
            .flag("SHUFFLE", tile.shuffle)
            .flag("STAGE", tile.stage)
    }

    fn lanes(self, lanes: u32, rows: u32, representation: Representation) -> Self {
        self.size("LANES", lanes).size("ROWS", rows).flag("RELU_MASK", representation == Representation::Activation)
    }

    fn size(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, Constant::Size(value)));
        self
    }

    fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.constants.push((name, Constant::Flag(value)));
        self
    }

    /// The same kernel in another order of workgroups and invocations.
    pub fn in_order(&self, order: Order) -> Self {
        Self { order, ..self.clone() }
    }

    fn shuffles(&self) -> bool {
        self.constants.contains(&("SHUFFLE", Constant::Flag(true)))
    }

    /// The whole shader.
    pub fn wgsl(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.constants {
            // Writing to a String cannot fail.
            let _ = match value {
                Constant::Size(size) => writeln!(text, "const {name}: u32 = {size}u;"),
                Constant::Flag(flag) => writeln!(text, "const {name}: bool = {flag};"),
            };
        }
        if let Some((_, shuffle)) = self.constants.iter().find(|(name, _)| *name == "SHUFFLE") {
            text.push_str(if *shuffle == Constant::Flag(true) { LANE_SHUFFLE } else { LANE_PLAIN });
        }
        let source = source(self.kernel);
        for part in source.prelude.iter().chain([&source.text]) {
            text.push_str(part);
        }
        match self.order {
            Order::Natural => text,
            // Without an entry point as it should be there is none at all, which the compiler refuses.
            order => reorder(&text, order, self.shuffles()).unwrap_or_default(),
        }
    }
}

/// Rows of a workgroup of the gradient by pairs: one, unless a row has one invocation.
fn pair_rows(tiles: &Tiles) -> u32 {
    if tiles.lanes == 1 { tiles.rows } else { 1 }
}

/// Workgroups of the kernels that work on the rows of one layer's batch.
pub fn layer_groups(kernel: Kernel, layer: &Layer, tiles: &Tiles, slots: usize) -> [u32; 3] {
    let rows = layer.batch_size;
    match kernel {
        Kernel::Forward => tiles.forward(layer, slots).groups(rows, layer.weight_quads, slots),
        Kernel::BatchMean => [layer.weight_quads.div_ceil(64), slots as u32, 1],
        Kernel::CosineGradient | Kernel::Normalize | Kernel::NormalizeGradient => [rows.div_ceil(tiles.rows), slots as u32, 1],
        Kernel::PairGradient => [rows.div_ceil(pair_rows(tiles)), slots as u32, 1],
        Kernel::ClassPrototypes => [layer.output_width, slots as u32, 1],
        Kernel::InputGradient => tiles.input_gradient(layer, slots).groups(rows, layer.input_width.div_ceil(4), slots),
        Kernel::Accuracy => [rows.div_ceil(64), slots as u32 / 2, 1],
        _ => [rows.div_ceil(64), slots as u32, 1],
    }
}

/// Workgroups of the fused forward kernel.
pub fn fused_groups(batch_size: u32, tile: FusedTile, replicas: usize) -> [u32; 3] {
    [batch_size.div_ceil(tile.rows), replicas as u32, 1]
}

/// Workgroups of the update kernel: the tiles of all its layers in one row.
pub fn update_groups(layers: &[Layer], tile: Tile, slots: usize) -> [u32; 3] {
    let tiles = layers.iter().map(|layer| tile.groups(layer.input_quads, layer.weight_quads, slots));
    [tiles.map(|[across, down, _]| across * down).sum(), 1, slots as u32]
}

/// Workgroups of the gather kernel.
pub fn gather_groups(shard: &Shard, views: usize) -> [u32; 3] {
    [shard.input_quads.div_ceil(64), shard.batch_size, views as u32]
}

/// Workgroups of the shuffle kernel, which strides over what they leave.
pub fn shuffle_groups(shuffle: &Shuffle) -> [u32; 3] {
    let total = u64::from(shuffle.sample_count) * u64::from(shuffle.replicas);
    [total.div_ceil(64).min(1024) as u32, 1, 1]
}

/// Workgroups of the covariance kernel: a tile of 8 by 8 quads each.
pub fn covariance_groups(layer: &Layer, slots: usize) -> [u32; 3] {
    let side = layer.weight_quads.div_ceil(8);
    [side, side, slots as u32]
}

/// Workgroups of the kernel of weights' norms, which strides over what they leave.
pub fn norm_groups(layer: &Layer, slots: usize) -> [u32; 3] {
    [(layer.weight_len() as u32 / 4).div_ceil(256).clamp(1, 64), slots as u32, 1]
}
