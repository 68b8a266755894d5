//! The dispatches of a run, each made once: of a training step, of an evaluation's, and of the look at the layers.

use super::buffers::Allocator;
use super::context::Context;
use super::kernels::{Variant, covariance_groups, fused_groups, layer_groups, norm_groups, update_groups};
use super::prepared::{Prepared, step_stride, write_steps};
use super::resident::Resident;
use super::tensor::{Parameters as DeviceParameters, Scratch};
use super::tiles::Tiles;
use crate::config::{OutputLoss, Representation, Stage, TrainingConfig};
use crate::error::Result;
use crate::layout::{DIAGNOSIS_SUMS, Layer, Pairs, Reduction, Shapes, Step};
use crate::model::Architecture;
use crate::plan::{Dispatch, Kernel, Part, Plan, Target, diagnosis_step, evaluation_step, input_gradient_target, training_step};

/// What is the same for all of them.
pub struct Builder<'a> {
    /// The device.
    pub context: &'a Context,
    /// The run.
    pub config: &'a TrainingConfig,
    /// Where buffers come from.
    pub allocator: Allocator<'a>,
    /// Shapes of tiles.
    pub tiles: Tiles,
    /// Models.
    pub slots: usize,
    /// What is learned.
    pub parameters: DeviceParameters,
}

/// What a training step touches.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    /// How a step is cut.
    pub plan: Plan,
    /// The layers.
    pub shapes: &'a Shapes,
    /// What dispatches leave for each other.
    pub scratch: &'a Scratch,
    /// The training images.
    pub train: &'a Resident,
    /// The table of steps.
    pub steps: &'a wgpu::Buffer,
    /// Sums of rows.
    pub row_metrics: &'a wgpu::Buffer,
}

