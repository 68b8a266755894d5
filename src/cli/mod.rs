//! The commands: each turns arguments into a configuration, runs the library, and prints what comes back.

pub mod annotation;
mod arguments;
mod audit;
mod bench;
mod completions;
pub mod config_file;
mod data;
mod data_command;
mod data_options;
mod device_options;
mod devices;
mod display;
mod evaluate;
mod export;
mod interruption;
mod pictures;
mod predict;
mod predict_rows;
mod preparation;
mod program;
mod recorder;
mod run_report;
mod session;
mod study;
pub mod terminal;
mod test_set;
mod train;
mod train_options;
mod trained_options;
mod tune;
mod tuning;
mod verify;

use arguments::{Arguments, Command};
use ffcl_gpu::Result;
use std::process::ExitCode;

/// Runs a command; its exit code is a failure if a check failed.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Train(options) => train::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Study(options) => study::run(&options),
        Command::Data(command) => data::run(&command),
        Command::Evaluate(options) => evaluate::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Predict(options) => predict::run(&options),
        Command::Export(options) => export::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Report(options) => run_report::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Program(options) => program::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Tune(options) => tune::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Devices(options) => devices::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Completions(options) => completions::script(&options).map(|()| ExitCode::SUCCESS),
    }
}
