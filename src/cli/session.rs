//! From a device request to a backend that is ready to train.

use ffcl_gpu::Result;
use ffcl_gpu::cpu::Blocked;
use ffcl_gpu::cpu::backend::{CpuBackend, processor};
use ffcl_gpu::engine::{Backend, DeviceDescription, Job};
use ffcl_gpu::gpu::adapter::{self, Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::backend::GpuBackend;
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::gpu::tiles::Tiles;

/// Opens the device and prepares `job` on it. A notice about the choice, if there is one, goes to standard error.
pub fn open(request: &DeviceRequest, job: Job) -> Result<Box<dyn Backend>> {
    prepare(open_context(request)?, job)
}

/// The same without the notice, for commands that open a device many times.
pub fn open_quietly(request: &DeviceRequest, job: Job) -> Result<Box<dyn Backend>> {
    prepare(open_choice(choose(request)?)?, job)
}

/// What the request comes to, without opening it; the notice goes to standard error.
pub fn describe(request: &DeviceRequest) -> Result<DeviceDescription> {
    let choice = choose(request)?;
    announce(&choice);
    Ok(match choice {
        Choice::Cpu(_) => processor(),
        Choice::Gpu(adapter, _) => adapter::describe(&adapter),
    })
}

/// Opens the device; `None` is the CPU backend.
pub fn open_context(request: &DeviceRequest) -> Result<Option<Context>> {
    let choice = choose(request)?;
    announce(&choice);
    open_choice(choice)
}

fn announce(choice: &Choice) {
    if let Choice::Cpu(Some(notice)) | Choice::Gpu(_, Some(notice)) = choice {
        super::report(&format!("note: {notice}"));
    }
}

fn open_choice(choice: Choice) -> Result<Option<Context>> {
    match choice {
        Choice::Cpu(_) => Ok(None),
        Choice::Gpu(adapter, _) => Context::open(&adapter, &ContextOptions::default()).map(Some),
    }
}

fn prepare(context: Option<Context>, job: Job) -> Result<Box<dyn Backend>> {
    match context {
        None => Ok(Box::new(CpuBackend::<Blocked>::new(job)?)),
        Some(context) => {
            let tiles = Tiles::for_device(&context.description);
            Ok(Box::new(GpuBackend::new(job, context, tiles)?))
        }
    }
}
