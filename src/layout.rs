//! Everything that host, CPU twins and shaders must agree on, defined once: parameter structures and memory layouts.
//!
//! A structure declared with `device_struct!` exists as a `#[repr(C)]` Rust type and as WGSL text; the shaders get the text
//! prepended, so the two cannot drift apart. All fields are 4-byte scalars, for which Rust and WGSL agree on every offset.
//!
//! # Memory layouts
//! A *quad* is four consecutive f32, a `vec4<f32>` in a shader. Every row of a matrix is padded with zeros to whole quads, so kernels
//! load and store vectors and only tails of tiles need care. For a layer with `n` inputs and `m` outputs:
//!
//! | tensor | shape | content |
//! |---|---|---|
//! | inputs, outputs | `[slot, rows, quads(m)]`, a dense layer's rows are the batch's images | `h₀ … hₘ₋₁, 0 …` |
//! | deltas | `[slot, rows, quads(m)]` | `δ₀ … δₘ₋₁, 0 …` |
//! | weights, moments | `[slot, 4·quads(n) + 1, quads(m)]` | row `i < n`: weights from input `i`; zeros; the last row: biases |
//! | pairs | `[slot, batch]` | two u32: rows of the batch, or [`NO_ROW`] |
//! | row metrics | `[slot, layers + 1, images of a batch]` | sums over an epoch: each layer's loss, then correct answers |
//! | trust | `[slot, batch]` a layer | 0, or the batch over the rows that are kept |
//! | pseudo-labels | `[slot, batch]` a layer | the label, or the partner's answer; and what the row counts |
//!
//! The fused plan keeps each of these tensors of all layers in one buffer, one layer behind the other, the network's input before
//! the first layer's outputs ([`crate::kernels::Pack`]); the layered plan has a buffer a layer.
//!
//! `slot = 2·replica + model` (A is 0, B is 1), so that a model's partner is `slot ^ 1` ([`partner`]). The network's input is
//! shared by the two models of a replica: its leading axis is a *view*, `slot >> 1` (with augmentation each slot has its own:
//! [`Views`]). Padding is left out of the update, and would stay zero anyway: its
//! gradient is zero, and Adam moves nothing by zero.

use crate::config::TrainingConfig;

// The first field of a structure is no loop's limit: where it is, lavapipe (Mesa 22.3) runs the loop a hundred times slower.
/// Declares a structure for host and device: a Pod Rust type whose `WGSL` constant is the same declaration for shaders.
macro_rules! device_struct {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $field:ident: $kind:ident,)* }) => {
        $(#[$outer])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$inner])* pub $field: $kind,)* }

        impl $name {
            /// The same structure in WGSL.
            pub const WGSL: &'static str =
                concat!("struct ", stringify!($name), " {\n", $("    ", stringify!($field), ": ", stringify!($kind), ",\n",)* "}\n");
        }
    };
}