impl Builder<'_> {
    /// The dispatches of a training step of a stage.
    pub fn training(&self, training: &Training, stage: Stage) -> Result<Vec<Prepared>> {
        let Training { plan, shapes, scratch, train, steps, row_metrics } = *training;
        let (config, slots, fused) = (self.config, self.slots, plan == Plan::Fused);
        let tables = match plan {
            Plan::Fused => [vec![self.allocator.uniform("layers", bytemuck::cast_slice(&shapes.network))?], vec![], vec![]],
            Plan::Layered => {
                [self.uniforms(&shapes.network)?, self.uniforms(&shapes.projections)?, self.uniforms(&shapes.guides)?]
            }
        };
        let pairs = Pairs::new(config.seed, &shapes.network[0]);
        let pairs = self.allocator.uniform("pairs", bytemuck::bytes_of(&pairs))?;
        let mut prepared = Vec::new();
        for Dispatch { kernel, part, layer: index } in training_step(config, plan, stage).concat() {
            let (layer, uniform) = (shapes.of(part, index), &tables[part as usize][index]);
            let (outputs, deltas) = (scratch.outputs.of(part, index), scratch.deltas.of(part, index));
            let preactivations = scratch.preactivations.of(part, index);
            let weights = self.parameters.weights.of(part, index);
            let kept = config.representation == Representation::PreActivation;
            let compared = if kept { preactivations } else { outputs };
            // What becomes unit rows for a guide, or rows of another length for the next layer.
            let guided = part == Part::Guide;
            let (source, rows) = if guided { shapes.guide_source(index) } else { (part, layer) };
            let mut groups = layer_groups(kernel, layer, &self.tiles, slots);
            let (variant, buffers) = match kernel {
                Kernel::Gather => {
                    prepared.extend(train.gather(self.context, steps, &scratch.inputs)?);
                    continue;
                }
                Kernel::FusedForward => {
                    let tile = self.tiles.fused(&shapes.network, config.replicas);
                    groups = fused_groups(layer.batch_size, tile, config.replicas);
                    let variant = Variant::fused_forward(tile, &shapes.network, config.representation, config.output_loss);
                    (variant, vec![uniform, weights, &train.labels, outputs, preactivations, deltas, row_metrics])
                }
                Kernel::WeightUpdate => {
                    let table = if fused { &shapes.network } else { std::slice::from_ref(layer) };
                    let tile = self.tiles.update(table, slots);
                    groups = update_groups(table, tile, slots);
                    let (first, second) = (self.parameters.first.of(part, index), self.parameters.second.of(part, index));
                    let buffers = vec![uniform, steps, scratch.inputs_of(config, part, index), deltas, weights, first, second];
                    (Variant::weight_update(tile, table.len()), buffers)
                }
                Kernel::Forward => {
                    let buffers = vec![uniform, scratch.inputs_of(config, part, index), weights, outputs, preactivations];
                    (self.forward(layer, kept && part == Part::Network), buffers)
                }
                Kernel::BatchMean => (Variant::plain(kernel), vec![uniform, compared, scratch.means.of(part, index)]),
                Kernel::CosineGradient => {
                    let buffers = vec![uniform, compared, scratch.means.of(part, index), deltas, row_metrics];
                    (Variant::cosine_gradient(&self.tiles, config.representation, config.centre), buffers)
                }
                Kernel::Pairs => (Variant::plain(kernel), vec![&pairs, steps, &train.labels, &scratch.pairs]),
                Kernel::PairGradient => {
                    (Variant::pair_gradient(&self.tiles), vec![uniform, outputs, &scratch.pairs, deltas, row_metrics])
                }
                Kernel::Normalize => {
                    groups = layer_groups(kernel, rows, &self.tiles, slots);
                    let buffers = vec![
                        &tables[source as usize][index],
                        scratch.outputs.of(source, index),
                        scratch.normalized.of(part, index),
                    ];
                    (Variant::normalize(kernel, &self.tiles, guided), buffers)
                }
                Kernel::NormalizeGradient => {
                    groups = layer_groups(kernel, rows, &self.tiles, slots);
                    let buffers = vec![
                        &tables[source as usize][index],
                        scratch.outputs.of(source, index),
                        scratch.gradients.of(part, index),
                        scratch.deltas.of(source, index),
                    ];
                    (Variant::normalize(kernel, &self.tiles, guided), buffers)
                }
                Kernel::ClassPrototypes => {
                    (Variant::plain(kernel), vec![uniform, scratch.normalized.of(part, index), &train.labels, weights])
                }
                Kernel::OutputGradient => {
                    let network = part == Part::Network;
                    let loss = if network { config.output_loss } else { OutputLoss::CrossEntropy };
                    let buffers = vec![uniform, outputs, &train.labels, deltas, row_metrics];
                    (Variant::output_gradient(loss, network, layer.mutual > 0.0), buffers)
                }
                Kernel::InputGradient => {
                    let (target, mask) = input_gradient_target(config, part, index);
                    let target = match target {
                        Target::Deltas(layer) => scratch.deltas.of(Part::Network, layer),
                        Target::Gradients(part, layer) => scratch.gradients.of(part, layer),
                    };
                    // Without a mask the kernel reads nothing there.
                    let stop = mask.map_or(deltas, |layer| scratch.outputs.of(Part::Network, layer));
                    let variant = Variant::input_gradient(self.tiles.input_gradient(layer, slots), mask.is_some());
                    (variant, vec![uniform, deltas, weights, stop, target])
                }
                _ => continue,
            };
            prepared.push(Prepared::new(self.context, &variant, &buffers, groups)?);
        }
        Ok(prepared)
    }

    /// The dispatches of an evaluation's step, the last layer's shape, and the buffer in which they leave its softmax outputs;
    /// `trained` says where the weights stand.
    pub fn evaluation(
        &self,
        architecture: &Architecture,
        trained: &Shapes,
        test: &Resident,
        count: usize,
        batch: usize,
        row_counts: &wgpu::Buffer,
    ) -> Result<(Vec<Prepared>, Layer, wgpu::Buffer)> {
        let mut shapes = Shapes::of_evaluation(architecture, batch);
        for (layer, trained) in shapes.network.iter_mut().zip(&trained.network) {
            layer.weight_offset = trained.weight_offset;
        }
        let uniforms = self.uniforms(&shapes.network)?;
        let plain = self.config.of_evaluation();
        let scratch = Scratch::new(&self.allocator, &shapes, self.slots, 1, None, &plain)?;
        let table: Vec<Step> = (0..count).step_by(batch).map(|first| Step::evaluation(first, batch.min(count - first))).collect();
        let mut bytes = Vec::new();
        write_steps(&table, step_stride(self.context), &mut bytes);
        let steps = self.allocator.uniform("evaluation steps", &bytes)?;
        let mut evaluation = Vec::new();
        for Dispatch { kernel, part, layer: index } in evaluation_step(&plain).concat() {
            let (layer, uniform, outputs) = (shapes.of(part, index), &uniforms[index], scratch.outputs.of(part, index));
            let (variant, buffers) = match kernel {
                Kernel::Gather => {
                    evaluation.extend(test.gather(self.context, &steps, &scratch.inputs)?);
                    continue;
                }
                Kernel::Forward => {
                    let (weights, unused) = (self.parameters.weights.of(part, index), scratch.preactivations.of(part, index));
                    (self.forward(layer, false), vec![uniform, scratch.inputs_of(&plain, part, index), weights, outputs, unused])
                }
                Kernel::Normalize => {
                    let buffers = vec![uniform, outputs, scratch.normalized.of(part, index)];
                    (Variant::normalize(kernel, &self.tiles, false), buffers)
                }
                Kernel::Softmax => (Variant::plain(kernel), vec![uniform, outputs]),
                Kernel::Accuracy => (Variant::plain(kernel), vec![uniform, &steps, outputs, &test.labels, row_counts]),
                _ => continue,
            };
            let groups = layer_groups(kernel, layer, &self.tiles, self.slots);
            evaluation.push(Prepared::new(self.context, &variant, &buffers, groups)?);
        }
        let last = shapes.network.len() - 1;
        Ok((evaluation, shapes.network[last], scratch.outputs.of(Part::Network, last).clone()))
    }

    /// The dispatches of the look at the layers, on the images of `sample`, and the reductions that bring its sums to
    /// `sums[first ..]`: of the sample's rows `[slot][layers + 1]`, then `[hidden layer][slot]` and `[layer][slot]` of
    /// [`DIAGNOSIS_SUMS`] each. The rows' sums must be zeroed before; the buffer is returned.
    pub fn diagnosis(
        &self,
        architecture: &Architecture,
        trained: &Shapes,
        sample: &Resident,
        count: usize,
        sums: &wgpu::Buffer,
        mut first: usize,
    ) -> Result<(wgpu::Buffer, Vec<Prepared>)> {
        let mut shapes = Shapes::of_evaluation(architecture, count);
        for (layer, trained) in shapes.network.iter_mut().zip(&trained.network) {
            layer.weight_offset = trained.weight_offset;
        }
        let (uniforms, config) = (self.uniforms(&shapes.network)?, self.config.of_diagnosis());
        let scratch = Scratch::new(&self.allocator, &shapes, self.slots, 1, None, &config)?;
        let mut bytes = Vec::new();
        write_steps(&[Step::evaluation(0, count)], step_stride(self.context), &mut bytes);
        let steps = self.allocator.uniform("sample", &bytes)?;
        let row_metrics = self.allocator.storage("sample's row metrics", self.slots * shapes.network[0].metrics_len())?;
        let (mut dispatches, mut reductions) = (Vec::new(), Vec::new());
        let rows = self.slots * (shapes.network.len() + 1);
        reductions.push(self.reduction(&row_metrics, count, rows, sums, first)?);
        first += rows;
        for Dispatch { kernel, part, layer: index } in diagnosis_step(&config).concat() {
            let (layer, uniform, outputs) = (shapes.of(part, index), &uniforms[index], scratch.outputs.of(part, index));
            let (weights, means) = (self.parameters.weights.of(part, index), scratch.means.of(part, index));
            let mut groups = layer_groups(kernel, layer, &self.tiles, self.slots);
            let (variant, buffers) = match kernel {
                Kernel::Gather => {
                    dispatches.extend(sample.gather(self.context, &steps, &scratch.inputs)?);
                    continue;
                }
                Kernel::Forward => {
                    let unused = scratch.preactivations.of(part, index);
                    let inputs = scratch.inputs_of(&config, part, index);
                    (self.forward(layer, false), vec![uniform, inputs, weights, outputs, unused])
                }
                Kernel::Normalize => {
                    let buffers = vec![uniform, outputs, scratch.normalized.of(part, index)];
                    (Variant::normalize(kernel, &self.tiles, false), buffers)
                }
                Kernel::BatchMean => (Variant::plain(kernel), vec![uniform, outputs, means]),
                Kernel::CosineGradient => {
                    let buffers = vec![uniform, outputs, means, scratch.deltas.of(part, index), &row_metrics];
                    (Variant::cosine_gradient(&self.tiles, Representation::Activation, false), buffers)
                }
                Kernel::Covariance | Kernel::WeightNorms => {
                    let covariance = kernel == Kernel::Covariance;
                    groups = if covariance { covariance_groups(layer, self.slots) } else { norm_groups(layer, self.slots) };
                    let tiles = if covariance { groups[0] * groups[1] } else { groups[0] };
                    let count = self.slots * DIAGNOSIS_SUMS;
                    let parts = self.allocator.storage("parts of sums", count * tiles as usize)?;
                    reductions.push(self.reduction(&parts, tiles as usize, count, sums, first)?);
                    first += count;
                    let before = self.parameters.before.of(part, index);
                    let buffers = if covariance { [uniform, outputs, means, &parts] } else { [uniform, weights, before, &parts] };
                    dispatches.push(Prepared::new(self.context, &Variant::plain(kernel), &buffers, groups)?);
                    continue;
                }
                _ => continue,
            };
            dispatches.push(Prepared::new(self.context, &variant, &buffers, groups)?);
        }
        dispatches.extend(reductions);
        Ok((row_metrics, dispatches))
    }

    fn uniforms(&self, layers: &[Layer]) -> Result<Vec<wgpu::Buffer>> {
        layers.iter().map(|layer| self.allocator.uniform("layer", bytemuck::bytes_of(layer))).collect()
    }

    fn forward(&self, layer: &Layer, keep: bool) -> Variant {
        Variant::forward(self.tiles.forward(layer, self.slots), keep && layer.rectified > 0)
    }

    /// Sums `count` rows of `length` into `sums[first ..]`.
    pub fn reduction(
        &self,
        values: &wgpu::Buffer,
        length: usize,
        count: usize,
        sums: &wgpu::Buffer,
        first: usize,
    ) -> Result<Prepared> {
        let shape = Reduction { length: length as u32, first_sum: first as u32, ..Reduction::default() };
        let uniform = self.allocator.uniform("reduction", bytemuck::bytes_of(&shape))?;
        Prepared::new(self.context, &Variant::plain(Kernel::Reduction), &[&uniform, values, sums], [count as u32, 1, 1])
    }
}
