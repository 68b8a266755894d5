//! An audit that was stopped: what it keeps in its folder, and how it goes on as if it had never stopped.

use super::{RECORD, TABLE};
use crate::bounded_file;
use crate::config::{RunOptions, TrainingConfig};
use crate::engine::Job;
use crate::error::{Error, Result};
use crate::output::checkpoint::{self, Beside, Identity};
use crate::output::description::ModelDescription;
use crate::text;
use crate::train::{Judgements, TrainingState};
use serde_json::{Map, Value, json};
use std::io::ErrorKind;
use std::path::Path;

/// Weights and opinions of an audit that was stopped. Not the name of a run's checkpoint, whose folder may be the same.
pub const CHECKPOINT: &str = "audit.safetensors";

/// The tensor of the opinions.
const JUDGEMENTS: &str = "judgements";

/// The record of an audit that was stopped has the reports of its epochs.
const LARGEST_RECORD: u64 = 64 << 20;

/// Whether a folder holds an audit that was stopped.
pub fn is_stopped(folder: &Path) -> bool {
    folder.join(CHECKPOINT).exists() && !folder.join(TABLE).exists()
}

/// The record of the audit that was stopped in `folder`; fails where it was another one than that of `config`.
pub fn check_same(folder: &Path, config: &TrainingConfig, folds: usize) -> Result<Map<String, Value>> {
    const REMEDY: &str = "give --out another folder, or remove this one";
    let path = folder.join(RECORD);
    let bytes = bounded_file::read(&path, LARGEST_RECORD, REMEDY)?;
    let fail = |problem: String| Error::Format {
        path: path.clone(),
        problem: format!("is no record of an audit: {problem}"),
        remedy: REMEDY.into(),
    };
    let record: Map<String, Value> = text::json(&bytes).map_err(fail)?;
    let mut now = json!(RunOptions::of(config));
    now["seed"] = json!(config.seed);
    now["replicas"] = json!(config.replicas);
    now["folds"] = json!(folds);
    let before = |name: &str| match name {
        "seed" | "replicas" | "folds" => record.get(name),
        _ => record.get("options").and_then(|options| options.get(name)),
    };
    // Read as the record was: a number may lose its last digit.
    let now: Map<String, Value> = text::json(now.to_string().as_bytes()).map_err(fail)?;
    let others = now.iter().find(|(name, value)| before(name) != Some(value));
    match others {
        None => Ok(record),
        Some((name, value)) => {
            let (folder, was) = (folder.display(), before(name).map_or_else(|| "none".to_owned(), Value::to_string));
            Err(Error::Configuration(format!(
                "--out {folder} holds an audit that was stopped, with --{name} {was}, and now it is {value}; give what was given then, or another folder"
            )))
        }
    }
}

/// Keeps an audit as far as it got.
pub fn keep(folder: &Path, job: Job, state: &TrainingState, judgements: &Judgements) -> Result<()> {
    let (model, data) = (ModelDescription::of(job), job.dataset.checksum());
    let of = Identity { model: &model, seed: job.config.seed, data: &data };
    let words = judgements.to_words();
    checkpoint::save_with(&folder.join(CHECKPOINT), state, of, Beside { name: JUDGEMENTS, words: &words })
}

/// What was kept.
pub fn take_up(folder: &Path, job: Job) -> Result<(TrainingState, Judgements)> {
    let path = folder.join(CHECKPOINT);
    let (model, data) = (ModelDescription::of(job), job.dataset.checksum());
    let of = Identity { model: &model, seed: job.config.seed, data: &data };
    let (images, classes) = (job.dataset.train.count(), job.dataset.classes());
    let steps_per_epoch = job.steps_per_epoch();
    let tensor = (JUDGEMENTS, Judgements::words(images, classes));
    let (state, words) = checkpoint::load_with(&path, job.config, of, steps_per_epoch, tensor)?;
    let judgements = Judgements::from_words(images, classes, &words).ok_or_else(|| Error::Format {
        path,
        problem: format!("holds opinions of other images than these {images}"),
        remedy: "give --out another folder".into(),
    })?;
    Ok((state, judgements))
}

/// Removes what was kept of an audit that has ended.
pub fn forget(folder: &Path) -> Result<()> {
    let path = folder.join(CHECKPOINT);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path, error, "remove it")),
        _ => Ok(()),
    }
}
