//! From a device request to a backend that is ready to train.

use ffcl_gpu::Result;
use ffcl_gpu::cpu::Blocked;
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::backend::GpuBackend;
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::gpu::tiles::Tiles;

/// Opens the device and prepares `job` on it. A notice about the choice, if there is one, goes to standard error.
pub fn open(request: &DeviceRequest, job: Job) -> Result<Box<dyn Backend>> {
    match open_context(request)? {
        None => Ok(Box::new(CpuBackend::<Blocked>::new(job)?)),
        Some(context) => {
            let tiles = Tiles::for_device(&context.description);
            Ok(Box::new(GpuBackend::new(job, context, tiles)?))
        }
    }
}

/// Opens the device; `None` is the CPU backend.
pub fn open_context(request: &DeviceRequest) -> Result<Option<Context>> {
    let (adapter, notice) = match choose(request)? {
        Choice::Cpu(notice) => (None, notice),
        Choice::Gpu(adapter, notice) => (Some(adapter), notice),
    };
    if let Some(notice) = notice {
        eprintln!("note: {notice}");
    }
    adapter.map(|adapter| Context::open(&adapter, &ContextOptions::default())).transpose()
}
