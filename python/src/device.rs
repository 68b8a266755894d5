//! The device that a job runs on.

use ffcl_gpu::Error;
use ffcl_gpu::cpu;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};

/// Opens a device and prepares a job on it.
pub fn open(request: &DeviceRequest, job: Job) -> Result<Box<dyn Backend>, Error> {
    match choose(request)? {
        Choice::Cpu(_) => cpu::backend::open(job),
        Choice::Gpu(adapter, _) => {
            let context = Context::open(&adapter, &ContextOptions::default())?;
            let options = GpuOptions::for_device(&context);
            Ok(Box::new(GpuBackend::new(job, context, options)?))
        }
    }
}
