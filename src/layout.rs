//! Everything that host, CPU twins and shaders must agree on, defined once: parameter structures and memory layouts.
//!
//! A structure declared with `device_struct!` exists as a `#[repr(C)]` Rust type and as WGSL text; the shaders get the text
//! prepended, so the two cannot drift apart. All fields are 4-byte scalars, for which Rust and WGSL agree on every offset.
//!
//! # Memory layouts
//! A *quad* is four consecutive f32, a `vec4<f32>` in a shader. Every row of a matrix is padded to whole quads, so kernels
//! load and store vectors and only tails of tiles need care. For a layer with `n` inputs and `m` outputs:
//!
//! | tensor | shape | row |
//! |---|---|---|
//! | activations | `[slot, batch, quads(n + 1)]` | `h₀ … hₙ₋₁, 1, 0 …`: the 1 makes the bias an ordinary row of the weights |
//! | weights, moments | `[slot, 4·quads(n + 1), quads(m)]` | row `i < n`: weights from input `i`; row `n`: biases; then zeros |
//! | deltas | `[slot, batch, quads(m)]` | `δ₀ … δₘ₋₁, 0 …` |
//! | pairs | `[slot, batch]` | two u32: rows of the batch, or [`NO_ROW`] |
//! | row metrics | `[slot, layers + 1, batch]` | sums over an epoch: each layer's loss, then correct answers |
//!
//! The fused plan keeps each of these tensors of all layers in one buffer, one layer behind the other, the network's input before the
//! first layer's activations ([`Joined`]); the layered plan has a buffer a layer.
//!
//! `slot = 2·replica + model` (A is 0, B is 1), so that a model's partner is `slot ^ 1` ([`partner`]). The network's input is shared by the
//! two models of a replica: its leading axis is a *view*, `slot >> 1` (with augmentation each slot has its own: [`Views`]). Padding is left out of the update, and would stay zero anyway:
//! its gradient is zero, and Adam moves nothing by zero.

use crate::config::{Adam, Augmentation, Guide, TrainingConfig};
use crate::dataset::Images;
use crate::model::{Architecture, LayerParameters};
use crate::random::Stream;

mod shapes;

pub use shapes::{Joined, Shapes};

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

device_constants! {
    /// Added to the squared norm of a row, so that an all-zero row has a finite one: part of the definition of cosines and unit rows.
    SQUARE_FLOOR: f32 = 1e-12,
    /// The bias of a class that is not in the batch: far below any cosine over a temperature, so that its exponential is 0.
    ABSENT: f32 = -1e4,
    /// In place of a row that was not drawn.
    NO_ROW: u32 = 0xffffffff,
    /// One less the margin of the pair loss's cosine: from this distance on, rows of two classes are far enough from each other.
    MARGIN_DISTANCE: f32 = 0.5,
}

device_struct! {
    /// The shape of one layer and of the batch that passes through it.
    Layer {
        /// Numbers that enter, without the constant 1.
        input_width: u32,
        /// Numbers that leave.
        output_width: u32,
        /// Row length of the input activations, in quads: `quads(input_width + 1)`.
        input_quads: u32,
        /// Row length of the output activations, in quads: `quads(output_width + 1)`.
        output_quads: u32,
        /// Row length of weights and deltas, in quads: `quads(output_width)`.
        weight_quads: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// The input's leading index is `slot >> view_shift`: 0 one a slot, 1 one a replica, 31 one for all.
        view_shift: u32,
        /// Where this layer's loss stands among the row metrics.
        index: u32,
        /// Layers of the network.
        layer_count: u32,
        /// Where this layer's weights and moments begin in their buffers, in quads; 0 unless layers share buffers.
        weight_offset: u32,
        /// The same for its input activations,
        input_offset: u32,
        /// its output activations,
        output_offset: u32,
        /// and its deltas.
        delta_offset: u32,
        /// 1: the output is rectified; 0: it is left as it is.
        rectified: u32,
        /// 1: the bias is trained; 0: it stays.
        bias: u32,
        /// The weights are those of `slot ^ weight_flip`: 1 for the partner's.
        weight_flip: u32,
        /// Bit m: model m does not move.
        frozen: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Factor of the prototypes: one over the temperature.
        inverse_temperature: f32,
        /// Share of the target that is the partner's own answer.
        mutual: f32,
    }
}