/// Declares constants for host and device: Rust constants, and `CONSTANTS`, the same in WGSL.
macro_rules! device_constants {
    ($($(#[$outer:meta])* $name:ident: $kind:ident = $value:literal,)*) => {
        $($(#[$outer])* pub const $name: $kind = $value;)*

        /// The constants in WGSL.
        pub const CONSTANTS: &str =
            concat!($("const ", stringify!($name), ": ", stringify!($kind), " = ", stringify!($value), ";\n",)*);
    };
}

// Behind the macros, which they use.
mod data;
mod linear;
mod rows;
mod step;

pub use data::{Dropout, Pairs, Shard, Shuffle};
pub use linear::{BackPlaces, ForwardPlaces, Linear, Places, Trained};
pub use rows::{Note, Prototypes, PseudoLabels, RowLoss, Rows, ScorePlaces, SelectPlaces, Trust, labelled_rows};
pub use step::Step;

device_constants! {
    /// In the place of a layer's weights of rows: it has none, and all rows count.
    ALL_ROWS: u32 = 0xffffffff,
    /// Added to the squared norm of a row, so that an all-zero row has a finite one: part of the definition of cosines and unit
    /// rows.
    SQUARE_FLOOR: f32 = 1e-12,
    /// The score of a class that is not in the batch: far below any cosine over a temperature, so that its exponential is 0.
    ABSENT: f32 = -1e4,
    /// Moments of Adam below this, 2⁻¹⁰⁰, become 0: a processor takes a hundred times as long for subnormal numbers, which moments
    /// of gradients that have stopped would become; a step made by them is far below what a weight can show.
    TINY: f32 = 7.888609e-31,
    /// In place of a row that was not drawn.
    NO_ROW: u32 = 0xffffffff,
    /// In place of the label of an image that has none.
    UNLABELLED: u32 = 0xffffffff,
    /// One less the margin of the pair loss's cosine: from this distance on, rows of two classes are far enough from each other.
    MARGIN_DISTANCE: f32 = 0.5,
    /// Marks an image that a layer called worth learning from, in what is recorded of it.
    KEPT: u32 = 0x80000000,
    /// The bits of an epoch's number that stand there.
    EPOCH_MASK: u32 = 0x7fffff,
    /// One, as shares of a batch are counted: products of two shares, and of a share and the largest batch, are below 2³².
    WHOLE: u32 = 0x8000,
    /// Cells along each axis of the grid that bends an image,
    ELASTIC_CELLS: u32 = 4,
    /// and its nodes in all: one more than cells along each axis.
    ELASTIC_NODES: u32 = 25,
}

device_struct! {
    /// Rows of numbers to be summed.
    Reduction {
        /// Where the sums begin in their buffer.
        first_sum: u32,
        /// Numbers in each sum.
        length: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
    }
}

/// Who sees images of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// Each slot.
    Slot,
    /// Each replica: both models see the same.
    Replica,
    /// All see the same (evaluation).
    Run,
}

impl Views {
    /// A slot reads view `slot >> shift`.
    pub const fn shift(self) -> u32 {
        match self {
            Views::Slot => 0,
            Views::Replica => 1,
            Views::Run => 31,
        }
    }

    /// Views of `slots` slots.
    pub const fn count(self, slots: usize) -> usize {
        ((slots - 1) >> self.shift()) + 1
    }

    /// What a run trains on.
    pub fn of_training(config: &TrainingConfig) -> Self {
        let moves = &config.augmentation;
        if moves.is_active() && !moves.shared { Views::Slot } else { Views::Replica }
    }
}

/// The slot of the other model of a pair.
pub const fn partner(slot: usize) -> usize {
    slot ^ 1
}

/// Row metrics of an evaluation, per replica: correct answers of A, of B and of their mean.
pub const EVALUATION_METRICS: usize = 3;

/// Sums that [`crate::kernels::Kernel::Covariance`] and [`crate::kernels::Kernel::WeightNorms`] make of a layer and slot, each.
pub const DIAGNOSIS_SUMS: usize = 3;

/// Quads that hold `width` numbers.
pub const fn quads(width: usize) -> usize {
    width.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_structures_are_whole_sixteen_bytes() {
        let others = [
            size_of::<Shard>(),
            size_of::<Shuffle>(),
            size_of::<Pairs>(),
            size_of::<Dropout>(),
            size_of::<Reduction>(),
            size_of::<Trust>(),
            size_of::<PseudoLabels>(),
        ];
        for size in
            [size_of::<Linear>(), size_of::<Step>(), size_of::<RowLoss>(), size_of::<Prototypes>()].into_iter().chain(others)
        {
            assert_eq!(size % 16, 0);
        }
    }

    #[test]
    fn wgsl_text_lists_the_fields_in_order() {
        assert!(Reduction::WGSL.starts_with("struct Reduction {\n    first_sum: u32,\n    length: u32,\n"));
    }
}
