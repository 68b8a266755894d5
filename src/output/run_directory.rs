//! The directory of a run: `config.json` before the first step, a line of `metrics.jsonl` for each epoch and replica,
//! `checkpoint.safetensors` after epochs and wherever the run stops, and `model.safetensors` at the end.

use super::checkpoint::{self, CHECKPOINT, Identity};
use super::description::ModelDescription;
use super::weights::{self, MODEL};
use super::whole_file::{REMEDY, remove_unfinished, write_whole};
use crate::bounded_file;
use crate::config::{TrainingConfig, take_removed};
use crate::engine::DeviceDescription;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::text;
use crate::train::{ReplicaReport, TrainingState};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What was asked for, and where it ran.
pub const CONFIG: &str = "config.json";
/// A line for each epoch and replica.
pub const METRICS: &str = "metrics.jsonl";
/// The answers on the test set of a run that ended.
pub const EVALUATION: &str = "evaluation.json";
/// The run on a page,
pub const PAGE: &str = "report.html";
/// and its curves as a picture.
pub const CURVES: &str = "curves.svg";
/// Locked while a process writes to the folder. Not `metrics.jsonl` itself, which others may want to read meanwhile.
const LOCK: &str = ".lock";
/// The most that a file of options or the record of a run may have: 1 MiB, a thousand times what `train` writes.
pub const LARGEST_CONFIG: u64 = 1 << 20;
/// The most that a line of `metrics.jsonl` may have: 1 MiB, above ten times what the deepest network needs.
const LARGEST_LINE: u64 = 1 << 20;

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

/// Options from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOptions {
    /// Their values, by name.
    pub values: Map<String, Value>,
    /// Whether it is the record of a run, which has them all, and not a file written by hand.
    pub is_record: bool,
}

/// Reads the options of a TOML file, or of a run's `config.json`. `remedy` is for a file that is not there.
pub fn read_options(path: &Path, remedy: &str) -> Result<FileOptions> {
    parse_options(path, &bounded_file::read(path, LARGEST_CONFIG, remedy)?, remedy)
}

/// The same from a file's bytes; `name` is for messages.
pub fn parse_options(name: &Path, bytes: &[u8], remedy: &str) -> Result<FileOptions> {
    let fail = |problem: String, remedy: &str| Error::Format { path: name.to_owned(), problem, remedy: remedy.to_owned() };
    let decoded = text::decode(bytes).ok_or_else(|| fail("is no text".into(), remedy))?;
    let text = decoded.as_ref();
    if text.trim_start().starts_with('{') {
        let mut record: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| fail(format!("is not JSON: {error}"), "correct the file"))?;
        return match record.remove("options") {
            Some(Value::Object(mut values)) => {
                take_removed(&mut values).map_err(|problem| fail(problem, "train again in a new folder"))?;
                Ok(FileOptions { values, is_record: true })
            }
            _ => Err(fail("has no `options`".into(), "give the config.json of a run of this version")),
        };
    }
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let message = crate::text::plain(error.message());
        fail(format!("is not TOML: line {line}: {message}"), "correct the file")
    })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(values)) => Ok(FileOptions { values, is_record: false }),
        _ => Err(fail("holds values that no option has".into(), "correct the file")),
    }
}

/// Reads the record of a run.
pub fn read_record(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(CONFIG);
    let bytes = bounded_file::read(&path, LARGEST_CONFIG, "give the folder of a run, as `train` writes it")?;
    let fail = |problem: String| Error::Format {
        path: path.clone(),
        problem: format!("is not the record of a run: {problem}"),
        remedy: "give the folder of a run, as `train` writes it".into(),
    };
    text::json(&bytes).map_err(fail)
}

/// An open run directory, locked against other writers.
pub struct RunDirectory {
    path: PathBuf,
    metrics: File,
    /// Held for as long as it is open: the system lets go of it even where the program is killed.
    _lock: File,
}

