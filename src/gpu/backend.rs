//! The GPU backend: everything is allocated, compiled and bound once; a training step is a walk over prepared dispatches.

use super::bound_dispatch::{BoundDispatch, step_stride, write_steps};
use super::buffers::Allocator;
use super::choice::{choose_plan, largest_buffer};
use super::context::{Context, Submission};
use super::pace::Pace;
use super::span::Span;
use super::tensors::DeviceTensors;
use crate::config::TrainingConfig;
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, Progress, Quantity};
use crate::error::Result;
use crate::kernels::tiles::Tiles;
use crate::kernels::{Launch, Operation, Tensor};
use crate::layout::Step;
use crate::model::Parameters;
use crate::program::{ParameterTensors, Plan, Programs};
use crate::waiting::{Instant, Waiting, wait};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

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
    pub(super) programs: Programs,
    pub(super) tensors: DeviceTensors,
    shuffle: Vec<BoundDispatch>,
    /// The dispatches of a step of each stage, and the stage that runs.
    stages: Vec<Vec<BoundDispatch>>,
    stage: usize,
    evaluation: Vec<BoundDispatch>,
    judging: Vec<BoundDispatch>,
    diagnosis: Vec<BoundDispatch>,
    summary: Vec<BoundDispatch>,
    staging: wgpu::Buffer,
    /// Tables of steps: of training, and of the evaluation's batches.
    pub(super) steps: wgpu::Buffer,
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
        wait(Self::new_async(job, context, options))
    }

    /// [`GpuBackend::new`], async, for callers that must not block.
    pub async fn new_async(job: Job<'_>, context: Context, options: GpuOptions) -> Result<Self> {
        job.check()?;
        let (config, tiles) = (job.config, options.tiles);
        let (plan, programs) = choose_plan(options.plan, &context, job, &tiles)?;
        let largest = largest_buffer(&context);
        let planned_memory = DeviceTensors::require(&Allocator::counting(&context), &programs, job, largest).await?;
        let allocator = Allocator::of_run(&context, planned_memory);
        let tensors = DeviceTensors::new(&allocator, &programs, job, largest).await?;
        let stride = step_stride(&context);
        let steps = allocator.uniform("steps", &vec![0; STEPS_PER_UPLOAD * stride]).await?;
        let table = async |rows: &[Step]| {
            let mut bytes = Vec::new();
            write_steps(rows, stride, &mut bytes);
            allocator.uniform("evaluation steps", &bytes).await
        };
        let test_images = job.dataset.test.count();
        let batch = programs.evaluation_batch;
        let batches: Vec<Step> =
            (0..test_images).step_by(batch).map(|first| Step::evaluation(first, batch.min(test_images - first))).collect();
        let (batches, sample) = (table(&batches).await?, table(&[Step::evaluation(0, programs.sum_layout.sample)]).await?);

        let launch = Launch { tiles: &tiles, slots: programs.slots };
        let bind = async |operations: &[Operation], steps: &wgpu::Buffer| -> Result<Vec<BoundDispatch>> {
            let mut bound = Vec::with_capacity(operations.len());
            for operation in operations {
                bound.push(BoundDispatch::new(&allocator, operation, &tensors, steps, launch).await?);
            }
            Ok(bound)
        };
        let mut stages = Vec::with_capacity(programs.stages.len());
        for stage in &programs.stages {
            stages.push(bind(stage, &steps).await?);
        }
        let (shuffle, evaluation) = (bind(&programs.shuffle, &steps).await?, bind(&programs.evaluation, &batches).await?);
        let (diagnosis, summary) = (bind(&programs.diagnosis, &sample).await?, bind(&programs.summary, &sample).await?);
        let judging = match &programs.judging {
            Some(judging) => bind(&judging.operations, &table(&judging.steps()).await?).await?,
            None => Vec::new(),
        };
        let staging = allocator.staging("metrics read-back", 4 * programs.sum_layout.count() as u64).await?;

        // Gradients of inputs cost half as much again.
        let share = if config.backpropagates() || config.projection().is_some() { 1.5 } else { 1.0 };
        let flops = share * config.architecture.training_flops_per_image() * config.replicas as f64;
        let memory = allocator.bytes();
        context.check("preparing the run")?;
        Ok(Self {
            config: config.clone(),
            plan,
            tensors,
            shuffle,
            stages,
            stage: 0,
            evaluation,
            judging,
            diagnosis,
            summary,
            staging,
            steps,
            train_images: job.dataset.train.count(),
            test_images,
            step_bytes: Vec::with_capacity(STEPS_PER_UPLOAD * stride),
            training_pace: Pace::new(flops * config.batch_size as f64),
            evaluation_pace: Pace::new(flops * batch as f64),
            memory,
            planned_memory,
            programs,
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

    /// The device, to be used for another run.
    pub fn into_context(self) -> Context {
        self.context
    }

    /// The dispatches of a step of the stage that runs.
    pub(super) fn training(&self) -> &[BoundDispatch] {
        self.stages.get(self.stage).map_or(&[], Vec::as_slice)
    }

    /// Records `work` and submits it.
    pub(super) fn submit(&self, work: impl FnOnce(&mut wgpu::CommandEncoder)) -> Submission {
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        work(&mut encoder);
        self.context.submit(encoder.finish())
    }

    /// Zeroes a tensor.
    fn clear(&self, encoder: &mut wgpu::CommandEncoder, tensor: Tensor) {
        let Span { buffer, offset, size } = self.tensors.span(tensor);
        encoder.clear_buffer(buffer, offset, Some(size));
    }

    fn evaluation_batches(&self) -> usize {
        self.test_images.div_ceil(self.programs.evaluation_batch)
    }

    /// Submits `units` of work, each the walk over `dispatches` with its own entry of a table of steps: in one piece, or each
    /// dispatch by itself where `pace` says so. Returns the last submission.
    fn submit_units(&self, dispatches: &[BoundDispatch], units: Range<usize>, pace: Pace) -> Option<Submission> {
        let stride = step_stride(&self.context);
        let size = if pace.units() == 0 { 1 } else { dispatches.len() };
        let submit = |part: &[BoundDispatch]| {
            self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for unit in units.clone() {
                    part.iter().for_each(|dispatch| dispatch.record(&mut pass, (unit * stride) as u32));
                }
            })
        };
        dispatches.chunks(size).map(submit).last()
    }

    /// Runs `units` of work, each the walk over `dispatches` with its own entry of a table of steps, in submissions of the size
    /// that `pace` says and learns. `progress` is called as in [`Backend::train`]; returns the number of units that were begun, and
    /// what it said.
    async fn run(
        &self,
        dispatches: &[BoundDispatch],
        units: usize,
        pace: &mut Pace,
        during: &str,
        progress: &mut Progress<'_>,
    ) -> Result<(usize, ControlFlow<()>)> {
        let (mut begun, mut finished, mut in_flight) = (0, Instant::now(), VecDeque::with_capacity(SUBMITS_IN_FLIGHT + 1));
        while begun < units {
            let (started, count) = (Instant::now(), pace.units().clamp(1, units - begun));
            in_flight.push_back((self.submit_units(dispatches, begun..begun + count, *pace), count, started));
            begun += count;
            if in_flight.len() > SUBMITS_IN_FLIGHT
                && let Some((Some(submission), count, started)) = in_flight.pop_front()
            {
                self.context.wait(submission, during).await?;
                // The device works on one submission after the other.
                let begin = std::mem::replace(&mut finished, Instant::now()).max(started);
                pace.observe(count, finished - begin);
                if progress(count).is_break() {
                    break;
                }
            }
        }
        // All that has begun will end: after a stop the state is read next, which waits for it.
        let flow = progress(in_flight.into_iter().map(|(_, count, _)| count).sum());
        self.context.check(during)?;
        Ok((begun, flow))
    }

    /// Copies a tensor to the host.
    async fn read_back<T: bytemuck::Pod>(&self, tensor: Tensor, during: &str) -> Result<Vec<T>> {
        let Span { buffer, offset, size } = self.tensors.span(tensor);
        let staging = Allocator::new(&self.context).staging("read-back", size).await?;
        self.submit(|encoder| encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size));
        let content = self.context.read(&staging, during).await?;
        Ok(bytemuck::pod_collect_to_vec(&content))
    }

    /// Replaces a tensor of whole numbers.
    fn write_words(&self, tensor: Tensor, words: &[u32], during: &str) -> Result<()> {
        let Span { buffer, offset, .. } = self.tensors.span(tensor);
        self.context.queue.write_buffer(buffer, offset, bytemuck::cast_slice(words));
        self.submit(|_| ());
        self.context.check(during)
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
        for layer in &self.programs.parameters {
            let Some(tensor) = layer.quantity(quantity) else { continue };
            let span = self.tensors.span(tensor);
            for slot in 0..self.programs.slots {
                if let Some(values) = layer.values(values, slot) {
                    let packed = layer.layer.pack(layer.input, values);
                    let offset = span.offset + 4 * (slot * packed.len()) as u64;
                    self.context.queue.write_buffer(span.buffer, offset, bytemuck::cast_slice(&packed));
                }
            }
        }
        self.submit(|_| ());
        self.context.check("uploading the parameters")
    }

    fn read_async(&mut self, quantity: Quantity) -> Waiting<'_, Parameters> {
        Box::pin(async move {
            let layers = &self.programs.parameters;
            let mut contents = Vec::with_capacity(layers.len());
            for tensor in layers.iter().filter_map(|layer| layer.quantity(quantity)) {
                contents.push(self.read_back(tensor, "reading the parameters").await?);
            }
            Ok(ParameterTensors::collect(layers, self.programs.slots, quantity, contents))
        })
    }

    fn row_sums_async(&mut self) -> Waiting<'_, Vec<f32>> {
        Box::pin(self.read_back(self.programs.row_metrics, "reading the epoch's sums"))
    }

    fn set_row_sums(&mut self, sums: &[f32]) -> Result<()> {
        let Span { buffer, offset, .. } = self.tensors.span(self.programs.row_metrics);
        self.context.queue.write_buffer(buffer, offset, bytemuck::cast_slice(sums));
        self.submit(|_| ());
        self.context.check("uploading the epoch's sums")
    }

    fn set_trust_rates(&mut self, rates: &[u32]) -> Result<()> {
        let Some(trust) = &self.programs.trust else { return Ok(()) };
        self.write_words(trust.rates, rates, "uploading the rates of trust")
    }

    fn trust_records_async(&mut self) -> Waiting<'_, Vec<Vec<u32>>> {
        Box::pin(async move {
            let mut records = Vec::new();
            for &(_, tensor) in self.programs.trust.iter().flat_map(|trust| &trust.records) {
                records.push(self.read_back(tensor, "reading the losses of the images").await?);
            }
            Ok(records)
        })
    }

    fn set_trust_records(&mut self, records: &[Vec<u32>]) -> Result<()> {
        let tensors = self.programs.trust.iter().flat_map(|trust| &trust.records);
        tensors
            .zip(records)
            .try_for_each(|(&(_, tensor), record)| self.write_words(tensor, record, "uploading the losses of the images"))
    }

    fn probabilities_async(&mut self) -> Waiting<'_, Vec<Vec<f32>>> {
        Box::pin(async move {
            let (shape, tensor) = self.programs.probabilities;
            let mut probabilities = vec![Vec::new(); self.programs.slots];
            for batch in 0..self.evaluation_batches() {
                self.submit_units(&self.evaluation, batch..batch + 1, self.evaluation_pace);
                let outputs: Vec<f32> = self.read_back(tensor, "reading the outputs").await?;
                let rows = (shape.rows as usize).min(self.test_images - batch * shape.rows as usize);
                for (all, slot) in probabilities.iter_mut().zip(outputs.chunks_exact(shape.len())) {
                    all.extend(shape.unpadded(slot, rows));
                }
            }
            Ok(probabilities)
        })
    }

    fn judge_async(&mut self) -> Waiting<'_, Vec<Vec<Vec<f32>>>> {
        Box::pin(async move {
            let Some(judging) = &self.programs.judging else { return Ok(Vec::new()) };
            let mut probabilities = vec![vec![Vec::new(); self.programs.slots]; judging.probabilities.len()];
            for (batch, step) in judging.steps().iter().enumerate() {
                self.submit_units(&self.judging, batch..batch + 1, self.evaluation_pace);
                for (&(shape, tensor), all) in judging.probabilities.iter().zip(&mut probabilities) {
                    let outputs: Vec<f32> = self.read_back(tensor, "reading what is judged").await?;
                    for (all, slot) in all.iter_mut().zip(outputs.chunks_exact(shape.len())) {
                        all.extend(shape.unpadded(slot, step.row_count as usize));
                    }
                }
            }
            Ok(probabilities)
        })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        write_steps(&[Step::default().in_epoch(epoch)], step_stride(&self.context), &mut self.step_bytes);
        self.context.queue.write_buffer(&self.steps, 0, &self.step_bytes);
        let stage = self.config.stage_of(epoch).0;
        let changed = std::mem::replace(&mut self.stage, stage) != stage;
        self.submit(|encoder| {
            self.clear(encoder, self.programs.row_metrics);
            for layer in &self.programs.parameters {
                if let Some(before) = layer.before {
                    let (from, to) = (self.tensors.span(layer.weights), self.tensors.span(before));
                    encoder.copy_buffer_to_buffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
                }
                if changed {
                    [layer.first_moments, layer.second_moments].into_iter().for_each(|moments| self.clear(encoder, moments));
                }
            }
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.shuffle.iter().for_each(|dispatch| dispatch.record(&mut pass, 0));
        });
        self.context.check("shuffling")
    }

    fn train_async<'a>(&'a mut self, steps: &'a [Step], progress: &'a mut Progress) -> Waiting<'a, usize> {
        Box::pin(async move {
            let (mut begun, mut pace) = (0, self.training_pace);
            for uploaded in steps.chunks(STEPS_PER_UPLOAD) {
                self.upload(uploaded)?;
                let (ran, flow) = self.run(self.training(), uploaded.len(), &mut pace, "training", progress).await?;
                begun += ran;
                if flow.is_break() {
                    break;
                }
            }
            self.training_pace = pace;
            Ok(begun)
        })
    }

    fn end_epoch_async(&mut self) -> Waiting<'_, EpochMetrics> {
        Box::pin(async move {
            self.submit(|encoder| self.programs.evaluation_sums.into_iter().for_each(|sums| self.clear(encoder, sums)));
            let mut pace = self.evaluation_pace;
            let batches = self.evaluation_batches();
            let _ = self.run(&self.evaluation, batches, &mut pace, "evaluating", &mut |_| ControlFlow::Continue(())).await?;
            self.evaluation_pace = pace;
            // Each for itself: for wide layers of many replicas one of them is long enough.
            for dispatch in &self.diagnosis {
                self.submit(|encoder| dispatch.record(&mut encoder.begin_compute_pass(&Default::default()), 0));
            }
            self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                self.summary.iter().for_each(|dispatch| dispatch.record(&mut pass, 0));
                drop(pass);
                let sums = self.tensors.span(self.programs.sums);
                encoder.copy_buffer_to_buffer(sums.buffer, sums.offset, &self.staging, 0, sums.size);
            });
            let content = self.context.read(&self.staging, "reading the epoch's metrics").await?;
            let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&content);
            Ok(self.programs.sum_layout.metrics(&sums))
        })
    }
}
