//! `study.json`: what a folder's results belong to, so that a report needs neither the study's file nor data.

use super::grid::Cell;
use super::request::{Study, check_seeds};
use crate::bounded_file;
use crate::error::{Error, Result};
use crate::output::whole_file::write_whole;
use crate::text;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::Path;

const NAME: &str = "study.json";

/// The most that it may have: 64 MiB, some fifty thousand cells.
const LARGEST: u64 = 64 << 20;

/// The study and all its cells, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The study's title.
    pub title: String,
    /// The variant that the others are compared with.
    pub baseline: Option<String>,
    /// Training images that are measured on instead of the test set.
    pub hold_out: Option<usize>,
    /// The first seed of each cell.
    pub first_seed: u64,
    /// Seeds of each cell.
    pub seeds: usize,
    /// The cells.
    pub cells: Vec<Cell>,
}

impl Manifest {
    /// The study with its cells.
    pub fn new(study: &Study, cells: Vec<Cell>) -> Self {
        Self {
            title: study.title.clone(),
            baseline: study.baseline.clone(),
            hold_out: study.hold_out,
            first_seed: study.first_seed,
            seeds: study.seeds,
            cells,
        }
    }

    /// The seeds of each cell.
    pub fn all_seeds(&self) -> impl Iterator<Item = u64> + use<> {
        (self.first_seed..).take(self.seeds)
    }

    /// Writes it into the study's folder; all shards write the same.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_whole(&folder.join(NAME), format!("{:#}\n", serde_json::json!(self)).as_bytes())
    }

    /// Reads it from a study's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let remedy = "give a folder that `ffcl-gpu study FILE.toml --out` has made";
        let bytes = bounded_file::read(&path, LARGEST, remedy)?;
        let fail = |problem: &dyn Display| Error::Format {
            path: path.clone(),
            problem: format!("is not the description of a study: {problem}"),
            remedy: "run the study again, which writes it anew".into(),
        };
        let manifest: Self = text::json(&bytes).map_err(|error| fail(&error))?;
        check_seeds(manifest.first_seed, manifest.seeds).map_err(|error| fail(&error))?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What counts them would overflow, or never end.
    #[test]
    fn seeds_that_no_study_has_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest { title: "A".into(), baseline: None, hold_out: None, first_seed: 1, seeds: 2, cells: Vec::new() };
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        for (first_seed, seeds, part) in
            [(1, 0, "seeds = 0"), (1, 1 << 62, "seeds = 4611686018427387904"), (u64::MAX, 1, "first-seed")]
        {
            Manifest { first_seed, seeds, ..manifest.clone() }.write(folder.path()).unwrap();
            let message = Manifest::read(folder.path()).unwrap_err().to_string();
            assert!(message.contains("study.json is not the description of a study") && message.contains(part), "{message}");
        }
    }
}
