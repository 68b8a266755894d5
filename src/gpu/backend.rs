//! The GPU backend: everything is allocated, compiled and bound once; a training step is a walk over prepared dispatches.

use super::buffers::Allocator;
use super::choice::choose_plan;
use super::context::Context;
use super::kernels::{Variant, fused_groups, layer_groups, metric_count, shuffle_groups, update_groups};
use super::prepared::{Prepared, step_stride, write_steps};
use super::resident::{Resident, largest_buffer};
use super::tensor::{Parameters as DeviceParameters, Scratch};
use super::tiles::Tiles;
use crate::config::{Representation, TrainingConfig};
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, evaluation_batch_size};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Joined, Layer, Reduction, Shuffle, Step};
use crate::model::{Architecture, Parameters};
use crate::plan::{Dispatch, Kernel, Plan, evaluation_step, training_step};
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
    layers: Vec<Layer>,
    parameters: DeviceParameters,
    row_metrics: wgpu::Buffer,
    row_counts: wgpu::Buffer,
    sums: wgpu::Buffer,
    staging: wgpu::Buffer,
    shuffle: Prepared,
    shuffle_uniform: wgpu::Buffer,
    pub(super) training: Vec<Prepared>,
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

impl GpuBackend {
    /// Allocates, compiles and binds everything that a run needs.
    pub fn new(job: Job, context: Context, options: GpuOptions) -> Result<Self> {
        job.check()?;
        let (config, tiles) = (job.config, options.tiles);
        let architecture = config.architecture()?;
        let (slots, depth) = (2 * config.replicas, architecture.layer_count());
        let allocator = Allocator::new(&context);

        let mut layers = Layer::all(&architecture, config.batch_size, false);
        let joined = Joined::place(&mut layers, slots);
        let plan = choose_plan(options.plan, &context, config, &layers, joined, tiles.fused(&layers, config.replicas))?;
        let joined = if plan == Plan::Fused {
            Some(joined)
        } else {
            layers = Layer::all(&architecture, config.batch_size, false);
            None
        };
        let parameters = DeviceParameters::new(&allocator, &layers, slots, joined)?;
        let scratch = Scratch::new(&allocator, &layers, slots, config.replicas, joined, config)?;
        let row_metrics = allocator.storage("row metrics", slots * layers[0].metrics_len())?;
        let table = job.dataset.pixel_table(config.standardize);
        let train = Resident::new(&allocator, &job.dataset.train, &table, config.batch_size, Some(config.replicas))?;
        let stride = step_stride(&context);
        let steps = allocator.uniform("steps", &vec![0; STEPS_PER_UPLOAD * stride])?;

        let builder = Builder { context: &context, config, allocator, tiles, slots, parameters };
        let training = builder.training(&architecture, plan, &layers, &scratch, &train, &steps, &row_metrics)?;

        let test_count = job.dataset.test.count();
        let batch = evaluation_batch_size(config, test_count, largest_buffer(&context));
        let row_counts = builder.allocator.storage("row counts", config.replicas * EVALUATION_METRICS * batch)?;
        let test = Resident::new(&builder.allocator, &job.dataset.test, &table, batch, None)?;
        let evaluation = builder.evaluation(&architecture, &layers, &test, test_count, batch, &row_counts)?;

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
            layers,
            parameters,
            row_metrics,
            row_counts,
            sums,
            staging,
            shuffle,
            shuffle_uniform,
            training,
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

    /// Records `work` and submits it.
    pub(super) fn submit(&self, work: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::SubmissionIndex {
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        work(&mut encoder);
        self.context.queue.submit([encoder.finish()])
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
    /// The dispatches of a training step.
    #[expect(clippy::too_many_arguments, reason = "all that a step touches")]
    fn training(
        &self,
        architecture: &Architecture,
        plan: Plan,
        layers: &[Layer],
        scratch: &Scratch,
        train: &Resident,
        steps: &wgpu::Buffer,
        row_metrics: &wgpu::Buffer,
    ) -> Result<Vec<Prepared>> {
        let (config, slots) = (self.config, self.slots);
        let tables = match plan {
            Plan::Fused => vec![self.allocator.uniform("layers", bytemuck::cast_slice(layers))?],
            Plan::Layered => self.uniforms(layers)?,
        };
        let mut training = Vec::new();
        for Dispatch { kernel, layer: index } in training_step(architecture, plan, config.centre).concat() {
            let (layer, uniform) = (&layers[index], &tables[index]);
            let (activations, deltas) = (scratch.activations.of(index), scratch.deltas.of(index));
            let preactivations = scratch.preactivations.of(index);
            let weights = self.parameters.weights.of(index);
            let (variant, buffers, groups) = match kernel {
                Kernel::Gather => {
                    training.extend(train.gather(self.context, steps, &scratch.inputs)?);
                    continue;
                }
                Kernel::FusedForward => {
                    let tile = self.tiles.fused(layers, config.replicas);
                    let variant = Variant::fused_forward(tile, layers, config.representation, config.output_loss);
                    let buffers = vec![uniform, weights, &train.labels, activations, preactivations, deltas, row_metrics];
                    (variant, buffers, fused_groups(layer.batch_size, tile, config.replicas))
                }
                Kernel::WeightUpdate => {
                    let table = if plan == Plan::Fused { layers } else { std::slice::from_ref(layer) };
                    let tile = self.tiles.update(table, slots);
                    let (first, second) = (self.parameters.first.of(index), self.parameters.second.of(index));
                    let buffers = vec![uniform, steps, scratch.inputs_of(index), deltas, weights, first, second];
                    (Variant::weight_update(tile, table.len()), buffers, update_groups(table, tile, slots))
                }
                Kernel::Forward => {
                    let variant = self.forward(layer, config.representation == Representation::PreActivation);
                    let buffers = vec![uniform, scratch.inputs_of(index), weights, activations, preactivations];
                    (variant, buffers, layer_groups(kernel, layer, &self.tiles, slots))
                }
                Kernel::BatchMean => {
                    let kept = config.representation == Representation::PreActivation;
                    let buffers = vec![uniform, if kept { preactivations } else { activations }, scratch.means.of(index)];
                    (Variant::plain(kernel), buffers, layer_groups(kernel, layer, &self.tiles, slots))
                }
                Kernel::CosineGradient => {
                    let kept = config.representation == Representation::PreActivation;
                    let compared = if kept { preactivations } else { activations };
                    let buffers = vec![uniform, compared, scratch.means.of(index), deltas, row_metrics];
                    let variant = Variant::cosine_gradient(&self.tiles, config.representation, config.centre);
                    (variant, buffers, layer_groups(kernel, layer, &self.tiles, slots))
                }
                Kernel::OutputGradient => {
                    let buffers = vec![uniform, activations, &train.labels, deltas, row_metrics];
                    (Variant::output_gradient(config.output_loss), buffers, layer_groups(kernel, layer, &self.tiles, slots))
                }
                Kernel::Shuffle | Kernel::Softmax | Kernel::Accuracy | Kernel::Reduction => continue,
            };
            training.push(Prepared::new(self.context, &variant, &buffers, groups)?);
        }
        Ok(training)
    }

    /// The dispatches of an evaluation's step; `trained` says where the weights stand.
    fn evaluation(
        &self,
        architecture: &Architecture,
        trained: &[Layer],
        test: &Resident,
        count: usize,
        batch: usize,
        row_counts: &wgpu::Buffer,
    ) -> Result<Vec<Prepared>> {
        let mut layers = Layer::all(architecture, batch, true);
        for (layer, trained) in layers.iter_mut().zip(trained) {
            layer.weight_offset = trained.weight_offset;
        }
        let uniforms = self.uniforms(&layers)?;
        let plain = TrainingConfig { representation: Representation::Activation, centre: false, ..self.config.clone() };
        let scratch = Scratch::new(&self.allocator, &layers, self.slots, 1, None, &plain)?;
        let table: Vec<Step> = (0..count).step_by(batch).map(|first| Step::evaluation(first, batch.min(count - first))).collect();
        let mut bytes = Vec::new();
        write_steps(&table, step_stride(self.context), &mut bytes);
        let steps = self.allocator.uniform("evaluation steps", &bytes)?;
        let mut evaluation = Vec::new();
        for Dispatch { kernel, layer: index } in evaluation_step(architecture).concat() {
            let (layer, uniform, activations) = (&layers[index], &uniforms[index], scratch.activations.of(index));
            let (variant, buffers) = match kernel {
                Kernel::Gather => {
                    evaluation.extend(test.gather(self.context, &steps, &scratch.inputs)?);
                    continue;
                }
                Kernel::Forward => {
                    let weights = self.parameters.weights.of(index);
                    let unused = scratch.preactivations.of(index);
                    (self.forward(layer, false), vec![uniform, scratch.inputs_of(index), weights, activations, unused])
                }
                Kernel::Softmax => (Variant::plain(kernel), vec![uniform, activations]),
                Kernel::Accuracy => (Variant::plain(kernel), vec![uniform, &steps, activations, &test.labels, row_counts]),
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
        let hidden = layer.index + 1 < layer.layer_count;
        Variant::forward(self.tiles.forward(layer, self.slots), keep && hidden)
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
        Some(self.training.len())
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        for (index, layer) in self.layers.iter().enumerate() {
            for (slot, layers) in parameters.slots.iter().enumerate() {
                let packed = layer.pack(&layers[index]);
                let offset = 16 * u64::from(layer.weight_offset) + 4 * (slot * layer.weight_len()) as u64;
                self.context.queue.write_buffer(self.parameters.weights.of(index), offset, bytemuck::cast_slice(&packed));
            }
        }
        self.submit(|_| ());
        self.context.check("uploading the parameters")
    }

    fn parameters(&mut self) -> Result<Parameters> {
        let mut slots = vec![Vec::new(); 2 * self.config.replicas];
        let allocator = Allocator::new(&self.context);
        for (index, layer) in self.layers.iter().enumerate() {
            let size = 4 * (slots.len() * layer.weight_len()) as u64;
            let staging = allocator.staging("parameters read-back", size)?;
            let (weights, offset) = (self.parameters.weights.of(index), 16 * u64::from(layer.weight_offset));
            self.submit(|encoder| encoder.copy_buffer_to_buffer(weights, offset, &staging, 0, size));
            let content = self.context.read(&staging, "reading the parameters")?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&content);
            for (slot, packed) in slots.iter_mut().zip(values.chunks_exact(layer.weight_len())) {
                slot.push(layer.unpack(packed));
            }
        }
        Ok(Parameters { slots })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let config = &self.config;
        let shuffle = Shuffle::new(config.seed, epoch, self.train_images, config.replicas, config.shuffle);
        self.context.queue.write_buffer(&self.shuffle_uniform, 0, bytemuck::bytes_of(&shuffle));
        self.submit(|encoder| {
            encoder.clear_buffer(&self.row_metrics, 0, None);
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
                        self.training.iter().for_each(|prepared| prepared.record(&mut pass, (row * stride) as u32));
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
        let (slots, layers) = (2 * self.config.replicas, self.layers.len());
        Ok(EpochMetrics::from_sums(&sums[..metric_count(slots, layers)], slots, layers))
    }
}
