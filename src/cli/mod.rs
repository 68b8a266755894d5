//! The commands: each turns arguments into a configuration, runs the library, and prints what comes back.

pub mod arguments;
mod bench;
mod devices;
mod session;
mod train;
mod verify;

use arguments::{Arguments, Command};
use ffcl_gpu::Result;
use std::process::ExitCode;

/// Runs a command; its exit code is a failure where a check failed.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Train(options) => train::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Devices(options) => devices::run(&options).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints a line to standard output; a closed pipe (`| head`) is the reader's right, not an error.
fn print_line(line: &str) {
    use std::io::Write;
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
