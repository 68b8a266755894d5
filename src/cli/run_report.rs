//! `ffcl-gpu report`.

use super::arguments::RunReportOptions;
use super::terminal::print_line;
use ffcl_gpu::{Error, Result, report};
use std::path::{Path, PathBuf};

/// The default file of a comparison.
const COMPARISON: &str = "comparison.html";

pub fn run(options: &RunReportOptions) -> Result<()> {
    let written = match &options.folders[..] {
        [folder] => {
            if let Some(path) = &options.out {
                let message = format!("--out {} is for several runs; one run's report stands in its folder", path.display());
                return Err(Error::Configuration(message));
            }
            report::write(folder)?
        }
        folders => {
            let path = options.out.clone().unwrap_or_else(|| PathBuf::from(COMPARISON));
            report::compare(folders, Path::new(&path))?;
            path
        }
    };
    print_line(&written.display().to_string())
}
