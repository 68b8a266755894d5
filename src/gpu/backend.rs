//! The GPU backend: everything is allocated, compiled and bound once; a training step is a walk over prepared dispatches.

use super::buffers::Allocator;
use super::context::{Context, Pipeline};
use super::kernels::{Binding, Variant, gather_groups, layer_groups, metric_count, shuffle_groups, source};
use super::tiles::Tiles;
use crate::config::{Representation, TrainingConfig};
use crate::dataset::Images;
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, evaluation_batch_size};
use crate::error::{Error, Result};
use crate::layout::{EVALUATION_METRICS, Layer, Reduction, Shard, Shuffle, Step};
use crate::model::{Architecture, Parameters};
use crate::plan::{Dispatch, Kernel, evaluation_step, training_step};
use std::collections::VecDeque;

/// Arithmetic of one submission. At 100 GFLOP/s, a slow integrated GPU, it lasts 0.2 s: far below the two seconds after which
/// some systems kill a submission, and long enough to hide the cost of submitting.
const FLOPS_PER_SUBMIT: f64 = 2e10;
/// More steps than this gain nothing, and their table of [`Step`]s would be larger than need be.
const MAX_STEPS_PER_SUBMIT: usize = 256;
/// Submissions that may be unfinished while the host records another: the device works on one, the next waits for it.
const SUBMITS_IN_FLIGHT: usize = 2;

/// A dispatch with all that it needs.
struct Prepared {
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    reads_step: bool,
    groups: [u32; 3],
}

/// A data set and the scratch for one batch of it.
struct Batches {
    shape: Shard,
    layers: Vec<Layer>,
    /// Uniform copies of `layers`.
    uniforms: Vec<wgpu::Buffer>,
    /// Shards and their records.
    shards: Vec<(wgpu::Buffer, wgpu::Buffer)>,
    orders: wgpu::Buffer,
    inputs: wgpu::Buffer,
    labels: wgpu::Buffer,
    activations: Vec<wgpu::Buffer>,
    steps: wgpu::Buffer,
}

/// Both models of every replica in device memory.
pub struct GpuBackend {
    context: Context,
    config: TrainingConfig,
    layers: Vec<Layer>,
    weights: Vec<wgpu::Buffer>,
    row_metrics: wgpu::Buffer,
    row_counts: wgpu::Buffer,
    sums: wgpu::Buffer,
    staging: wgpu::Buffer,
    shuffle: Prepared,
    shuffle_uniform: wgpu::Buffer,
    training: Vec<Prepared>,
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

/// What construction needs at every turn.
struct Builder<'a> {
    context: &'a Context,
    config: &'a TrainingConfig,
    allocator: Allocator<'a>,
}

