//! `ffcl-gpu completions`.

use super::arguments::{Arguments, CompletionsOptions};
use super::terminal::print;
use clap::CommandFactory;
use ffcl_gpu::Result;

/// Prints a shell's script.
pub fn script(options: &CompletionsOptions) -> Result<()> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, env!("CARGO_PKG_NAME"), &mut script);
    print(&script)
}
