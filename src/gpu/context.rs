//! An opened device: pipelines, submission, read-back, and every failure as a typed error.

use super::adapter::describe;
use super::faults::{Faults, one_line, without_panic};
use super::span::Span;
use crate::engine::DeviceDescription;
use crate::error::{Error, Result};
use crate::kernels::{Binding, Variant};
use crate::waiting::wait;
#[cfg(target_family = "wasm")]
use futures_intrusive::channel::shared::OneshotReceiver;
use futures_intrusive::channel::shared::oneshot_channel;
use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Keep the checks that wgpu inserts into shaders (bounds, endless loops) and the zeroing of workgroup memory. Off by default
    /// in release builds, on in debug builds.
    pub shader_checks: Option<bool>,
    /// Limits to pretend, none above the adapter's own; tests use it to meet small adapters.
    pub limits: Option<wgpu::Limits>,
}

/// A device, its queue, and what it can do.
pub struct Context {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// The limits that it was opened with.
    pub limits: wgpu::Limits,
    /// What it is.
    pub description: DeviceDescription,
    /// Lanes of a subgroup, where all subgroups have the same number and shaders may use them.
    pub subgroup_size: Option<u32>,
    /// Nanoseconds of one tick of the device's clock, where dispatches can be timed.
    pub timestamp_period: Option<f32>,
    /// What has been made so far.
    pub made: Made,
    shader_checks: bool,
    pipelines: Arc<Mutex<HashMap<Variant, Pipeline>>>,
    faults: Faults,
}

/// How many lasting things a context has made: nothing may grow inside an epoch.
#[derive(Debug, Default)]
pub struct Made {
    /// Buffers.
    pub buffers: Cell<usize>,
    /// Pipelines.
    pub pipelines: Cell<usize>,
    /// Bind groups.
    pub bind_groups: Cell<usize>,
    /// Buffers read back by the host.
    pub reads: Cell<usize>,
}

impl Made {
    /// The counts: buffers, pipelines, bind groups, read-backs.
    pub fn counts(&self) -> [usize; 4] {
        [&self.buffers, &self.pipelines, &self.bind_groups, &self.reads].map(Cell::get)
    }

    /// Counts one more.
    pub(super) fn count(counter: &Cell<usize>) {
        counter.set(counter.get() + 1);
    }
}

/// Work that was handed to the device.
pub struct Submission {
    index: wgpu::SubmissionIndex,
    /// Told when it has run.
    #[cfg(target_family = "wasm")]
    done: OneshotReceiver<()>,
}

/// A compiled kernel.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// What runs.
    pub pipeline: wgpu::ComputePipeline,
    /// How its buffers are bound.
    layout: wgpu::BindGroupLayout,
    /// The kernel's name, for messages.
    pub name: &'static str,
    reads_step: bool,
}

impl Pipeline {
    /// Whether a dispatch chooses its [`crate::layout::Step`] by an offset.
    pub fn reads_step(&self) -> bool {
        self.reads_step
    }
}

impl Context {
    /// Opens `adapter` with all its limits, or those of `options`.
    pub fn open(adapter: &wgpu::Adapter, options: &ContextOptions) -> Result<Self> {
        wait(Self::open_async(adapter, options))
    }

