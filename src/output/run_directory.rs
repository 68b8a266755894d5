//! The directory of a run: `config.json` before the first step, a line of `metrics.jsonl` for each epoch and replica,
//! `checkpoint.safetensors` after epochs and wherever the run stops, and `model.safetensors` at the end.

use super::checkpoint;
use super::description::ModelDescription;
use super::weights::{self, read};
use super::whole_file::{REMEDY, remove_unfinished, write_whole};
use crate::config::TrainingConfig;
use crate::engine::DeviceDescription;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::train::{ReplicaReport, TrainingState};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What was asked for, and where it ran.
pub const CONFIG: &str = "config.json";
/// A line for each epoch and replica.
pub const METRICS: &str = "metrics.jsonl";
/// The weights of a run that ended.
pub const MODEL: &str = "model.safetensors";
/// The answers on the test set of a run that ended.
pub const EVALUATION: &str = "evaluation.json";
/// The last checkpoint.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Everything needed to repeat a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord<'a, O: Serialize> {
    /// The program's version.
    pub version: &'static str,
    /// The options of `train`, all that matter, by their names.
    pub options: &'a O,
    /// The data set's name.
    pub dataset: &'a str,
    /// Training images used.
    pub train_images: usize,
    /// Test images used.
    pub test_images: usize,
    /// Where it ran.
    pub device: &'a DeviceDescription,
}

/// Reads the options of a TOML file, or of a run's `config.json`. `remedy` is for a file that is not there.
pub fn read_options(path: &Path, remedy: &str) -> Result<Map<String, Value>> {
    let fail = |problem: String, remedy: &str| Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() };
    let bytes = read(path, remedy)?;
    let text = String::from_utf8(bytes).map_err(|_| fail("is no text".into(), remedy))?;
    if text.trim_start().starts_with('{') {
        let mut record: Map<String, Value> =
            serde_json::from_str(&text).map_err(|error| fail(format!("is no JSON: {error}"), "mend the file"))?;
        return match record.remove("options") {
            Some(Value::Object(options)) => Ok(options),
            _ => Err(fail("has no `options`".into(), "give the config.json of a run of this version")),
        };
    }
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        fail(format!("is no TOML: line {line}: {message}"), "mend the file")
    })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(options)) => Ok(options),
        _ => Err(fail("holds values that no option has".into(), "mend the file")),
    }
}

/// An open run directory. Nobody else can write to it meanwhile.
pub struct RunDirectory {
    path: PathBuf,
    metrics: File,
}

/// A run that goes on.
pub struct Reopened {
    /// Its folder.
    pub directory: RunDirectory,
    /// Where it stopped; nothing where it never came to a checkpoint.
    pub state: Option<TrainingState>,
    /// The reports of its whole epochs.
    pub history: Vec<ReplicaReport>,
}

