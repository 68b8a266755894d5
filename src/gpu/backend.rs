//! The GPU backend: everything is allocated, compiled and bound once; a training step is a walk over prepared dispatches.

use super::buffers::Allocator;
use super::choice::choose_plan;
use super::context::Context;
use super::kernels::{Variant, fused_groups, layer_groups, metric_count, shuffle_groups, update_groups};
use super::prepared::{Prepared, step_stride, write_steps};
use super::resident::{Resident, largest_buffer};
use super::tensor::{Parameters as DeviceParameters, Scratch};
use super::tiles::Tiles;
use crate::config::{OutputLoss, Representation, Stage, TrainingConfig};
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, evaluation_batch_size};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Joined, Layer, Pairs, Reduction, Shapes, Shuffle, Step, Views};
use crate::model::{Architecture, LayerParameters, Parameters};
use crate::plan::{Dispatch, Kernel, Part, Plan, Target, evaluation_step, input_gradient_target, training_step};
use std::collections::VecDeque;

/// Arithmetic of one submission. At 100 GFLOP/s, a slow integrated GPU, it lasts 0.2 s: far below the two seconds after which
/// some systems kill a submission, and long enough to hide the cost of submitting.
const FLOPS_PER_SUBMIT: f64 = 2e10;
/// More steps than this gain nothing.
const MAX_STEPS_PER_SUBMIT: usize = 256;
/// Steps whose numbers are uploaded together: an epoch of the paper's needs one upload, of 256 KiB.
const STEPS_PER_UPLOAD: usize = 1024;
/// Submissions that may be unfinished while the host records another: the device works on one, the next waits for it.
const SUBMITS_IN_FLIGHT: usize = 2;

/// How to run on a GPU.
#[derive(Clone, Copy, Debug)]
pub struct GpuOptions {
    /// Shapes of tiles.
    pub tiles: Tiles,
    /// How a step is cut into dispatches; `None` leaves it to the engine.
    pub plan: Option<Plan>,
}

impl GpuOptions {
    /// What suits a device.
    pub fn for_device(context: &Context) -> Self {
        Self { tiles: Tiles::for_device(&context.description, context.subgroup_size), plan: None }
    }
}

/// Both models of every replica in device memory.
pub struct GpuBackend {
    pub(super) context: Context,
    config: TrainingConfig,
    plan: Plan,
    shapes: Shapes,
    parameters: DeviceParameters,
    row_metrics: wgpu::Buffer,
    row_counts: wgpu::Buffer,
    sums: wgpu::Buffer,
    staging: wgpu::Buffer,
    shuffle: Prepared,
    shuffle_uniform: wgpu::Buffer,
    /// The dispatches of a step of each stage, and the stage that runs.
    stages: Vec<Vec<Prepared>>,
    stage: usize,
    evaluation: Vec<Prepared>,
    reductions: [Prepared; 2],
    steps: wgpu::Buffer,
    evaluation_batches: usize,
    train_images: usize,
    step_bytes: Vec<u8>,
    steps_per_submit: usize,
    batches_per_submit: usize,
    memory: u64,
}

/// What is the same for training and evaluation.
struct Builder<'a> {
    context: &'a Context,
    config: &'a TrainingConfig,
    allocator: Allocator<'a>,
    tiles: Tiles,
    slots: usize,
    parameters: DeviceParameters,
}

/// What a training step touches.
#[derive(Clone, Copy)]
struct Training<'a> {
    plan: Plan,
    shapes: &'a Shapes,
    scratch: &'a Scratch,
    train: &'a Resident,
    steps: &'a wgpu::Buffer,
    row_metrics: &'a wgpu::Buffer,
}

