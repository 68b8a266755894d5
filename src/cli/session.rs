//! From a device request to a backend that is ready to train.

use super::device_options::{DeviceOption, Tuning};
use super::terminal::report;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::cpu::backend::{CpuBackend, processor};
use ffcl_gpu::engine::{Backend, DeviceDescription, Job};
use ffcl_gpu::gpu::adapter::{self, Choice, choose};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::program::Plan;
use ffcl_gpu::{Error, Result};

/// Opens the device and prepares `job` on it. A notice about the choice, if there is one, goes to standard error.
pub fn open(request: &DeviceOption, plan: Option<Plan>, job: Job) -> Result<Box<dyn Backend>> {
    let choice = choose(&request.device)?;
    announce(&choice);
    open_backend(request.tune, choice, plan, job)
}

/// The same for commands that open a device many times: without the notice.
pub fn reopen(request: &DeviceOption, plan: Option<Plan>, job: Job) -> Result<Box<dyn Backend>> {
    open_backend(request.tune, choose(&request.device)?, plan, job)
}

/// Prepares `job` on the adapter that the request selects; `None` is the CPU. For commands that open a device many times: without
/// the notice.
pub fn open_gpu(request: &DeviceOption, plan: Option<Plan>, job: Job) -> Result<Option<GpuBackend>> {
    open_choice(choose(&request.device)?)?.map(|context| prepare(request.tune, context, plan, job)).transpose()
}

/// The device that the request selects, without opening it; the notice goes to standard error.
pub fn describe(request: &DeviceOption) -> Result<DeviceDescription> {
    let choice = choose(&request.device)?;
    announce(&choice);
    Ok(match choice {
        Choice::Cpu(_) => processor(),
        Choice::Gpu(adapter, _) => adapter::describe(&adapter),
    })
}

/// The same; refuses a forced plan that the CPU does not have.
pub fn describe_for(request: &DeviceOption, plan: Option<Plan>) -> Result<DeviceDescription> {
    let device = describe(request)?;
    if device.kind == "cpu" && plan == Some(Plan::Fused) { Err(fused_on_cpu()) } else { Ok(device) }
}

fn fused_on_cpu() -> Error {
    Error::Configuration("--plan fused needs a GPU, but --device selected the CPU; remove --plan or use --device gpu".into())
}

/// Opens the adapter that the request selects, with the notice; `None` is the CPU.
pub fn open_context(request: &DeviceOption) -> Result<Option<Context>> {
    let choice = choose(&request.device)?;
    announce(&choice);
    open_choice(choice)
}

fn announce(choice: &Choice) {
    if let Choice::Cpu(Some(notice)) | Choice::Gpu(_, Some(notice)) = choice {
        report(&format!("note: {notice}"));
    }
}

fn open_backend(tuning: Tuning, choice: Choice, plan: Option<Plan>, job: Job) -> Result<Box<dyn Backend>> {
    match open_choice(choice)? {
        Some(context) => Ok(Box::new(prepare(tuning, context, plan, job)?)),
        None if plan == Some(Plan::Fused) => Err(fused_on_cpu()),
        None => Ok(Box::new(CpuBackend::<Blocked>::new(job)?)),
    }
}

fn open_choice(choice: Choice) -> Result<Option<Context>> {
    match choice {
        Choice::Cpu(_) => Ok(None),
        Choice::Gpu(adapter, _) => Context::open(&adapter, &ContextOptions::default()).map(Some),
    }
}

fn prepare(tuning: Tuning, context: Context, plan: Option<Plan>, job: Job) -> Result<GpuBackend> {
    let options = GpuOptions { plan, ..GpuOptions::for_device(&context) };
    let (context, tiles) = super::tuning::choose(tuning, context, options, job)?;
    GpuBackend::new(job, context, GpuOptions { tiles, ..options })
}
