//! The commands: each turns arguments into a configuration, runs the library, and prints what comes back.

pub mod arguments;
mod bench;
mod completions;
pub mod config_file;
mod data;
mod data_options;
mod device_options;
mod devices;
mod display;
mod evaluate;
mod export;
mod interruption;
mod pictures;
mod predict;
mod recorder;
mod run_report;
mod session;
mod study;
mod train;
mod train_options;
mod trained_options;
mod verify;

use arguments::{Arguments, Command};
use ffcl_gpu::{Error, Result};
use std::io::Write;
use std::process::ExitCode;

/// Runs a command; its exit code is a failure where a check failed.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Train(options) => train::run(&options),
        Command::Study(options) => study::run(&options),
        Command::Data(command) => data::run(&command),
        Command::Evaluate(options) => evaluate::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Predict(options) => predict::run(&options),
        Command::Export(options) => export::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Report(options) => run_report::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Devices(options) => devices::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Completions(options) => completions::script(&options).map(|()| ExitCode::SUCCESS),
        Command::Man(options) => completions::manual(&options).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints a line to standard output. A reader that left (`| head`) is no error, and ends no run: it may have files to write.
fn print_line(line: &str) -> Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// Prints to standard output, likewise.
fn print(content: &[u8]) -> Result<()> {
    match std::io::stdout().write_all(content).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file("write", "standard output", error, "free some space or send the output elsewhere"))
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard error, if anybody listens there.
pub fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