impl GpuBackend {
    /// Allocates, compiles and binds everything that a run needs.
    pub fn new(job: Job, context: Context, options: GpuOptions) -> Result<Self> {
        job.check()?;
        let (config, tiles) = (job.config, options.tiles);
        let architecture = config.architecture()?;
        let (slots, depth) = (2 * config.replicas, architecture.layer_count());
        let allocator = Allocator::new(&context);

        let views = Views::of_training(config);
        let separate = Shapes::new(config, &architecture, config.batch_size, views);
        let mut shapes = separate.clone();
        let joined = Joined::place(&mut shapes.network, slots);
        let tile = tiles.fused(&shapes.network, config.replicas);
        let plan = choose_plan(options.plan, &context, config, &shapes.network, joined, tile)?;
        let joined = if plan == Plan::Fused {
            Some(joined)
        } else {
            shapes = separate;
            None
        };
        let parameters = DeviceParameters::new(&allocator, &shapes, slots, joined)?;
        let scratch = Scratch::new(&allocator, &shapes, slots, views.count(slots), joined, config)?;
        let row_metrics = allocator.storage("row metrics", slots * shapes.network[0].metrics_len())?;
        let table = job.dataset.pixel_table(config.standardize);
        let train = Resident::new(&allocator, &job.dataset.train, &table, config.batch_size, views, config)?;
        let stride = step_stride(&context);
        let steps = allocator.uniform("steps", &vec![0; STEPS_PER_UPLOAD * stride])?;

        let builder = Builder { context: &context, config, allocator, tiles, slots, parameters };
        let step = Training { plan, shapes: &shapes, scratch: &scratch, train: &train, steps: &steps, row_metrics: &row_metrics };
        let stages = config.stages().iter().map(|&stage| builder.training(&step, stage)).collect::<Result<_>>()?;

        let test_count = job.dataset.test.count();
        let batch = evaluation_batch_size(config, test_count, largest_buffer(&context));
        let row_counts = builder.allocator.storage("row counts", config.replicas * EVALUATION_METRICS * batch)?;
        let test = Resident::new(&builder.allocator, &job.dataset.test, &table, batch, Views::Run, config)?;
        let evaluation = builder.evaluation(&architecture, &shapes, &test, test_count, batch, &row_counts)?;

        let shuffle = Shuffle::new(config.seed, 0, job.dataset.train.count(), config.replicas, config.shuffle);
        let shuffle_uniform = builder.allocator.uniform("shuffle", bytemuck::bytes_of(&shuffle))?;
        let variant = Variant::plain(Kernel::Shuffle);
        let shuffle = Prepared::new(&context, &variant, &[&shuffle_uniform, &train.orders], shuffle_groups(&shuffle))?;
        let sum_count = metric_count(slots, depth);
        let sums = builder.allocator.storage("metrics", sum_count)?;
        let staging = builder.allocator.staging("metrics read-back", 4 * sum_count as u64)?;
        let training_sums = slots * (depth + 1);
        let reductions = [
            builder.reduction(&row_metrics, config.batch_size, training_sums, &sums, 0)?,
            builder.reduction(&row_counts, batch, sum_count - training_sums, &sums, training_sums)?,
        ];

        let flops = architecture.training_flops_per_image() * config.replicas as f64;
        let per_submit = |rows: usize| ((FLOPS_PER_SUBMIT / (flops * rows as f64)) as usize).clamp(1, MAX_STEPS_PER_SUBMIT);
        let memory = builder.allocator.bytes();
        let parameters = builder.parameters;
        context.check("preparing the run")?;
        Ok(Self {
            config: config.clone(),
            plan,
            shapes,
            parameters,
            row_metrics,
            row_counts,
            sums,
            staging,
            shuffle,
            shuffle_uniform,
            stages,
            stage: 0,
            evaluation,
            reductions,
            steps,
            evaluation_batches: test_count.div_ceil(batch),
            train_images: job.dataset.train.count(),
            step_bytes: Vec::with_capacity(STEPS_PER_UPLOAD * stride),
            steps_per_submit: per_submit(config.batch_size),
            batches_per_submit: per_submit(batch),
            memory,
            context,
        })
    }

    /// How a step is cut into dispatches.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// The device, and what has been made on it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The dispatches of a step of the stage that runs.
    pub(super) fn training(&self) -> &[Prepared] {
        &self.stages[self.stage]
    }

    /// Records `work` and submits it.
    pub(super) fn submit(&self, work: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::SubmissionIndex {
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        work(&mut encoder);
        self.context.queue.submit([encoder.finish()])
    }

    /// The weights of one part, `[slot][layer]`.
    fn read_weights(&self, part: Part) -> Result<Vec<Vec<LayerParameters>>> {
        let mut slots = vec![Vec::new(); 2 * self.config.replicas];
        let allocator = Allocator::new(&self.context);
        for (index, layer) in self.shapes.all(part).iter().enumerate() {
            let size = 4 * (slots.len() * layer.weight_len()) as u64;
            let staging = allocator.staging("parameters read-back", size)?;
            let (weights, offset) = (self.parameters.weights.of(part, index), 16 * u64::from(layer.weight_offset));
            self.submit(|encoder| encoder.copy_buffer_to_buffer(weights, offset, &staging, 0, size));
            let content = self.context.read(&staging, "reading the parameters")?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&content);
            for (slot, packed) in slots.iter_mut().zip(values.chunks_exact(layer.weight_len())) {
                slot.push(layer.unpack(packed));
            }
        }
        Ok(slots)
    }

    /// Uploads steps for the submissions that follow. It takes effect between the submissions before and after: the table is never
    /// changed under a running step.
    pub(super) fn upload(&mut self, steps: &[Step]) -> Result<()> {
        Job::check_steps(&self.config, self.train_images, steps)?;
        write_steps(steps, step_stride(&self.context), &mut self.step_bytes);
        self.context.queue.write_buffer(&self.steps, 0, &self.step_bytes);
        Ok(())
    }
}

