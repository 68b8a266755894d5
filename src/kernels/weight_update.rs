//! weight_update: the local weight gradient and one step of Adam, of one layer or of all.

use super::case::{BATCHES, Contents, SIZES, SLOTS, Take};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::matmul::Matrix;
use crate::arithmetic::{Arithmetic, Real};
use crate::config::Adam;
use crate::error::Result;
use crate::layout::{Linear, Places, Step, Trained, Views};
use crate::random::Generator;

/// Bytes of gradients that are formed together: few enough that they are still near when Adam takes them up, and many enough that the
/// product, which lays out the deltas anew for each block, is not held up by that.
const BLOCK_BYTES: usize = 1 << 20;

/// Inputs whose gradients are formed together.
fn block_rows(layer: &Linear) -> usize {
    (BLOCK_BYTES / (4 * layer.output_stride())).clamp(1, layer.weight_rows())
}

/// One layer's part of an update.
#[derive(Clone, Copy, Debug)]
pub struct LayerUpdate {
    /// Its shape.
    pub layer: Linear,
    /// Where its tensors begin, if the layers share buffers.
    pub places: Places,
    /// What of it learns.
    pub trained: Trained,
    /// `[view or slot, batch, quads(inputs)]`.
    pub inputs: Tensor,
    /// `[slot, batch, quads(outputs)]`.
    pub deltas: Tensor,
    /// `[slot, 4 · quads(inputs) + 1, quads(outputs)]`.
    pub weights: Tensor,
    /// The same shape.
    pub first_moments: Tensor,
    /// The same shape.
    pub second_moments: Tensor,
}

/// Moves the weights of one layer, or of several that share buffers.
///
/// In bounds: the grid holds the tiles of all layers, so that each workgroup finds its layer; rows and quads are clamped to the layer before
/// a load and compared with it before a store; places come from the same list as the buffers' lengths.
#[derive(Clone, Debug)]
pub struct WeightUpdate {
    /// The layers.
    pub layers: Vec<LayerUpdate>,
}

impl WeightUpdate {
    /// Invocations of a workgroup and bytes of its memory, where loads go by way of it: in each step a quad of inputs and one of deltas.
    pub fn workgroup(&self, launch: Launch) -> Option<(u32, u32)> {
        launch.tiles.update(&self.shapes(), launch.slots).workgroup(1, 1)
    }

    /// Floating-point operations of a slot's gradients.
    pub fn flops(&self) -> f64 {
        self.layers.iter().map(|update| update.layer.flops()).sum()
    }

    fn shapes(&self) -> Vec<Linear> {
        self.layers.iter().map(|update| update.layer).collect()
    }
}

impl Describe for WeightUpdate {
    fn operands(&self) -> Vec<Operand> {
        let bind = |operand: Operand| if self.layers.len() > 1 { operand.packed() } else { operand };
        let Some(first) = self.layers.first() else { return Vec::new() };
        let reads = [first.inputs, first.deltas].map(Operand::read);
        let writes = [first.weights, first.first_moments, first.second_moments].map(Operand::write);
        reads.into_iter().chain(writes).map(bind).collect()
    }

    fn parameters(&self) -> Vec<u8> {
        let bytes = |update: &LayerUpdate| {
            [bytemuck::bytes_of(&update.layer), bytemuck::bytes_of(&update.places), bytemuck::bytes_of(&update.trained)].concat()
        };
        self.layers.iter().flat_map(bytes).collect()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, launch: Launch) -> Variant {
        let tile = launch.tiles.update(&self.shapes(), launch.slots);
        tile.constants(Kernel::WeightUpdate, "TILE_INPUTS").size("LAYERS", self.layers.len() as u32)
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        let shapes = self.shapes();
        let tile = launch.tiles.update(&shapes, launch.slots);
        // One quad of inputs more, whose first row is the bias.
        let tiles = shapes.iter().map(|layer| tile.groups(layer.input_quads + 1, layer.output_quads, launch.slots));
        [tiles.map(|[across, down, _]| across * down).sum(), 1, launch.slots as u32]
    }

    fn is_independent_of_tiles(&self) -> bool {
        true
    }
}