    /// [`Context::open`], async, for callers that must not block.
    pub async fn open_async(adapter: &wgpu::Adapter, options: &ContextOptions) -> Result<Self> {
        let description = describe(adapter);
        let limits = options.limits.clone().unwrap_or_else(|| adapter.limits());
        // Neither is needed: the first makes kernels faster where it is there, the second lets them be timed.
        // (A browser's WGSL asks for subgroups in a way that naga does not take, and only software adapters gain by them.)
        let subgroups = if cfg!(target_family = "wasm") { wgpu::Features::empty() } else { wgpu::Features::SUBGROUP };
        let features = adapter.features() & (subgroups | wgpu::Features::TIMESTAMP_QUERY);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("ffcl-gpu"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| {
            Error::Device(format!("cannot open {}: {error}; try another --device, or --device cpu", description.name))
        })?;
        let faults = Faults::of(&device);
        let shader_checks = options.shader_checks.unwrap_or(cfg!(debug_assertions));
        let info = adapter.get_info();
        let uniform_subgroups = features.contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size == info.subgroup_max_size;
        Ok(Self {
            subgroup_size: uniform_subgroups.then_some(info.subgroup_min_size),
            timestamp_period: features.contains(wgpu::Features::TIMESTAMP_QUERY).then(|| queue.get_timestamp_period()),
            made: Made::default(),
            device,
            queue,
            limits,
            description,
            shader_checks,
            pipelines: Arc::default(),
            faults,
        })
    }

    /// The same device for another backend: compiled kernels are shared, what is made is counted anew.
    pub fn share(&self) -> Self {
        Self {
            device: self.device.clone(),
            queue: self.queue.clone(),
            limits: self.limits.clone(),
            description: self.description.clone(),
            subgroup_size: self.subgroup_size,
            timestamp_period: self.timestamp_period,
            made: Made::default(),
            shader_checks: self.shader_checks,
            pipelines: Arc::clone(&self.pipelines),
            faults: self.faults.clone(),
        }
    }

    /// Whether its shaders check themselves what wgpu can check, bounds of arrays for one.
    pub fn has_shader_checks(&self) -> bool {
        self.shader_checks
    }

