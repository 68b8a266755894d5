//! The GPU backend: everything is allocated, compiled and bound once; a training step is a walk over prepared dispatches.

use super::buffers::Allocator;
use super::choice::choose_plan;
use super::context::Context;
use super::estimate::Request;
use super::kernels::{Variant, metric_count, shuffle_groups};
use super::pace::Pace;
use super::prepared::{Prepared, step_stride, write_steps};
use super::resident::{Resident, largest_buffer};
use super::steps::{Builder, Training};
use super::tensor::{Parameters as DeviceParameters, Scratch};
use super::tiles::Tiles;
use crate::config::TrainingConfig;
use crate::diagnosis::LayerSums;
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, Progress, Quantity, evaluation_batch_size, sample_size};
use crate::error::Result;
use crate::layout::{DIAGNOSIS_SUMS, EVALUATION_METRICS, Joined, Layer, Shapes, Shuffle, Step, Views};
use crate::model::{LayerParameters, Parameters};
use crate::plan::{Kernel, Part, Plan, fusible};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::time::Instant;

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
    /// What they leave of the last layer, and its shape.
    evaluation_outputs: wgpu::Buffer,
    evaluated: Layer,
    /// The look at the layers, and the sums of its rows.
    diagnosis: Vec<Prepared>,
    sample_metrics: wgpu::Buffer,
    sample: usize,
    reductions: [Prepared; 2],
    steps: wgpu::Buffer,
    evaluation_batches: usize,
    train_images: usize,
    test_images: usize,
    step_bytes: Vec<u8>,
    /// The pace of training steps, and that of the evaluation's batches.
    training_pace: Pace,
    evaluation_pace: Pace,
    memory: u64,
    planned_memory: u64,
}