impl WeightUpdate {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let slot = memory.slot();
        for update in self.layers.iter().filter(|update| update.trained.moves(slot)) {
            let state = [update.weights, update.first_moments, update.second_moments];
            let mut values = state.map(|tensor| memory.take(tensor));
            let mut scratch = memory.take_scratch(scratch_len(&update.layer));
            let [weights, first, second] = &mut values;
            let learned = Learned { weights, first_moments: first, second_moments: second };
            let (inputs, deltas) = (memory.own(update.inputs), memory.own(update.deltas));
            weight_update::<A>(&update.layer, update.trained, memory.step(), inputs, deltas, learned, &mut scratch);
            memory.put_scratch(scratch);
            state.into_iter().zip(values).for_each(|(tensor, values)| memory.put(tensor, Data::Numbers(values)));
        }
    }
}

/// What an update changes, of one slot and layer; each `[4 · quads(inputs) + 1, quads(outputs)]`.
pub struct Learned<'a, S> {
    /// The weights.
    pub weights: &'a mut [S],
    /// Adam's first moments.
    pub first_moments: &'a mut [S],
    /// Adam's second moments.
    pub second_moments: &'a mut [S],
}

/// f32 of scratch that [`weight_update`] needs for a layer.
pub fn scratch_len(layer: &Linear) -> usize {
    block_rows(layer) * layer.output_stride()
}

/// One slot; shapes as in [`LayerUpdate`], without the slot axis. `gradients` ([`scratch_len`]) is scratch: the kernel keeps them in
/// registers.
pub fn weight_update<A: Arithmetic>(
    layer: &Linear,
    trained: Trained,
    step: &Step,
    inputs: &[f32],
    deltas: &[f32],
    learned: Learned<A::Stored>,
    gradients: &mut [A::Stored],
) {
    let (rows, stride) = (layer.input_width as usize, layer.output_stride());
    let right = Matrix { values: deltas, stride, transposed: false };
    let mut update = |range: std::ops::Range<usize>, gradients: &[A::Stored]| {
        let weights = learned.weights[range.clone()].iter_mut();
        let moments = learned.first_moments[range.clone()].iter_mut().zip(&mut learned.second_moments[range]);
        A::run(
            #[inline(always)]
            || {
                for ((weight, (first, second)), gradient) in weights.zip(moments).zip(gradients) {
                    adam::<A>(step, trained.rate, *gradient, weight, first, second);
                }
            },
        );
    };
    let block = block_rows(layer);
    for first_row in (0..rows).step_by(block) {
        let left = Matrix { values: &inputs[first_row..], stride: layer.input_stride(), transposed: true };
        let range = first_row * stride..(first_row + block).min(rows) * stride;
        let gradients = &mut gradients[..range.len()];
        A::multiply(layer.rows as usize, left, right, stride, gradients);
        update(range, gradients);
    }
    if trained.bias > 0 {
        let gradients = &mut gradients[..stride];
        // The constant 1 that the bias is multiplied with, for each row of the batch.
        let ones = Matrix { values: &[1.0], stride: 0, transposed: true };
        A::multiply(layer.rows as usize, ones, right, stride, gradients);
        update(layer.bias_start()..layer.weight_len(), gradients);
    }
}

/// One step of Adam on one parameter.
#[inline(always)]
fn adam<A: Arithmetic>(
    step: &Step,
    rate: f32,
    gradient: A::Stored,
    weight: &mut A::Stored,
    first: &mut A::Stored,
    second: &mut A::Stored,
) {
    let (lift, gradient) = (A::Number::lift, A::load(gradient));
    let mean = (lift(step.beta_1) * A::load(*first) + lift(step.one_minus_beta_1) * gradient).flushed();
    let square = (lift(step.beta_2) * A::load(*second) + lift(step.one_minus_beta_2) * gradient * gradient).flushed();
    let numerator = mean * lift(step.first_correction);
    let denominator = (square * lift(step.second_correction)).sqrt() + lift(step.epsilon);
    *weight = A::store(A::load(*weight) - lift(step.learning_rate) * lift(rate) * numerator / denominator);
    *first = A::store(mean);
    *second = A::store(square);
}