impl Builder<'_> {
    /// The dispatches of a training step of a stage.
    fn training(&self, training: &Training, stage: Stage) -> Result<Vec<Prepared>> {
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
                    (Variant::output_gradient(loss, network), buffers)
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
                Kernel::Shuffle | Kernel::Softmax | Kernel::Accuracy | Kernel::Reduction => continue,
            };
            prepared.push(Prepared::new(self.context, &variant, &buffers, groups)?);
        }
        Ok(prepared)
    }

    /// The dispatches of an evaluation's step; `trained` says where the weights stand.
    fn evaluation(
        &self,
        architecture: &Architecture,
        trained: &Shapes,
        test: &Resident,
        count: usize,
        batch: usize,
        row_counts: &wgpu::Buffer,
    ) -> Result<Vec<Prepared>> {
        let mut shapes = Shapes::of_evaluation(architecture, batch);
        for (layer, trained) in shapes.network.iter_mut().zip(&trained.network) {
            layer.weight_offset = trained.weight_offset;
        }
        let uniforms = self.uniforms(&shapes.network)?;
        let plain = TrainingConfig { representation: Representation::Activation, centre: false, ..self.config.clone() };
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
        Ok(evaluation)
    }

    fn uniforms(&self, layers: &[Layer]) -> Result<Vec<wgpu::Buffer>> {
        layers.iter().map(|layer| self.allocator.uniform("layer", bytemuck::bytes_of(layer))).collect()
    }

    fn forward(&self, layer: &Layer, keep: bool) -> Variant {
        Variant::forward(self.tiles.forward(layer, self.slots), keep && layer.rectified > 0)
    }

    /// Sums `count` rows of `length` into `sums[first ..]`.
    fn reduction(
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

impl Backend for GpuBackend {
    fn device(&self) -> &DeviceDescription {
        &self.context.description
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn dispatches_per_step(&self) -> Option<usize> {
        Some(self.training().len())
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        for (part, slots) in [(Part::Network, &parameters.slots), (Part::Projection, &parameters.projections)] {
            for (index, layer) in self.shapes.all(part).iter().enumerate() {
                for (slot, layers) in slots.iter().enumerate() {
                    let packed = layer.pack(&layers[index]);
                    let offset = 16 * u64::from(layer.weight_offset) + 4 * (slot * layer.weight_len()) as u64;
                    let weights = self.parameters.weights.of(part, index);
                    self.context.queue.write_buffer(weights, offset, bytemuck::cast_slice(&packed));
                }
            }
        }
        self.submit(|_| ());
        self.context.check("uploading the parameters")
    }

    fn parameters(&mut self) -> Result<Parameters> {
        Ok(Parameters { slots: self.read_weights(Part::Network)?, projections: self.read_weights(Part::Projection)? })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let config = &self.config;
        let shuffle = Shuffle::new(config.seed, epoch, self.train_images, config.replicas, config.shuffle);
        self.context.queue.write_buffer(&self.shuffle_uniform, 0, bytemuck::bytes_of(&shuffle));
        let stage = config.stage_of(epoch).0;
        let changed = std::mem::replace(&mut self.stage, stage) != stage;
        self.submit(|encoder| {
            encoder.clear_buffer(&self.row_metrics, 0, None);
            if changed {
                let moments = self.parameters.first.buffers().chain(self.parameters.second.buffers());
                moments.for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
            }
            self.shuffle.record(&mut encoder.begin_compute_pass(&Default::default()), 0);
        });
        self.context.check("shuffling")
    }

    fn train(&mut self, steps: &[Step], progress: &mut dyn FnMut(usize)) -> Result<()> {
        let stride = step_stride(&self.context);
        let mut in_flight = VecDeque::with_capacity(SUBMITS_IN_FLIGHT + 1);
        for uploaded in steps.chunks(STEPS_PER_UPLOAD) {
            self.upload(uploaded)?;
            let rows: Vec<usize> = (0..uploaded.len()).collect();
            for chunk in rows.chunks(self.steps_per_submit) {
                let submission = self.submit(|encoder| {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    for row in chunk {
                        self.training().iter().for_each(|prepared| prepared.record(&mut pass, (row * stride) as u32));
                    }
                });
                in_flight.push_back((submission, chunk.len()));
                if in_flight.len() > SUBMITS_IN_FLIGHT
                    && let Some((submission, count)) = in_flight.pop_front()
                {
                    self.context.wait(submission, "training")?;
                    progress(count);
                }
            }
        }
        progress(in_flight.into_iter().map(|(_, count)| count).sum());
        self.context.check("training")
    }

    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        let stride = step_stride(&self.context);
        self.submit(|encoder| encoder.clear_buffer(&self.row_counts, 0, None));
        let batches: Vec<usize> = (0..self.evaluation_batches).collect();
        for chunk in batches.chunks(self.batches_per_submit) {
            self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for batch in chunk {
                    self.evaluation.iter().for_each(|prepared| prepared.record(&mut pass, (batch * stride) as u32));
                }
            });
        }
        self.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.reductions.iter().for_each(|prepared| prepared.record(&mut pass, 0));
            drop(pass);
            encoder.copy_buffer_to_buffer(&self.sums, 0, &self.staging, 0, self.staging.size());
        });
        let content = self.context.read(&self.staging, "reading the epoch's metrics")?;
        let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&content);
        let (slots, layers) = (2 * self.config.replicas, self.shapes.network.len());
        Ok(EpochMetrics::from_sums(&sums[..metric_count(slots, layers)], slots, layers))
    }
}