impl RunDirectory {
    /// Creates the directory and its first files. A directory that already holds a run is refused.
    pub fn create<O: Serialize>(path: &Path, record: &RunRecord<O>) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|error| Error::file("create the folder", path, error, REMEDY))?;
        let held = || {
            let path = path.display();
            Error::Configuration(format!(
                "--out {path} already holds a run; go on with it by --resume {path}, give another folder, or remove it"
            ))
        };
        if [CONFIG, METRICS, MODEL, CHECKPOINT].iter().any(|name| path.join(name).exists()) {
            return Err(held());
        }
        write_record(path, record)?;
        let metrics_path = path.join(METRICS);
        let metrics = File::create_new(&metrics_path).map_err(|error| match error.kind() {
            // Somebody else was faster.
            ErrorKind::AlreadyExists => held(),
            _ => Error::file("create", &metrics_path, error, REMEDY),
        })?;
        Self { path: path.to_owned(), metrics }.locked()
    }

    /// The same in a new folder `runs/<name>`, with a number behind it where that is taken.
    pub fn create_named<O: Serialize>(name: &str, record: &RunRecord<O>) -> Result<Self> {
        let runs = Path::new("runs");
        const REMEDY: &str = "give --out a folder that can be written, or --no-out";
        std::fs::create_dir_all(runs).map_err(|error| Error::file("create the folder", runs, error, REMEDY))?;
        for number in 1u32.. {
            let path = runs.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
            match std::fs::create_dir(&path) {
                Ok(()) => return Self::create(&path, record),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::file("create the folder", path, error, REMEDY)),
            }
        }
        Err(Error::Configuration(format!("runs/{name} and all its numbers are taken; give --out")))
    }

    /// Opens the directory of a run of `config` that goes on. Reports that the last checkpoint does not cover are forgotten.
    pub fn reopen(path: &Path, config: &TrainingConfig, steps_per_epoch: usize) -> Result<Reopened> {
        let metrics_path = path.join(METRICS);
        let open = OpenOptions::new().read(true).write(true).open(&metrics_path);
        let metrics = open.map_err(|error| {
            Error::file("open", &metrics_path, error, "give --resume the folder of a run, which can be written")
        })?;
        let mut directory = Self { path: path.to_owned(), metrics }.locked()?;
        remove_unfinished(path).map_err(|error| Error::file("tidy up", path, error, REMEDY))?;
        let checkpoint = path.join(CHECKPOINT);
        let state = match checkpoint.exists() {
            true => Some(checkpoint::load(&checkpoint, config, steps_per_epoch)?),
            false => None,
        };
        let whole_epochs = state.as_ref().map_or(0, |state| state.position.epoch - u32::from(state.running.is_some()));
        let (history, length) = read_history(&metrics_path, whole_epochs)?;
        if history.len() != whole_epochs as usize * config.replicas {
            return Err(Error::Format {
                path: metrics_path,
                problem: format!(
                    "holds {} reports of the {whole_epochs} epochs of {} replicas that the checkpoint stands behind",
                    history.len(),
                    config.replicas
                ),
                remedy: "restore the file, or train again in a new folder".into(),
            });
        }
        let cut = directory.metrics.set_len(length).and_then(|()| directory.metrics.seek(SeekFrom::Start(length)));
        cut.map_err(|error| Error::file("write", &metrics_path, error, REMEDY))?;
        Ok(Reopened { directory, state, history })
    }

    /// Holds the lock for as long as the file is open: the system lets go of it even where the program is killed.
    fn locked(self) -> Result<Self> {
        match self.metrics.try_lock() {
            Ok(()) => Ok(self),
            Err(TryLockError::WouldBlock) => Err(Error::Configuration(format!(
                "another process is training in {}; wait for it, or give another folder",
                self.path.display()
            ))),
            // File systems without locks: two processes in one folder are then the user's business.
            Err(TryLockError::Error(_)) => Ok(self),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the record: the run goes on with other options, or elsewhere.
    pub fn rewrite<O: Serialize>(&self, record: &RunRecord<O>) -> Result<()> {
        write_record(&self.path, record)
    }

    /// Removes what only a run that has ended has: it would not be of the run that goes on. The weights stand in the checkpoint, too.
    pub fn forget_results(&self) -> Result<()> {
        for name in [MODEL, EVALUATION] {
            let path = self.path.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("remove", path, error, REMEDY)),
                _ => {}
            }
        }
        Ok(())
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

    /// Replaces the checkpoint.
    pub fn checkpoint(&self, state: &TrainingState, model: &ModelDescription, seed: u64) -> Result<()> {
        checkpoint::save(&self.path.join(CHECKPOINT), state, model, seed)
    }

    /// Writes the weights.
    pub fn finish(&self, parameters: &Parameters, model: &ModelDescription) -> Result<PathBuf> {
        let path = self.path.join(MODEL);
        weights::save(&path, parameters, model)?;
        Ok(path)
    }
}

/// Reads the reports of a run.
pub fn read_metrics(directory: &Path) -> Result<Vec<ReplicaReport>> {
    Ok(read_history(&directory.join(METRICS), u32::MAX)?.0)
}

/// The reports of the first `epochs` epochs, and the bytes of the file that hold them. A line that breaks off, as a killed process
/// leaves it, ends the file.
fn read_history(path: &Path, epochs: u32) -> Result<(Vec<ReplicaReport>, u64)> {
    let bytes = read(path, "give the folder of a run")?;
    let (mut reports, mut length) = (Vec::new(), 0);
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if line.last() != Some(&b'\n') {
            break;
        }
        let report: ReplicaReport = serde_json::from_slice(line).map_err(|error| Error::Format {
            path: path.to_owned(),
            problem: format!("is damaged at line {}: {error}", index + 1),
            remedy: "restore the file, or train again in a new folder".into(),
        })?;
        if report.epoch > epochs {
            break;
        }
        reports.push(report);
        length += line.len() as u64;
    }
    Ok((reports, length))
}

fn write_record<O: Serialize>(path: &Path, record: &RunRecord<O>) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| json_error(path, &error))?;
    text.push(b'\n');
    write_whole(&path.join(CONFIG), &text)
}

fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    Error::Format { path: path.to_owned(), problem: format!("cannot take JSON: {error}"), remedy: "report this as a bug".into() }
}