impl GpuBackend {
    /// Allocates, compiles and binds everything that a run needs.
    pub fn new(job: Job, context: Context, tiles: Tiles) -> Result<Self> {
        job.check()?;
        let config = job.config;
        let architecture = config.architecture()?;
        let slots = 2 * config.replicas;
        let builder = Builder { context: &context, config, allocator: Allocator::new(&context) };

        let flops = architecture.training_flops_per_image() * config.replicas as f64;
        let per_submit = |rows: usize| ((FLOPS_PER_SUBMIT / (flops * rows as f64)) as usize).clamp(1, MAX_STEPS_PER_SUBMIT);
        let steps_per_submit = per_submit(config.batch_size);
        let step_table = vec![0; steps_per_submit * builder.step_stride()];
        let train = builder.batches(&architecture, &job.dataset.train, config.batch_size, false, &step_table)?;

        let test_count = job.dataset.test.count();
        let evaluation_batch = evaluation_batch_size(config, test_count, largest_buffer(&context));
        let evaluation_steps: Vec<Step> = (0..test_count)
            .step_by(evaluation_batch)
            .map(|first| Step::evaluation(first, evaluation_batch.min(test_count - first)))
            .collect();
        let mut table = Vec::new();
        write_steps(&evaluation_steps, builder.step_stride(), &mut table);
        let test = builder.batches(&architecture, &job.dataset.test, evaluation_batch, true, &table)?;

        let parameters = |name| builder.per_layer(name, &train.layers, |layer| slots * layer.weight_len());
        let (weights, first, second) = (parameters("weights")?, parameters("first moments")?, parameters("second moments")?);
        let deltas = builder.per_layer("deltas", &train.layers, |layer| slots * layer.delta_len())?;
        let keep = config.representation == Representation::PreActivation;
        let preactivations =
            builder.per_layer("pre-activations", &train.layers, |layer| if keep { slots * layer.output_len() } else { 4 })?;
        let row_metrics = builder.allocator.storage("row metrics", slots * train.layers[0].metrics_len())?;
        let row_counts = builder.allocator.storage("row counts", config.replicas * EVALUATION_METRICS * evaluation_batch)?;
        let table =
            builder.allocator.storage_with("pixel table", bytemuck::cast_slice(&job.dataset.pixel_table(config.standardize)))?;
        let sum_count = metric_count(slots, architecture.layer_count());
        let sums = builder.allocator.storage("metrics", sum_count)?;
        let staging = builder.allocator.staging("metrics read-back", 4 * sum_count as u64)?;

        let mut training = Vec::new();
        for Dispatch { kernel, layer: index } in training_step(&architecture).concat() {
            let layer = &train.layers[index];
            let uniform = &train.uniforms[index];
            let inputs = if index == 0 { &train.inputs } else { &train.activations[index - 1] };
            let buffers: Vec<&wgpu::Buffer> = match kernel {
                Kernel::Gather => {
                    training.extend(builder.gather(&train, &table, config.replicas)?);
                    continue;
                }
                Kernel::Forward => vec![uniform, inputs, &weights[index], &train.activations[index], &preactivations[index]],
                Kernel::CosineGradient => {
                    let representations = if keep { &preactivations[index] } else { &train.activations[index] };
                    vec![uniform, representations, &deltas[index], &row_metrics]
                }
                Kernel::OutputGradient => {
                    vec![uniform, &train.activations[index], &train.labels, &deltas[index], &row_metrics]
                }
                Kernel::WeightUpdate => {
                    vec![uniform, &train.steps, inputs, &deltas[index], &weights[index], &first[index], &second[index]]
                }
                Kernel::Shuffle | Kernel::Softmax | Kernel::Accuracy | Kernel::Reduction => continue,
            };
            let variant = Variant::for_run(kernel, layer, &tiles, config, true);
            training.push(builder.prepare(&variant, &buffers, layer_groups(kernel, layer, &tiles, slots))?);
        }

        let unused = builder.allocator.storage("unused", 4)?;
        let mut evaluation = Vec::new();
        for Dispatch { kernel, layer: index } in evaluation_step(&architecture).concat() {
            let layer = &test.layers[index];
            let uniform = &test.uniforms[index];
            let buffers: Vec<&wgpu::Buffer> = match kernel {
                Kernel::Gather => {
                    evaluation.extend(builder.gather(&test, &table, 1)?);
                    continue;
                }
                Kernel::Forward => {
                    let inputs = if index == 0 { &test.inputs } else { &test.activations[index - 1] };
                    vec![uniform, inputs, &weights[index], &test.activations[index], &unused]
                }
                Kernel::Softmax => vec![uniform, &test.activations[index]],
                Kernel::Accuracy => vec![uniform, &test.steps, &test.activations[index], &test.labels, &row_counts],
                _ => continue,
            };
            let variant = Variant::for_run(kernel, layer, &tiles, config, false);
            evaluation.push(builder.prepare(&variant, &buffers, layer_groups(kernel, layer, &tiles, slots))?);
        }

        let shuffle = Shuffle::new(config.seed, 0, job.dataset.train.count(), config.replicas, config.shuffle);
        let shuffle_uniform = builder.allocator.uniform("shuffle", bytemuck::bytes_of(&shuffle))?;
        let variant = Variant::plain(Kernel::Shuffle);
        let shuffle = builder.prepare(&variant, &[&shuffle_uniform, &train.orders], shuffle_groups(&shuffle))?;
        let training_sums = slots * (architecture.layer_count() + 1);
        let reductions = [
            builder.reduction(&row_metrics, config.batch_size, training_sums, &sums, 0)?,
            builder.reduction(&row_counts, evaluation_batch, sum_count - training_sums, &sums, training_sums)?,
        ];
        let memory = builder.allocator.bytes();
        context.check("preparing the run")?;
        Ok(Self {
            config: config.clone(),
            layers: train.layers,
            weights,
            row_metrics,
            row_counts,
            sums,
            staging,
            shuffle,
            shuffle_uniform,
            training,
            evaluation,
            reductions,
            steps: train.steps,
            evaluation_batches: evaluation_steps.len(),
            train_images: job.dataset.train.count(),
            step_bytes: step_table,
            steps_per_submit,
            batches_per_submit: per_submit(evaluation_batch),
            memory,
            context,
        })
    }