/// A run that may go on.
pub struct Reopened {
    /// Its folder, in which nothing has changed yet.
    pub directory: RunDirectory,
    /// Where it stopped; nothing if it wrote no checkpoint.
    pub state: Option<TrainingState>,
    /// The reports of its whole epochs; of all epochs where nothing is left to do.
    pub history: Vec<ReplicaReport>,
    /// Bytes of `metrics.jsonl` that hold them.
    length: u64,
    /// Epochs in `metrics.jsonl` that are written again, since the run stopped before its first checkpoint.
    pub forgotten: u32,
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
        let is_taken = || [CONFIG, METRICS, MODEL, CHECKPOINT].iter().any(|name| path.join(name).exists());
        // Asked before anything is written, and again by the one who holds the lock.
        if is_taken() {
            return Err(held());
        }
        let lock = lock(path)?;
        if is_taken() {
            return Err(held());
        }
        write_record(path, record)?;
        let metrics_path = path.join(METRICS);
        let metrics = File::create_new(&metrics_path).map_err(|error| Error::file("create", &metrics_path, error, REMEDY))?;
        Ok(Self { path: path.to_owned(), metrics, _lock: lock })
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

    /// Opens the directory of a run of `config`, and changes nothing in it.
    pub fn reopen(path: &Path, config: &TrainingConfig, of: Identity, steps_per_epoch: usize) -> Result<Reopened> {
        let lock = lock(path)?;
        let checkpoint = path.join(CHECKPOINT);
        let state = match checkpoint.exists() {
            true => Some(checkpoint::load(&checkpoint, config, of, steps_per_epoch)?),
            false => None,
        };
        let forgotten = if state.is_none() { epochs_before_checkpoint(path)? } else { 0 };
        let metrics_path = path.join(METRICS);
        // A process that was killed at its very beginning may have left none.
        let open = OpenOptions::new().write(true).create(state.is_none()).truncate(false).open(&metrics_path);
        let metrics = open.map_err(|error| {
            Error::file("open", &metrics_path, error, "give --resume the folder of a run, which can be written")
        })?;
        let epochs = state.as_ref().map_or(0, |TrainingState { position, .. }| {
            let unfinished = position.is_inside_epoch(steps_per_epoch) && !position.is_end_of(config, steps_per_epoch);
            position.epoch - u32::from(unfinished)
        });
        let (history, length) = read_history(&metrics_path, epochs)?;
        let problem = if history.len() != epochs as usize * config.replicas {
            let (held, replicas) = (history.len(), config.replicas);
            Some(format!("holds {held} reports, but the checkpoint stands after {epochs} epochs of {replicas} replicas"))
        } else if !ReplicaReport::are_history(&history, config) {
            Some("holds reports that are not, one after the other, those of the epochs, replicas and layers of this run".into())
        } else {
            None
        };
        if let Some(problem) = problem {
            let remedy = "restore the file, or train again in a new folder".into();
            return Err(Error::Format { path: metrics_path, problem, remedy });
        }
        Ok(Reopened { directory: Self { path: path.to_owned(), metrics, _lock: lock }, state, history, length, forgotten })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Replaces the checkpoint, behind the lines that it covers.
    pub fn checkpoint(&self, state: &TrainingState, of: Identity) -> Result<()> {
        let unsynced = |error| Error::file("write", self.path.join(METRICS), error, "free some space and resume");
        self.metrics.sync_data().map_err(unsynced)?;
        checkpoint::save(&self.path.join(CHECKPOINT), state, of)
    }

    /// Writes the weights.
    pub fn finish(&self, parameters: &Parameters, model: &ModelDescription) -> Result<PathBuf> {
        let path = self.path.join(MODEL);
        weights::save(&path, parameters, model)?;
        Ok(path)
    }
}

impl Reopened {
    /// The run goes on: what its checkpoint does not cover is forgotten, and what only a run that has ended has, since it would
    /// not be of this one. (The weights stand in the checkpoint, too.)
    pub fn go_on<O: Serialize>(self, record: &RunRecord<O>) -> Result<RunDirectory> {
        let mut directory = self.directory;
        let path = &directory.path;
        remove_unfinished(path).map_err(|error| Error::file("tidy up", path, error, REMEDY))?;
        write_record(path, record)?;
        for name in [MODEL, EVALUATION, PAGE, CURVES] {
            let path = path.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("remove", path, error, REMEDY)),
                _ => {}
            }
        }
        let cut = directory.metrics.set_len(self.length);
        let cut = cut.and_then(|()| directory.metrics.seek(SeekFrom::Start(self.length)));
        cut.map_err(|error| Error::file("write", path.join(METRICS), error, REMEDY))?;
        Ok(directory)
    }
}