impl GpuBackend {
    /// Allocates, compiles and binds everything that a run needs.
    pub fn new(job: Job, context: Context, options: GpuOptions) -> Result<Self> {
        job.check()?;
        let (config, tiles) = (job.config, options.tiles);
        let architecture = &config.architecture()?;
        let (slots, depth) = (2 * config.replicas, architecture.layer_count());
        let views = Views::of_training(config);
        let separate = Shapes::new(config, architecture, config.batch_size, views);
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
        let test_count = job.dataset.test.count();
        let batch = evaluation_batch_size(config, test_count, largest_buffer(&context));
        let images = job.dataset.test.head(sample_size(config, test_count, largest_buffer(&context)));
        let request = Request { job, architecture, shapes: &shapes, joined, views, evaluation_batch: batch, sample: &images };
        let planned_memory = request.require(&context)?;
        let allocator = Allocator::of_run(&context, planned_memory);
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

        let row_counts = builder.allocator.storage("row counts", config.replicas * EVALUATION_METRICS * batch)?;
        let test = Resident::new(&builder.allocator, &job.dataset.test, &table, batch, Views::Run, config)?;
        let (evaluation, evaluated, evaluation_outputs) =
            builder.evaluation(architecture, &shapes, &test, test_count, batch, &row_counts)?;

        let shuffle = Shuffle::new(config.seed, 0, job.dataset.train.count(), config.replicas, config.shuffle);
        let shuffle_uniform = builder.allocator.uniform("shuffle", bytemuck::bytes_of(&shuffle))?;
        let variant = Variant::plain(Kernel::Shuffle);
        let shuffle = Prepared::new(&context, &variant, &[&shuffle_uniform, &train.orders], shuffle_groups(&shuffle))?;
        let sum_count = metric_count(slots, depth);
        let sums = builder.allocator.storage("metrics", sum_count)?;
        let staging = builder.allocator.staging("metrics read-back", 4 * sum_count as u64)?;
        let training_sums = slots * (depth + 1);
        let counts = config.replicas * EVALUATION_METRICS;
        let sample = Resident::new(&builder.allocator, &images, &table, images.count(), Views::Run, config)?;
        let (sample_metrics, diagnosis) =
            builder.diagnosis(architecture, &shapes, &sample, images.count(), &sums, training_sums + counts)?;
        let reductions = [
            builder.reduction(&row_metrics, config.batch_size, training_sums, &sums, 0)?,
            builder.reduction(&row_counts, batch, counts, &sums, training_sums)?,
        ];

        // Gradients of inputs cost half as much again.
        let share = if fusible(config) { 1.0 } else { 1.5 };
        let flops = share * architecture.training_flops_per_image() * config.replicas as f64;
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
            evaluation_outputs,
            evaluated,
            diagnosis,
            sample_metrics,
            sample: images.count(),
            reductions,
            steps,
            evaluation_batches: test_count.div_ceil(batch),
            train_images: job.dataset.train.count(),
            test_images: test_count,
            step_bytes: Vec::with_capacity(STEPS_PER_UPLOAD * stride),
            training_pace: Pace::new(flops * config.batch_size as f64),
            evaluation_pace: Pace::new(flops * batch as f64),
            memory,
            planned_memory,
            context,
        })
    }

    /// How a step is cut into dispatches.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Bytes that were counted before anything was allocated: what [`Backend::memory`] says, without tables and sums.
    pub fn planned_memory(&self) -> u64 {
        self.planned_memory
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

    /// Submits `units` of work, each the walk over `dispatches` with its own entry of a table of steps: in one piece, or each
    /// dispatch by itself where `pace` says so. Returns the last submission.
    fn submit_units(&self, dispatches: &[Prepared], units: Range<usize>, pace: Pace) -> Option<wgpu::SubmissionIndex> {
        let stride = step_stride(&self.context);
        let size = if pace.units() == 0 { 1 } else { dispatches.len() };
        let submit = |part: &[Prepared]| {
            self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for unit in units.clone() {
                    part.iter().for_each(|prepared| prepared.record(&mut pass, (unit * stride) as u32));
                }
            })
        };
        dispatches.chunks(size).map(submit).last()
    }

    /// Runs `units` of work, each the walk over `dispatches` with its own entry of a table of steps, in submissions of the size
    /// that `pace` says and learns. `progress` hears as in [`Backend::train`]; returns the number of units that were begun, and
    /// what it said.
    fn run(
        &self,
        dispatches: &[Prepared],
        units: usize,
        pace: &mut Pace,
        during: &str,
        progress: &mut Progress,
    ) -> Result<(usize, ControlFlow<()>)> {
        let (mut begun, mut finished, mut in_flight) = (0, Instant::now(), VecDeque::with_capacity(SUBMITS_IN_FLIGHT + 1));
        while begun < units {
            let (started, count) = (Instant::now(), pace.units().clamp(1, units - begun));
            in_flight.push_back((self.submit_units(dispatches, begun..begun + count, *pace), count, started));
            begun += count;
            if in_flight.len() > SUBMITS_IN_FLIGHT
                && let Some((Some(submission), count, started)) = in_flight.pop_front()
            {
                self.context.wait(submission, during)?;
                // The device works on one submission after the other.
                let begin = std::mem::replace(&mut finished, Instant::now()).max(started);
                pace.observe(count, finished - begin);
                if progress(count).is_break() {
                    break;
                }
            }
        }
        // All that has begun will end: whoever wanted to stop reads the state next, which waits for it.
        let flow = progress(in_flight.into_iter().map(|(_, count, _)| count).sum());
        self.context.check(during)?;
        Ok((begun, flow))
    }

    /// A quantity of one part, `[slot][layer]`.
    fn read_part(&self, quantity: Quantity, part: Part) -> Result<Vec<Vec<LayerParameters>>> {
        let mut slots = vec![Vec::new(); 2 * self.config.replicas];
        for (index, layer) in self.shapes.all(part).iter().enumerate() {
            let (buffer, offset) = (self.parameters.tensor(quantity).of(part, index), 16 * u64::from(layer.weight_offset));
            let values = self.read_back(buffer, offset, slots.len() * layer.weight_len(), "reading the parameters")?;
            for (slot, packed) in slots.iter_mut().zip(values.chunks_exact(layer.weight_len())) {
                slot.push(layer.unpack(packed));
            }
        }
        Ok(slots)
    }

    /// Copies `count` numbers to the host.
    fn read_back(&self, buffer: &wgpu::Buffer, offset: u64, count: usize, during: &str) -> Result<Vec<f32>> {
        let size = 4 * count as u64;
        let staging = Allocator::new(&self.context).staging("read-back", size)?;
        self.submit(|encoder| encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size));
        let content = self.context.read(&staging, during)?;
        Ok(bytemuck::pod_collect_to_vec(&content))
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

    fn write(&mut self, quantity: Quantity, values: &Parameters) -> Result<()> {
        for (part, slots) in [(Part::Network, &values.slots), (Part::Projection, &values.projections)] {
            for (slot, layers) in slots.iter().enumerate() {
                for (index, (layer, values)) in self.shapes.all(part).iter().zip(layers).enumerate() {
                    let packed = layer.pack(values);
                    let offset = 16 * u64::from(layer.weight_offset) + 4 * (slot * layer.weight_len()) as u64;
                    let buffer = self.parameters.tensor(quantity).of(part, index);
                    self.context.queue.write_buffer(buffer, offset, bytemuck::cast_slice(&packed));
                }
            }
        }
        self.submit(|_| ());
        self.context.check("uploading the parameters")
    }

    fn read(&mut self, quantity: Quantity) -> Result<Parameters> {
        let projections = match quantity {
            Quantity::EpochStart => vec![Vec::new(); 2 * self.config.replicas],
            _ => self.read_part(quantity, Part::Projection)?,
        };
        Ok(Parameters { slots: self.read_part(quantity, Part::Network)?, projections })
    }

    fn row_sums(&mut self) -> Result<Vec<f32>> {
        let count = 2 * self.config.replicas * self.shapes.network[0].metrics_len();
        self.read_back(&self.row_metrics, 0, count, "reading the epoch's sums")
    }

    fn set_row_sums(&mut self, sums: &[f32]) -> Result<()> {
        self.context.queue.write_buffer(&self.row_metrics, 0, bytemuck::cast_slice(sums));
        self.submit(|_| ());
        self.context.check("uploading the epoch's sums")
    }

    fn probabilities(&mut self) -> Result<Vec<Vec<f32>>> {
        let layer = &self.evaluated;
        let slots = 2 * self.config.replicas;
        let mut probabilities = vec![Vec::new(); slots];
        for batch in 0..self.evaluation_batches {
            self.submit_units(&self.evaluation, batch..batch + 1, self.evaluation_pace);
            let outputs = self.read_back(&self.evaluation_outputs, 0, slots * layer.output_len(), "reading the outputs")?;
            let rows = (layer.batch_size as usize).min(self.test_images - batch * layer.batch_size as usize);
            for (all, slot) in probabilities.iter_mut().zip(outputs.chunks_exact(layer.output_len())) {
                all.extend(layer.output_rows(slot, rows));
            }
        }
        Ok(probabilities)
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let config = &self.config;
        let shuffle = Shuffle::new(config.seed, epoch, self.train_images, config.replicas, config.shuffle);
        self.context.queue.write_buffer(&self.shuffle_uniform, 0, bytemuck::bytes_of(&shuffle));
        let stage = config.stage_of(epoch).0;
        let changed = std::mem::replace(&mut self.stage, stage) != stage;
        self.submit(|encoder| {
            encoder.clear_buffer(&self.row_metrics, 0, None);
            let weights = self.parameters.weights.of_network().zip(self.parameters.before.of_network());
            weights.for_each(|(now, before)| encoder.copy_buffer_to_buffer(now, 0, before, 0, before.size()));
            if changed {
                let moments = self.parameters.first.buffers().chain(self.parameters.second.buffers());
                moments.for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
            }
            self.shuffle.record(&mut encoder.begin_compute_pass(&Default::default()), 0);
        });
        self.context.check("shuffling")
    }

    fn train(&mut self, steps: &[Step], progress: &mut Progress) -> Result<usize> {
        let (mut begun, mut pace) = (0, self.training_pace);
        for uploaded in steps.chunks(STEPS_PER_UPLOAD) {
            self.upload(uploaded)?;
            let (ran, flow) = self.run(self.training(), uploaded.len(), &mut pace, "training", progress)?;
            begun += ran;
            if flow.is_break() {
                break;
            }
        }
        self.training_pace = pace;
        Ok(begun)
    }

    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        self.submit(|encoder| {
            encoder.clear_buffer(&self.row_counts, 0, None);
            encoder.clear_buffer(&self.sample_metrics, 0, None);
        });
        let mut pace = self.evaluation_pace;
        let _ =
            self.run(&self.evaluation, self.evaluation_batches, &mut pace, "evaluating", &mut |_| ControlFlow::Continue(()))?;
        self.evaluation_pace = pace;
        // Each for itself: for wide layers of many replicas one of them is long enough.
        for prepared in &self.diagnosis {
            self.submit(|encoder| prepared.record(&mut encoder.begin_compute_pass(&Default::default()), 0));
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
        Ok(cut_sums(&sums, slots, layers, self.sample))
    }
}

