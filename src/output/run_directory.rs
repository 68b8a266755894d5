//! The directory of `--out`: `config.json` before the first step, a line of `metrics.jsonl` for each epoch and replica, and
//! `model.safetensors` at the end.

use super::weights;
use super::whole_file::{REMEDY, write_whole};
use crate::config::TrainingConfig;
use crate::dataset::folder::FolderOptions;
use crate::engine::DeviceDescription;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::train::ReplicaReport;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";

/// Everything needed to repeat a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord<'a> {
    /// The program's version.
    pub version: &'static str,
    /// The data set's name.
    pub dataset: &'a str,
    /// Where it was read from, if from files.
    pub data_dir: Option<&'a Path>,
    /// How it was read, if it is a folder of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderOptions>,
    /// Training images used.
    pub train_images: usize,
    /// Test images used.
    pub test_images: usize,
    /// Where the first weights came from, if from a file.
    pub init_from: Option<&'a Path>,
    /// The run.
    pub training: &'a TrainingConfig,
    /// Where it ran.
    pub device: &'a DeviceDescription,
}

/// An open run directory.
pub struct RunDirectory {
    path: PathBuf,
    metrics: File,
}

impl RunDirectory {
    /// Creates the directory and its first files. A directory that already holds a run is refused.
    pub fn create(path: &Path, record: &RunRecord) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|error| Error::file("create the folder", path, error, REMEDY))?;
        let held =
            || Error::Configuration(format!("--out {} already holds a run; give another folder or remove it", path.display()));
        if [CONFIG, METRICS, MODEL].iter().any(|name| path.join(name).exists()) {
            return Err(held());
        }
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| json_error(path, &error))?;
        text.push(b'\n');
        write_whole(&path.join(CONFIG), &text)?;
        let metrics_path = path.join(METRICS);
        let metrics = File::create_new(&metrics_path).map_err(|error| match error.kind() {
            // Somebody else was faster.
            std::io::ErrorKind::AlreadyExists => held(),
            _ => Error::file("create", &metrics_path, error, REMEDY),
        })?;
        Ok(Self { path: path.to_owned(), metrics })
    }

    /// Appends one epoch, a line for each replica.
    pub fn append(&mut self, reports: &[ReplicaReport]) -> Result<()> {
        let mut lines = Vec::new();
        for report in reports {
            serde_json::to_writer(&mut lines, report).map_err(|error| json_error(&self.path, &error))?;
            lines.push(b'\n');
        }
        let path = || self.path.join(METRICS);
        self.metrics.write_all(&lines).map_err(|error| Error::file("write", path(), error, "free some space and run again"))
    }

    /// Writes the weights.
    pub fn finish(&self, parameters: &Parameters) -> Result<PathBuf> {
        let path = self.path.join(MODEL);
        weights::save(&path, parameters)?;
        Ok(path)
    }
}

fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    Error::Format { path: path.to_owned(), problem: format!("cannot take JSON: {error}"), remedy: "report this as a bug".into() }
}