/// The epochs that a run without a checkpoint reported. There are fewer than between two checkpoints where it stopped before its
/// first one; else the checkpoint was removed, and to begin anew would overwrite what the run has left.
fn epochs_before_checkpoint(path: &Path) -> Result<u32> {
    let epochs = match path.join(METRICS).exists() {
        true => read_metrics(path)?.last().map_or(0, |report| report.epoch),
        false => 0,
    };
    let options = read_record(path)?.remove("options").unwrap_or_default();
    let every = options.get("checkpoint-every").and_then(Value::as_u64).unwrap_or(1);
    if u64::from(epochs) <= every && [MODEL, EVALUATION].iter().all(|name| !path.join(name).exists()) {
        return Ok(epochs);
    }
    let config = path.join(CONFIG);
    Err(Error::Format {
        path: path.join(CHECKPOINT),
        problem: format!("is missing, but the run has reported {epochs} epochs, which starting again would overwrite"),
        remedy: format!("restore it, or begin a new run with --config {}", config.display()),
    })
}

/// Takes the lock of a run's folder.
fn lock(path: &Path) -> Result<File> {
    let file = path.join(LOCK);
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&file);
    let open = open.map_err(|error| Error::file("open", &file, error, "give the folder of a run that can be written"))?;
    match open.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Configuration(format!(
            "another process is training in {}; wait for it, or give another folder",
            path.display()
        ))),
        // File systems without locks: two processes in one folder are then the user's business.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(open),
    }
}

/// Reads the reports of a run.
pub fn read_metrics(directory: &Path) -> Result<Vec<ReplicaReport>> {
    Ok(read_history(&directory.join(METRICS), u32::MAX)?.0)
}

/// The reports of the first `epochs` epochs, and the bytes of the file that hold them. A line that breaks off, as a killed process
/// leaves it, ends the file.
fn read_history(path: &Path, epochs: u32) -> Result<(Vec<ReplicaReport>, u64)> {
    let file = File::open(path).map_err(|error| Error::file("read", path, error, "give the folder of a run"))?;
    parse_history(path, BufReader::new(file), epochs)
}

/// The same from the file's content; `name` is for messages.
pub fn parse_history(name: &Path, mut file: impl BufRead, epochs: u32) -> Result<(Vec<ReplicaReport>, u64)> {
    let damaged = |line: usize, problem: &dyn Display| Error::Format {
        path: name.to_owned(),
        problem: format!("is damaged at line {line}: {problem}"),
        remedy: "restore the file, or train again in a new folder".into(),
    };
    let (mut reports, mut length, mut line) = (Vec::new(), 0, Vec::new());
    for number in 1.. {
        line.clear();
        let read = file.by_ref().take(LARGEST_LINE).read_until(b'\n', &mut line);
        read.map_err(|error| Error::file("read", name, error, "give the folder of a run"))?;
        if line.last() != Some(&b'\n') {
            if line.len() as u64 == LARGEST_LINE {
                return Err(damaged(number, &format!("it has more than {LARGEST_LINE} bytes")));
            }
            break;
        }
        // Editors put a byte order mark at the beginning.
        let json = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        let report: ReplicaReport = serde_json::from_slice(json).map_err(|error| damaged(number, &error))?;
        if report.epoch > epochs {
            break;
        }
        reports.push(report);
        length += line.len() as u64;
    }
    Ok((reports, length))
}

fn write_record<O: Serialize>(path: &Path, record: &RunRecord<O>) -> Result<()> {
    write_json(&path.join(CONFIG), record)
}

/// Writes a record as JSON for people, too.
pub fn write_json(path: &Path, record: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| json_error(path, &error))?;
    text.push(b'\n');
    write_whole(path, &text)
}

fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    Error::Format { path: path.to_owned(), problem: format!("cannot take JSON: {error}"), remedy: "report this as a bug".into() }
}
