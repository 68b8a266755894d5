//! THE table of kernels: source, structures, shared code and bindings of each. Layouts, pipelines and tests all read it.

use super::tiles::{Tile, Tiles};
use crate::config::{OutputLoss, Representation, TrainingConfig};
use crate::layout::{EVALUATION_METRICS, Layer, Reduction, Shard, Shuffle, Step};
use crate::plan::Kernel;
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

/// The table.
pub const fn source(kernel: Kernel) -> Source {
    use Binding::{Read, Step as Stepped, Uniform, Write};
    match kernel {
        Kernel::Shuffle => Source {
            text: include_str!("../../shaders/shuffle.wgsl"),
            prelude: &[Shuffle::WGSL, RANDOM],
            bindings: &[Uniform, Write],
        },
        Kernel::Gather => Source {
            text: include_str!("../../shaders/gather.wgsl"),
            prelude: &[Shard::WGSL, Step::WGSL],
            bindings: &[Uniform, Stepped, Read, Read, Read, Write, Write],
        },
        Kernel::Forward => Source {
            text: include_str!("../../shaders/forward.wgsl"),
            prelude: &[Layer::WGSL],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::CosineGradient => Source {
            text: include_str!("../../shaders/cosine_gradient.wgsl"),
            prelude: &[Layer::WGSL, LANES],
            bindings: &[Uniform, Read, Write, Write],
        },
        Kernel::OutputGradient => Source {
            text: include_str!("../../shaders/output_gradient.wgsl"),
            prelude: &[Layer::WGSL],
            bindings: &[Uniform, Read, Read, Write, Write],
        },
        Kernel::WeightUpdate => Source {
            text: include_str!("../../shaders/weight_update.wgsl"),
            prelude: &[Layer::WGSL, Step::WGSL, ADAM],
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Constant {
    Size(u32),
    Flag(bool),
}

impl Variant {
    /// A kernel without constants.
    pub fn plain(kernel: Kernel) -> Self {
        Self { kernel, constants: Vec::new() }
    }

    /// `relu`: apply it; `keep`: store the pre-activation too.
    pub fn forward(tile: Tile, relu: bool, keep: bool) -> Self {
        Self::plain(Kernel::Forward)
            .size("LANES_X", tile.lanes_x)
            .size("LANES_Y", tile.lanes_y)
            .size("TILE_ROWS", tile.rows)
            .size("TILE_QUADS", tile.quads)
            .flag("RELU", relu)
            .flag("KEEP_PREACTIVATION", keep)
    }

    /// The hidden layers' gradient for what the loss compares.
    pub fn cosine_gradient(tiles: &Tiles, representation: Representation) -> Self {
        Self::plain(Kernel::CosineGradient)
            .size("LANES", tiles.lanes)
            .size("ROWS", tiles.rows)
            .flag("RELU_MASK", representation == Representation::Activation)
    }

    /// The output layer's gradient.
    pub fn output_gradient(loss: OutputLoss) -> Self {
        Self::plain(Kernel::OutputGradient).flag("CROSS_ENTROPY", loss == OutputLoss::CrossEntropy)
    }

    /// The weight gradient and Adam.
    pub fn weight_update(tile: Tile) -> Self {
        Self::plain(Kernel::WeightUpdate)
            .size("LANES_X", tile.lanes_x)
            .size("LANES_Y", tile.lanes_y)
            .size("TILE_INPUTS", tile.rows)
            .size("TILE_QUADS", tile.quads)
    }

    /// The variant of `kernel` that `layer` of a run uses.
    pub fn for_run(kernel: Kernel, layer: &Layer, tiles: &Tiles, config: &TrainingConfig, training: bool) -> Self {
        let hidden = layer.index + 1 < layer.layer_count;
        match kernel {
            Kernel::Forward => {
                let keep = training && hidden && config.representation == Representation::PreActivation;
                Self::forward(tiles.forward(layer), hidden, keep)
            }
            Kernel::CosineGradient => Self::cosine_gradient(tiles, config.representation),
            Kernel::OutputGradient => Self::output_gradient(config.output_loss),
            Kernel::WeightUpdate => Self::weight_update(tiles.update(layer)),
            other => Self::plain(other),
        }
    }

    fn size(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, Constant::Size(value)));
        self
    }

    fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.constants.push((name, Constant::Flag(value)));
        self
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
        let source = source(self.kernel);
        for part in source.prelude.iter().chain([&source.text]) {
            text.push_str(part);
        }
        text
    }
}

/// Workgroups of the kernels that work on the rows of a batch.
pub fn layer_groups(kernel: Kernel, layer: &Layer, tiles: &Tiles, slots: usize) -> [u32; 3] {
    let rows = layer.batch_size;
    match kernel {
        Kernel::Forward => tiles.forward(layer).groups(rows, layer.weight_quads, slots),
        Kernel::WeightUpdate => tiles.update(layer).groups(layer.input_quads, layer.weight_quads, slots),
        Kernel::CosineGradient => [rows.div_ceil(tiles.rows), slots as u32, 1],
        Kernel::Accuracy => [rows.div_ceil(64), slots as u32 / 2, 1],
        _ => [rows.div_ceil(64), slots as u32, 1],
    }
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

/// f32 that the reduction of a run's metrics yields: per slot its losses and right answers, per replica the test's counts.
pub fn metric_count(slots: usize, layers: usize) -> usize {
    slots * (layers + 1) + slots / 2 * EVALUATION_METRICS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest adapters that WebGPU allows bind 8 storage buffers a stage.
    #[test]
    fn no_kernel_binds_more_than_eight_storage_buffers() {
        for kernel in Kernel::ALL {
            let storage = source(kernel).bindings.iter().filter(|binding| matches!(binding, Binding::Read | Binding::Write));
            assert!(storage.count() <= 8, "{}", kernel.name());
        }
    }
}
