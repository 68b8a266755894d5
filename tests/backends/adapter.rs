//! The adapter of the tests that need one.

use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::context::{Context, ContextOptions};

/// Whether there is any adapter, a software one included.
pub fn is_there() -> bool {
    choose(&DeviceRequest::Gpu).is_ok()
}

/// Whether its absence is a failure.
pub fn is_required() -> bool {
    std::env::var_os("FFCL_REQUIRE_GPU").is_some()
}

/// Opens the best adapter there is, a software one included.
pub fn context(options: &ContextOptions) -> Context {
    match choose(&DeviceRequest::Gpu) {
        Ok(Choice::Gpu(adapter, _)) => Context::open(&adapter, options).unwrap(),
        Ok(Choice::Cpu(_)) => unreachable!("a GPU was asked for"),
        Err(error) => panic!("{error}"),
    }
}