    /// Records `work` and submits it.
    fn submit(&self, work: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::SubmissionIndex {
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        work(&mut encoder);
        self.context.queue.submit([encoder.finish()])
    }

    fn step_stride(&self) -> usize {
        step_stride(&self.context)
    }
}

/// Bytes that a kernel can see through one binding.
fn largest_buffer(context: &Context) -> u64 {
    context.limits.max_storage_buffer_binding_size.min(context.limits.max_buffer_size)
}

/// Bytes from one [`Step`] to the next in a table that is bound at dynamic offsets.
fn step_stride(context: &Context) -> usize {
    size_of::<Step>().next_multiple_of(context.limits.min_uniform_buffer_offset_alignment as usize)
}

fn write_steps(steps: &[Step], stride: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(steps.len() * stride, 0);
    for (row, step) in bytes.chunks_exact_mut(stride).zip(steps) {
        row[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(step));
    }
}

fn run(pass: &mut wgpu::ComputePass, prepared: &Prepared, step_offset: u32) {
    pass.set_pipeline(&prepared.pipeline.pipeline);
    let offsets = [step_offset];
    pass.set_bind_group(0, &prepared.bind_group, if prepared.reads_step { &offsets } else { &[] });
    pass.dispatch_workgroups(prepared.groups[0], prepared.groups[1], prepared.groups[2]);
}

impl Builder<'_> {
    fn step_stride(&self) -> usize {
        step_stride(self.context)
    }

    fn per_layer(&self, name: &str, layers: &[Layer], length: impl Fn(&Layer) -> usize) -> Result<Vec<wgpu::Buffer>> {
        layers.iter().map(|layer| self.allocator.storage(&format!("{name} of layer {}", layer.index), length(layer))).collect()
    }

    /// Uploads `images` in as many shards as the adapter's limits ask for, and allocates a batch.
    fn batches(
        &self,
        architecture: &Architecture,
        images: &Images,
        batch_size: usize,
        shared: bool,
        steps: &[u8],
    ) -> Result<Batches> {
        let layers: Vec<_> =
            (0..architecture.layer_count()).map(|index| Layer::new(architecture, index, batch_size, shared)).collect();
        let (slots, views) = (2 * self.config.replicas, if shared { 1 } else { self.config.replicas });
        let shape = Shard::new(images, 0, images.count(), batch_size, !shared);
        let images_per_shard = (largest_buffer(self.context) / (4 * u64::from(shape.record_words))).max(1) as usize;
        let mut shards = Vec::new();
        for first in (0..images.count()).step_by(images_per_shard) {
            let shard = Shard::new(images, first, images_per_shard.min(images.count() - first), batch_size, !shared);
            shards.push((
                self.allocator.uniform("shard", bytemuck::bytes_of(&shard))?,
                self.allocator.storage_with("images", bytemuck::cast_slice(&shard.records(images)))?,
            ));
        }
        let orders = if shared {
            let order: Vec<u32> = (0..images.count() as u32).collect();
            self.allocator.storage_with("order", bytemuck::cast_slice(&order))?
        } else {
            // Made on the device at the beginning of each epoch.
            self.allocator.storage("orders of the replicas", views * images.count())?
        };
        let uniforms = layers.iter().map(|layer| self.allocator.uniform("layer", bytemuck::bytes_of(layer)));
        Ok(Batches {
            shape,
            uniforms: uniforms.collect::<Result<_>>()?,
            shards,
            orders,
            inputs: self.allocator.storage("inputs", views * layers[0].input_len())?,
            labels: self.allocator.storage("labels", views * batch_size)?,
            activations: self.per_layer("activations", &layers, |layer| slots * layer.output_len())?,
            steps: self.allocator.uniform("steps", steps)?,
            layers,
        })
    }

    fn gather(&self, batches: &Batches, table: &wgpu::Buffer, views: usize) -> Result<Vec<Prepared>> {
        let groups = gather_groups(&batches.shape, views);
        let prepare = |(uniform, records): &(wgpu::Buffer, wgpu::Buffer)| {
            let buffers = [uniform, &batches.steps, records, &batches.orders, table, &batches.inputs, &batches.labels];
            self.prepare(&Variant::plain(Kernel::Gather), &buffers, groups)
        };
        batches.shards.iter().map(prepare).collect()
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
        self.prepare(&Variant::plain(Kernel::Reduction), &[&uniform, values, sums], [count as u32, 1, 1])
    }