    /// Runs `work` and returns what the device complained about, if anything.
    pub async fn scoped<T>(&self, during: &str, work: impl FnOnce() -> T) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let value = work();
        // Scopes close in the reverse order of their opening.
        let popped = [validation, internal, memory].map(wgpu::ErrorScopeGuard::pop);
        let mut errors = Vec::new();
        for scope in popped {
            errors.push(scope.await);
        }
        // A lost device fails in no scope.
        self.check(during)?;
        let (during, problem) = (during.to_owned(), |error: &wgpu::Error| one_line(&error.to_string()));
        match errors.into_iter().flatten().next() {
            Some(error @ wgpu::Error::OutOfMemory { .. }) => Err(Error::DeviceMemory { during, problem: problem(&error) }),
            Some(error) => Err(Error::Gpu { during, problem: problem(&error) }),
            None => Ok(value),
        }
    }

    /// Fails if the device has failed since it was opened.
    pub fn check(&self, during: &str) -> Result<()> {
        self.faults.check(during)
    }

    /// Compiles a kernel, once for each variant.
    pub(crate) async fn compile(&self, variant: &Variant) -> Result<Pipeline> {
        if let Some(pipeline) = self.pipelines().get(variant) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.build(variant.kernel.name(), &variant.wgsl(), &variant.bindings).await?;
        self.pipelines().insert(variant.clone(), pipeline.clone());
        Ok(pipeline)
    }

    fn pipelines(&self) -> MutexGuard<'_, HashMap<Variant, Pipeline>> {
        // A map of finished pipelines is whole whatever its holders did.
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a pipeline of a shader text. Crate-private: in release builds nothing checks the text's accesses but
    /// [`Context::shader_module`]'s proof.
    pub(crate) async fn build(&self, name: &'static str, text: &str, bindings: &[Binding]) -> Result<Pipeline> {
        let during = format!("compiling the kernel {name}");
        let compiled = self.scoped(&during, || {
            let entries: Vec<_> = bindings.iter().zip(0..).map(|(&kind, index)| entry(index, kind)).collect();
            let layout =
                self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let module = self.shader_module(name, text);
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes its workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: self.shader_checks,
                    ..Default::default()
                },
                cache: None,
            });
            Pipeline { pipeline, layout, name, reads_step: bindings.contains(&Binding::Step) }
        });
        let compiled = compiled.await?;
        Made::count(&self.made.pipelines);
        Ok(compiled)
    }

    /// Binds parts of buffers in the order of the kernel's bindings.
    pub async fn bind(&self, pipeline: &Pipeline, spans: &[Span<'_>]) -> Result<wgpu::BindGroup> {
        let during = format!("binding the buffers of {}", pipeline.name);
        let group = self.scoped(&during, || {
            let entries = spans.iter().zip(0..).map(|(span, binding)| {
                let binding_of =
                    wgpu::BufferBinding { buffer: span.buffer, offset: span.offset, size: NonZeroU64::new(span.size) };
                wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(binding_of) }
            });
            let entries: Vec<_> = entries.collect();
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some(pipeline.name), layout: &pipeline.layout, entries: &entries };
            self.device.create_bind_group(&descriptor)
        });
        let group = group.await?;
        Made::count(&self.made.bind_groups);
        Ok(group)
    }

    #[allow(unsafe_code)]
    fn shader_module(&self, name: &str, text: &str) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
        if self.shader_checks {
            return self.device.create_shader_module(descriptor);
        }
        // SAFETY: without wgpu's checks a kernel must index in bounds and end by itself. Only `gpu::backend`, `verify` (through
        // the crate-private `run_once`) and `bench` (through the crate-private `build`) dispatch kernels. The first two size every
        // buffer and take the grid from the same operation, so slots, views and replicas are in range by the grid; the rest of the
        // proof stands with each operation in `kernels/`, as "In bounds". The ceilings of `bench` make their buffers and grid from the
        // side length that the shader gets as a constant. Loops run to such bounds.
        unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }

    /// Hands recorded commands to the device.
    pub fn submit(&self, commands: wgpu::CommandBuffer) -> Submission {
        let index = self.queue.submit([commands]);
        Submission {
            index,
            #[cfg(target_family = "wasm")]
            done: {
                let (sender, receiver) = oneshot_channel();
                // Nobody may be waiting any more.
                self.queue.on_submitted_work_done(move || drop(sender.send(())));
                receiver
            },
        }
    }

    /// Waits until a submission has run.
    pub async fn wait(&self, submission: Submission, during: &str) -> Result<()> {
        #[cfg(target_family = "wasm")]
        submission.done.receive().await;
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission.index), timeout: None }, during)
    }

    /// Blocks until the device is so far; in a browser, where its callbacks come by themselves, does not wait.
    fn poll(&self, kind: wgpu::PollType, during: &str) -> Result<()> {
        let fail = |problem: String| Error::Gpu { during: during.to_owned(), problem };
        let polled = without_panic(|| self.device.poll(kind));
        self.check(during)?;
        match polled {
            Some(polled) => polled.map(|_| ()).map_err(|error| fail(error.to_string())),
            None => Err(Error::DeviceLost { during: during.to_owned(), problem: "wgpu could not wait for it".into() }),
        }
    }

    /// Maps `staging` once everything submitted has run, and returns its content.
    pub async fn read(&self, staging: &wgpu::Buffer, during: &str) -> Result<Vec<u8>> {
        let fail = |problem: String| Error::Gpu { during: during.to_owned(), problem };
        Made::count(&self.made.reads);
        let (sender, receiver) = oneshot_channel();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver waits below for as long as this callback can come.
            let _ = sender.send(result);
        });
        self.poll(wgpu::PollType::wait_indefinitely(), during)?;
        let mapped = receiver.receive().await;
        self.check(during)?;
        match mapped {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(fail(error.to_string())),
            None => return Err(fail("the read-back was dropped".into())),
        }
        let content = staging.slice(..).get_mapped_range().map_err(|error| fail(error.to_string()))?.to_vec();
        staging.unmap();
        Ok(content)
    }
}

fn entry(binding: u32, kind: Binding) -> wgpu::BindGroupLayoutEntry {
    let ty = match kind {
        Binding::Uniform | Binding::Step => wgpu::BufferBindingType::Uniform,
        Binding::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Binding::Write => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: kind == Binding::Step, min_binding_size: None },
        count: None,
    }
}