device_struct! {
    /// What changes from step to step.
    Step {
        /// Position in the epoch's order of the batch's first row.
        first_row: u32,
        /// Rows that hold data; the rest of the batch is ignored (test set's last batch).
        row_count: u32,
        /// Learning rate.
        learning_rate: f32,
        /// β₁ of Adam.
        beta_1: f32,
        /// β₂ of Adam.
        beta_2: f32,
        /// 1 − β₁, rounded from f64: in f32 the difference would lose digits.
        one_minus_beta_1: f32,
        /// 1 − β₂.
        one_minus_beta_2: f32,
        /// ε of Adam.
        epsilon: f32,
        /// 1 / (1 − β₁ᵗ), computed in f64: a device's `pow` is too coarse near 1.
        first_correction: f32,
        /// 1 / (1 − β₂ᵗ).
        second_correction: f32,
        /// Epoch, from 1: the counter of random changes of images.
        epoch: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

device_struct! {
    /// One shard of a data set on the device, and the shape of its records (`[pixel words, label word]`, four pixels a word).
    Shard {
        /// Index of the shard's first image.
        first_image: u32,
        /// Images in the shard.
        image_count: u32,
        /// Pixels of an image.
        pixels: u32,
        /// Images in the whole set: the length of one replica's order.
        sample_count: u32,
        /// Words of one record: `quads(pixels) + 1`.
        record_words: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// Row length of the activations to fill, in quads.
        input_quads: u32,
        /// View v reads order `v >> order_shift`, and is of that replica.
        order_shift: u32,
        /// Rows of an image.
        height: u32,
        /// Columns of an image.
        width: u32,
        /// Largest random shift in pixels.
        shift: u32,
        /// Largest random rotation in radians.
        rotation: f32,
        /// Largest random change of size, as a fraction.
        scale: f32,
        /// The random stream of these changes; the second view of a replica has the next one.
        stream: u32,
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
    }
}

device_struct! {
    /// The order of one epoch.
    Shuffle {
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// The counter of the random stream.
        epoch: u32,
        /// The stream's identity.
        stream: u32,
        /// Samples in an order.
        sample_count: u32,
        /// Orders to make, one a replica.
        replicas: u32,
        /// 1 to shuffle, 0 for the data set's own order.
        enabled: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

device_struct! {
    /// The pairs of rows that a step draws.
    Pairs {
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// The random stream of A's pairs; B has the next one.
        stream: u32,
        /// Rows of a batch.
        batch_size: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
        /// Padding.
        padding_2: u32,
    }
}

device_struct! {
    /// Rows of numbers to be summed.
    Reduction {
        /// Numbers in each sum.
        length: u32,
        /// Where the sums begin in their buffer.
        first_sum: u32,
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

/// Sums that [`crate::plan::Kernel::Covariance`] and [`crate::plan::Kernel::WeightNorms`] make of a layer and slot, each.
pub const DIAGNOSIS_SUMS: usize = 3;

/// Quads that hold `width` numbers.
pub const fn quads(width: usize) -> usize {
    width.div_ceil(4)
}

impl Layer {
    /// The layer `index` (from 0) of `architecture` for batches of `batch_size` rows, whose first layer reads `views`.
    pub fn new(architecture: &Architecture, index: usize, batch_size: usize, views: Views) -> Self {
        let (inputs, outputs) = (architecture.widths()[index], architecture.widths()[index + 1]);
        let network = Self {
            view_shift: if index > 0 { 0 } else { views.shift() },
            label_shift: views.shift(),
            batch_size: batch_size as u32,
            index: index as u32,
            layer_count: architecture.layer_count() as u32,
            rectified: u32::from(index + 1 < architecture.layer_count()),
            bias: 1,
            ..Self::default()
        };
        network.between(inputs, outputs)
    }

    /// The same with other widths.
    fn between(self, inputs: usize, outputs: usize) -> Self {
        Self {
            input_width: inputs as u32,
            output_width: outputs as u32,
            input_quads: quads(inputs + 1) as u32,
            output_quads: quads(outputs + 1) as u32,
            weight_quads: quads(outputs) as u32,
            ..self
        }
    }

    /// All layers of `architecture`, as [`Layer::new`].
    pub fn all(architecture: &Architecture, batch_size: usize, views: Views) -> Vec<Self> {
        (0..architecture.layer_count()).map(|index| Self::new(architecture, index, batch_size, views)).collect()
    }

    /// The linear projection `[width, hidden]` of this hidden layer's output, without a bias.
    pub fn projection(&self, width: usize) -> Self {
        Self { view_shift: 0, rectified: 0, bias: 0, ..self.between(self.output_width as usize, width) }
    }

    /// The layer whose weights are prototypes of `classes` classes: it reads unit rows as wide as this layer's output. Its bias keeps
    /// absent classes out of the softmax.
    pub fn guide(&self, classes: usize, config: &TrainingConfig) -> Self {
        Self {
            view_shift: 0,
            rectified: 0,
            weight_flip: u32::from(config.guide == Guide::Partner),
            inverse_temperature: (1.0 / config.temperature) as f32,
            mutual: config.mutual as f32,
            ..self.between(self.output_width as usize, classes)
        }
    }

    /// Whether a slot's weights move.
    pub fn moves(&self, slot: usize) -> bool {
        self.frozen >> (slot & 1) & 1 == 0
    }

    /// f32 in a row as wide as the input, without the constant 1: of gradients with respect to it.
    pub fn gradient_stride(&self) -> usize {
        4 * quads(self.input_width as usize)
    }

    /// Rows of the weight matrix: inputs, the bias row, and padding to whole quads.
    pub fn weight_rows(&self) -> usize {
        4 * self.input_quads as usize
    }

    /// f32 in one slot's weights.
    pub fn weight_len(&self) -> usize {
        self.weight_rows() * self.weight_stride()
    }

    /// f32 in a row of weights or deltas.
    pub fn weight_stride(&self) -> usize {
        4 * self.weight_quads as usize
    }

    /// f32 in a row of input activations.
    pub fn input_stride(&self) -> usize {
        4 * self.input_quads as usize
    }

    /// f32 in a row of output activations.
    pub fn output_stride(&self) -> usize {
        4 * self.output_quads as usize
    }

    /// f32 in one slot's output activations of a batch.
    pub fn output_len(&self) -> usize {
        self.batch_size as usize * self.output_stride()
    }

    /// f32 in one view's input activations of a batch.
    pub fn input_len(&self) -> usize {
        self.batch_size as usize * self.input_stride()
    }

    /// f32 in one slot's deltas of a batch.
    pub fn delta_len(&self) -> usize {
        self.batch_size as usize * self.weight_stride()
    }

    /// f32 in one slot's row metrics.
    pub fn metrics_len(&self) -> usize {
        (self.layer_count as usize + 1) * self.batch_size as usize
    }

    /// Lays out one slot's parameters as the kernels read them: weights transposed, biases below, zeros around.
    pub fn pack(&self, parameters: &LayerParameters) -> Vec<f32> {
        let (inputs, outputs) = (self.input_width as usize, self.output_width as usize);
        let mut packed = vec![0.0; self.weight_len()];
        for (input, row) in packed.chunks_exact_mut(self.weight_stride()).take(inputs + 1).enumerate() {
            for (output, value) in row[..outputs].iter_mut().enumerate() {
                *value = if input < inputs { parameters.weight[output * inputs + input] } else { parameters.bias[output] };
            }
        }
        packed
    }

    /// The reverse of [`Layer::pack`].
    pub fn unpack(&self, packed: &[f32]) -> LayerParameters {
        let (inputs, outputs) = (self.input_width as usize, self.output_width as usize);
        let weight = (0..outputs * inputs).map(|index| packed[index % inputs * self.weight_stride() + index / inputs]).collect();
        LayerParameters { weight, bias: packed[inputs * self.weight_stride()..][..outputs].to_vec() }
    }

    /// The view that `slot` reads its input from.
    pub fn view(&self, slot: usize) -> usize {
        slot >> self.view_shift
    }
}

impl Shuffle {
    /// The orders of `epoch` for `replicas` runs whose seeds start at `seed`.
    pub fn new(seed: u64, epoch: u32, sample_count: usize, replicas: usize, enabled: bool) -> Self {
        Self {
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            epoch,
            stream: Stream::Shuffle.id(),
            sample_count: sample_count as u32,
            replicas: replicas as u32,
            enabled: u32::from(enabled),
            ..Self::default()
        }
    }
}

impl Pairs {
    /// The pairs among batches as `layer` takes them, of runs whose seeds start at `seed`.
    pub fn new(seed: u64, layer: &Layer) -> Self {
        Self {
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            stream: Stream::Pairs { model: 0 }.id(),
            batch_size: layer.batch_size,
            label_shift: layer.label_shift,
            ..Self::default()
        }
    }
}

impl Shard {
    /// The shard `first_image .. first_image + image_count` of `images`, gathered in batches of `batch_size` for `views`.
    pub fn new(images: &Images, first_image: usize, image_count: usize, batch_size: usize, views: Views) -> Self {
        let pixels = images.pixels_per_image();
        Self {
            first_image: first_image as u32,
            image_count: image_count as u32,
            pixels: pixels as u32,
            sample_count: images.count() as u32,
            record_words: (quads(pixels) + 1) as u32,
            batch_size: batch_size as u32,
            input_quads: quads(pixels + 1) as u32,
            order_shift: match views {
                Views::Slot => 1,
                Views::Replica => 0,
                Views::Run => 31,
            },
            height: images.height as u32,
            width: images.width as u32,
            ..Self::default()
        }
    }

    /// The same with random changes of its images.
    pub fn augmented(self, augmentation: &Augmentation, seed: u64) -> Self {
        Self {
            shift: augmentation.shift,
            rotation: augmentation.rotation.to_radians() as f32,
            scale: augmentation.scale as f32,
            stream: Stream::Augmentation { model: 0 }.id(),
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            ..self
        }
    }

    /// Whether images are turned or resized.
    pub fn turns(&self) -> bool {
        self.rotation > 0.0 || self.scale > 0.0
    }

    /// Whether images are changed at all.
    pub fn moves(&self) -> bool {
        self.shift > 0 || self.turns()
    }

    /// The shard's records: four pixels a word, the first in the lowest byte, then a word with the label.
    pub fn records(&self, images: &Images) -> Vec<u32> {
        let range = self.first_image as usize..(self.first_image + self.image_count) as usize;
        let mut records = Vec::with_capacity(range.len() * self.record_words as usize);
        for index in range {
            records.extend(
                images
                    .image(index)
                    .chunks(4)
                    .map(|pixels| pixels.iter().rev().fold(0, |word, &pixel| word << 8 | u32::from(pixel))),
            );
            records.push(u32::from(images.labels[index]));
        }
        records
    }
}

impl Step {
    /// Rows of an evaluation: nothing is learned.
    pub fn evaluation(first_row: usize, row_count: usize) -> Self {
        Self { first_row: first_row as u32, row_count: row_count as u32, ..Self::default() }
    }

    /// The step of a part of the batch that begins at row `first`. Rows past the end repeat the last one, in a part too.
    pub fn part(&self, first: usize) -> Self {
        let first = (first as u32).min(self.row_count - 1);
        Self { first_row: self.first_row + first, row_count: self.row_count - first, ..*self }
    }

    /// The same in epoch `epoch`.
    pub fn in_epoch(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// Rows `first_row ..` of the epoch's order, for Adam's step number `time` (from 1).
    pub fn new(first_row: usize, row_count: usize, adam: &Adam, time: u64) -> Self {
        // Beyond 2³¹ steps both corrections are 1.
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        Self {
            first_row: first_row as u32,
            row_count: row_count as u32,
            learning_rate: adam.learning_rate as f32,
            beta_1: adam.beta_1 as f32,
            beta_2: adam.beta_2 as f32,
            one_minus_beta_1: (1.0 - adam.beta_1) as f32,
            one_minus_beta_2: (1.0 - adam.beta_2) as f32,
            epsilon: adam.epsilon as f32,
            first_correction: (1.0 / (1.0 - adam.beta_1.powi(power))) as f32,
            second_correction: (1.0 / (1.0 - adam.beta_2.powi(power))) as f32,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_structures_are_whole_sixteen_bytes() {
        let others = [size_of::<Shard>(), size_of::<Shuffle>(), size_of::<Pairs>(), size_of::<Reduction>()];
        for size in [size_of::<Layer>(), size_of::<Step>()].into_iter().chain(others) {
            assert_eq!(size % 16, 0);
        }
    }

    #[test]
    fn packing_is_reversible_and_pads_with_zeros() {
        let architecture = Architecture::new(vec![5, 3]).unwrap();
        let layer = Layer::new(&architecture, 0, 2, Views::Replica);
        let parameters = LayerParameters { weight: (1..=15).map(|value| value as f32).collect(), bias: vec![-1.0, -2.0, -3.0] };
        let packed = layer.pack(&parameters);
        assert_eq!(packed.len(), 8 * 4);
        assert_eq!(packed[..4], [1.0, 6.0, 11.0, 0.0]);
        assert_eq!(packed[20..], [-1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(layer.unpack(&packed), parameters);
    }

    #[test]
    fn records_hold_four_pixels_a_word_and_the_label() {
        let images = Images { pixels: (1..=10).collect(), labels: vec![7, 9], height: 1, width: 5 };
        let shard = Shard::new(&images, 1, 1, 4, Views::Replica);
        assert_eq!(shard.records(&images), [0x0908_0706, 0x0000_000a, 9]);
    }

    #[test]
    fn wgsl_text_lists_the_fields_in_order() {
        assert!(Reduction::WGSL.starts_with("struct Reduction {\n    length: u32,\n    first_sum: u32,\n"));
    }
}
