//! `ffcl-gpu completions` and `ffcl-gpu man`: what a shell and `man` know about the program.

use super::arguments::{Arguments, CompletionsOptions, ManOptions};
use super::terminal::print;
use clap::CommandFactory;
use ffcl_gpu::{Error, Result};

/// Prints a shell's script.
pub fn script(options: &CompletionsOptions) -> Result<()> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, env!("CARGO_PKG_NAME"), &mut script);
    print(&script)
}

/// Prints a manual page in roff.
pub fn manual(options: &ManOptions) -> Result<()> {
    let mut command = Arguments::command();
    command.build();
    let page = match &options.command {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            Error::Configuration(format!("there is no command {name}; give one of {}", names.join(", ")))
        })?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Error::file("write", "the manual page", error, "report this as a bug"))?;
    print(&text)
}
