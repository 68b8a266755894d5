//! The adapter of the GPU tests. Without one they say so and end; where `FFCL_REQUIRE_GPU` is set, that is a failure.

use std::io::Write;

use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::context::{Context, ContextOptions};

/// Opens the best adapter there is, a software one included.
pub fn context(options: &ContextOptions) -> Option<Context> {
    match choose(&DeviceRequest::Gpu) {
        Ok(Choice::Gpu(adapter, _)) => Some(Context::open(&adapter, options).unwrap()),
        Ok(Choice::Cpu(_)) => unreachable!("a GPU was asked for"),
        Err(error) if std::env::var_os("FFCL_REQUIRE_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            // Not `eprintln!`, which the test runner hides for tests that pass.
            let _ = writeln!(std::io::stderr(), "NOT RUN: this test needs a GPU adapter: {error}");
            None
        }
    }
}