/// Cuts the flat array of an epoch's sums: training, test, then the look at the layers, as [`Builder::diagnosis`] places them.
fn cut_sums(sums: &[f32], slots: usize, layers: usize, images: usize) -> EpochMetrics {
    let (training, rest) = sums.split_at(slots * (layers + 1));
    let (test, rest) = rest.split_at(slots / 2 * EVALUATION_METRICS);
    let (sample, rest) = rest.split_at(slots * (layers + 1));
    let (spreads, norms) = rest.split_at((layers - 1) * slots * DIAGNOSIS_SUMS);
    let of = |sums: &[f32], layer: usize, slot: usize| {
        let first = (layer * slots + slot) * DIAGNOSIS_SUMS;
        [0, 1, 2].map(|sum: usize| sums.get(first + sum).map_or(0.0, |&value| f64::from(value)))
    };
    let layer = |slot: usize, layer: usize| {
        let [covariance_squares, covariance_trace, dead] = of(spreads, layer, slot);
        let [weights, update, distance] = of(norms, layer, slot);
        let hidden = layer + 1 < layers;
        let misalignment = if hidden { f64::from(sample[slot * (layers + 1) + layer]) } else { 0.0 };
        LayerSums { misalignment, covariance_squares, covariance_trace, dead, weights, update, distance }
    };
    EpochMetrics {
        training: training.chunks_exact(layers + 1).map(<[f32]>::to_vec).collect(),
        test: test.as_chunks::<EVALUATION_METRICS>().0.to_vec(),
        layers: (0..slots).map(|slot| (0..layers).map(|index| layer(slot, index)).collect()).collect(),
        sample: images,
    }
}
