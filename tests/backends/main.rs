//! The engine on each of its backends, and the program on an adapter.
//!
//! A test that needs an adapter is counted as ignored where there is none, which Rust's own test harness cannot do at run time; with
//! `FFCL_REQUIRE_GPU` set it fails there. Filters, `--skip`, `--list` and `--test-threads` work as usual.

#[macro_use]
mod harness;
mod adapter;
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod device_faults;
mod kernels;
mod killed;
mod locality;
mod plans;
mod program;
mod refused;
mod replicas;
mod resume;
mod runs;
mod signs;
mod training;

use libtest_mimic::{Arguments, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let modules = [
        // The longest ones first, so that no thread is left alone with them.
        training::tests(),
        kernels::tests(),
        killed::tests(),
        locality::tests(),
        plans::tests(),
        program::tests(),
        refused::tests(),
        replicas::tests(),
        resume::tests(),
        signs::tests(),
        #[cfg(target_os = "linux")]
        device_faults::tests(),
    ];
    let ignore = !adapter::is_there() && !adapter::is_required();
    let trials = modules.into_iter().flatten().map(|test| test.trial(ignore)).collect();
    run(&Arguments::from_args(), trials).exit_code()
}