    fn prepare(&self, variant: &Variant, buffers: &[&wgpu::Buffer], groups: [u32; 3]) -> Result<Prepared> {
        let name = variant.kernel.name();
        let allowed = self.context.limits.max_compute_workgroups_per_dimension;
        if let Some(&needed) = groups.iter().find(|&&count| count > allowed) {
            return Err(Error::Limit {
                what: format!("workgroups of the kernel {name} along one dimension"),
                needed: needed.into(),
                limit: "max_compute_workgroups_per_dimension",
                allowed: allowed.into(),
            });
        }
        let pipeline = self.context.compile(variant)?;
        let bindings = source(variant.kernel).bindings;
        let reads_step = bindings.contains(&Binding::Step);
        let bind_group = self.context.scoped(&format!("binding the buffers of {name}"), || {
            let entries = buffers.iter().zip(bindings).zip(0..).map(|((buffer, &kind), binding)| {
                // A table of steps is bound one step at a time.
                let size = if kind == Binding::Step { std::num::NonZeroU64::new(size_of::<Step>() as u64) } else { None };
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: 0, size });
                wgpu::BindGroupEntry { binding, resource }
            });
            let entries: Vec<_> = entries.collect();
            let descriptor = wgpu::BindGroupDescriptor { label: Some(name), layout: &pipeline.layout, entries: &entries };
            self.context.device.create_bind_group(&descriptor)
        })?;
        Ok(Prepared { pipeline, bind_group, reads_step, groups })
    }
}

impl Backend for GpuBackend {
    fn device(&self) -> &DeviceDescription {
        &self.context.description
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        for (index, layer) in self.layers.iter().enumerate() {
            for (slot, layers) in parameters.slots.iter().enumerate() {
                let packed = layer.pack(&layers[index]);
                let offset = 4 * (slot * layer.weight_len()) as u64;
                self.context.queue.write_buffer(&self.weights[index], offset, bytemuck::cast_slice(&packed));
            }
        }
        self.submit(|_| ());
        self.context.check("uploading the parameters")
    }

    fn parameters(&mut self) -> Result<Parameters> {
        let mut slots = vec![Vec::new(); 2 * self.config.replicas];
        let allocator = Allocator::new(&self.context);
        for (layer, weights) in self.layers.iter().zip(&self.weights) {
            let staging = allocator.staging("parameters read-back", weights.size())?;
            self.submit(|encoder| encoder.copy_buffer_to_buffer(weights, 0, &staging, 0, weights.size()));
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
            run(&mut encoder.begin_compute_pass(&Default::default()), &self.shuffle, 0);
        });
        self.context.check("shuffling")
    }

    fn train(&mut self, steps: &[Step], progress: &mut dyn FnMut(usize)) -> Result<()> {
        Job::check_steps(&self.config, self.train_images, steps)?;
        let stride = self.step_stride();
        let mut bytes = std::mem::take(&mut self.step_bytes);
        let mut in_flight = VecDeque::with_capacity(SUBMITS_IN_FLIGHT + 1);
        for chunk in steps.chunks(self.steps_per_submit) {
            write_steps(chunk, stride, &mut bytes);
            // Takes effect between the previous submission and the next: the table is never changed under a running step.
            self.context.queue.write_buffer(&self.steps, 0, &bytes);
            let submission = self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for index in 0..chunk.len() {
                    for prepared in &self.training {
                        run(&mut pass, prepared, (index * stride) as u32);
                    }
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
        self.step_bytes = bytes;
        progress(in_flight.into_iter().map(|(_, count)| count).sum());
        self.context.check("training")
    }

    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        let stride = self.step_stride();
        self.submit(|encoder| encoder.clear_buffer(&self.row_counts, 0, None));
        let batches: Vec<usize> = (0..self.evaluation_batches).collect();
        for chunk in batches.chunks(self.batches_per_submit) {
            self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for batch in chunk {
                    self.evaluation.iter().for_each(|prepared| run(&mut pass, prepared, (batch * stride) as u32));
                }
            });
        }
        self.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.reductions.iter().for_each(|prepared| run(&mut pass, prepared, 0));
            drop(pass);
            encoder.copy_buffer_to_buffer(&self.sums, 0, &self.staging, 0, self.staging.size());
        });
        let content = self.context.read(&self.staging, "reading the epoch's metrics")?;
        let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&content);
        let (slots, layers) = (2 * self.config.replicas, self.layers.len());
        Ok(EpochMetrics::from_sums(&sums[..metric_count(slots, layers)], slots, layers))
    }
}
