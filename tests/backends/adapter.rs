//! The adapter of the tests that need one.

use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use std::sync::{Mutex, PoisonError};

/// Whether there is any adapter, a software one included.
pub fn is_there() -> bool {
    choose(&DeviceRequest::Gpu).is_ok()
}

/// Whether its absence is a failure.
pub fn is_required() -> bool {
    std::env::var_os("FFCL_REQUIRE_GPU").is_some()
}

/// Opens the best adapter there is, a software one included.
pub fn open(options: &ContextOptions) -> Context {
    match choose(&DeviceRequest::Gpu) {
        Ok(Choice::Gpu(adapter, _)) => Context::open(&adapter, options).unwrap(),
        Ok(Choice::Cpu(_)) => unreachable!("a GPU was asked for"),
        Err(error) => panic!("{error}"),
    }
}

/// The same, opened once for all tests of a thread that ask with these options: software adapters spend most of a test on compiling kernels,
/// and one device compiles them one after the other.
pub fn context(options: &ContextOptions) -> Context {
    static OPENED: Mutex<Vec<(String, Context)>> = Mutex::new(Vec::new());
    let key = format!("{options:?} {:?}", std::thread::current().id());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, context)) = opened.iter().find(|(other, _)| *other == key) {
        return context.share();
    }
    let context = open(options);
    let shared = context.share();
    opened.push((key, context));
    shared
}
