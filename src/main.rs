//! The command line. Parses, runs, prints errors as one line, and turns them into exit codes: 2 for a request that cannot be
//! carried out as given, 1 for work that failed.

// Whatever a user gives is answered with an error, never with a panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo))]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let ran = cli::config_file::parse(std::env::args_os().collect()).and_then(cli::run);
    match ran {
        Ok(code) => code,
        Err(error) => {
            cli::terminal::report(&format!("error: {error}"));
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}