pub(super) fn cases(take: &mut Take) -> Result<()> {
    let mut number = 0;
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            // Projections have no bias, heads learn at a rate of their own, and a frozen partner does not move.
            let settings = [
                (Views::Replica, Trained::ALL, 1),
                (Views::Slot, Trained { bias: 0, frozen: 0b10, rate: 3.0, ..Trained::ALL }, 1000),
            ];
            for (views, trained, time) in settings {
                let layer = Linear { view_shift: views.shift(), ..Linear::new(inputs, outputs, batch_size) };
                let mut contents = Contents::new(number);
                let state = |generator: &mut Generator, scale: f32, positive: bool| {
                    let mut values = vec![0.0; SLOTS * layer.weight_len()];
                    for slot in values.chunks_exact_mut(layer.weight_len()) {
                        for (row, values) in slot.chunks_exact_mut(layer.output_stride()).enumerate() {
                            if row < inputs || row + 1 == layer.weight_rows() {
                                values[..outputs].fill_with(|| {
                                    let number = generator.normal() * scale;
                                    // The step divides by the root of the second moment, which training keeps positive.
                                    if positive { number * number + 0.01 * scale } else { number }
                                });
                            }
                        }
                    }
                    values
                };
                let generator = &mut contents.generator;
                let [weights, first, second] =
                    [(0.1, false), (0.1, false), (1.0, true)].map(|(scale, positive)| state(generator, scale, positive));
                let update = LayerUpdate {
                    layer,
                    places: Places::default(),
                    trained,
                    inputs: contents.rows(Level::View(views), batch_size, inputs),
                    deltas: contents.rows(Level::Slot, batch_size, outputs),
                    weights: contents.numbers(Level::Slot, weights),
                    first_moments: contents.numbers(Level::Slot, first),
                    second_moments: contents.numbers(Level::Slot, second),
                };
                // A learning rate that shows in the weight's digits.
                let step = Step::new(0, batch_size, &Adam { learning_rate: 0.05, ..Adam::default() }, time);
                let name = format!("{inputs}x{outputs} batch {batch_size} step {time}");
                take(contents.case(name, step, WeightUpdate { layers: vec![update] }))?;
                number += 1;
            }
        }
    }
    Ok(())
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Single;
    use crate::config::Adam;

    /// With a constant gradient g both corrected moments equal g and g² at every step, so each step moves by
    /// lr·g/(|g| + ε): the closed form of Adam's first property.
    #[test]
    fn constant_gradient_moves_by_the_learning_rate() {
        let settings = Adam::default();
        for (gradient, rate) in [(0.5f32, 1.0f32), (-3.0, 1.0), (-3.0, 8.0)] {
            let (mut weight, mut first, mut second) = (1.0f32, 0.0, 0.0);
            for time in 1..=1000 {
                adam::<Single>(&Step::new(0, 1, &settings, time), rate, gradient, &mut weight, &mut first, &mut second);
            }
            let expected = 1.0 - 1000.0 * 1e-4 * f64::from(rate * gradient.signum());
            // A thousand roundings of a weight near 1 (2⁻²⁴ each), and a few 2⁻²⁴ of a step, each time.
            assert!((f64::from(weight) - expected).abs() < 1000.0 * 2f64.powi(-24) * 1.1, "{weight} {expected}");
        }
    }

    #[test]
    fn zero_gradient_moves_nothing() {
        let (mut weight, mut first, mut second) = (0.25, 0.0, 0.0);
        adam::<Single>(&Step::new(0, 1, &Adam::default(), 1), 1.0, 0.0, &mut weight, &mut first, &mut second);
        assert_eq!((weight, first, second), (0.25, 0.0, 0.0));
    }

    /// Moments of a gradient that has stopped decay to 0, without a stay among the subnormal numbers.
    #[test]
    fn moments_do_not_become_subnormal() {
        let (mut weight, mut first, mut second) = (0.25f32, 1e-3f32, 1e-12f32);
        for time in 1..=100_000 {
            adam::<Single>(&Step::new(0, 1, &Adam::default(), time), 1.0, 0.0, &mut weight, &mut first, &mut second);
            assert!([first, second].iter().all(|moment| *moment == 0.0 || moment.is_normal()), "{time}: {first:e} {second:e}");
        }
        assert_eq!((first, second), (0.0, 0.0));
    }
}
