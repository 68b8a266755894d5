//! A run for people: `report.html`, one file that needs no network, and its curves as `curves.svg`. Several runs side by side on
//! one page.

mod audit;
mod charts;
mod content;
mod curves;
mod page;
mod pictures;

pub use audit::{AuditPage, AuditRow};
pub use content::TestAnswers;

use crate::error::{Error, Result};
use crate::output::run_directory::{CURVES, PAGE};
use crate::output::whole_file::write_whole;
use content::Run;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Writes the page and the picture of the run in `folder`, as far as it got.
pub fn write(folder: &Path) -> Result<PathBuf> {
    let run = Run::read(folder)?;
    let page = page::of_run(&run).map_err(|problem| undrawable(folder, problem))?;
    let picture = charts::picture(&curves::of_run(&run.metrics)).map_err(|problem| undrawable(folder, problem))?;
    let path = folder.join(PAGE);
    write_whole(&path, page.as_bytes())?;
    write_whole(&folder.join(CURVES), picture.as_bytes())?;
    Ok(path)
}

/// Writes a page that compares the runs in `folders`.
pub fn compare(folders: &[PathBuf], path: &Path) -> Result<()> {
    let mut runs = folders.iter().map(|folder| Run::read(folder)).collect::<Result<Vec<_>>>()?;
    let names: BTreeSet<&String> = runs.iter().map(|run| &run.name).collect();
    // Names that do not tell runs apart are told by where they are.
    if names.len() < runs.len() {
        runs.iter_mut().zip(folders).for_each(|(run, folder)| run.name = folder.display().to_string());
    }
    let page = page::of_comparison(&runs).map_err(|problem| undrawable(path, problem))?;
    write_whole(path, page.as_bytes())
}

/// Writes the page of suspect labels.
pub fn write_audit(path: &Path, page: &AuditPage) -> Result<()> {
    let page = page.render().map_err(|problem| undrawable(path, problem))?;
    write_whole(path, page.as_bytes())
}

fn undrawable(path: &Path, problem: String) -> Error {
    Error::Format {
        path: path.to_owned(),
        problem: format!("gets no report: {problem}"),
        remedy: "report this as a bug; metrics.jsonl holds the numbers".into(),
    }
}
