//! `checkpoint.safetensors`: what a run needs to go on as if it had never stopped.
//!
//! Beside the weights, under the names of `model.safetensors`, stand `first_moments.…` and `second_moments.…` of each, and in the
//! middle of an epoch `epoch_start.…` and `row_sums`. The metadata says where the run stands and holds a checksum of everything.

use super::description::{CheckpointHeader, FORMAT, Header, ModelDescription};
use super::tensors::{TensorFile, Tensors, add, add_parameters, checksum, save as save_tensors};
use super::weights::read;
use crate::config::TrainingConfig;
use crate::error::Result;
use crate::model::Parameters;
use crate::train::{RunningEpoch, TrainingState};
use std::path::Path;

const FIRST: &str = "first_moments.";
const SECOND: &str = "second_moments.";
const START: &str = "epoch_start.";
const SUMS: &str = "row_sums";

/// What to do with a checkpoint that cannot be used.
const REMEDY: &str = "train again in a new folder; the folder's model.safetensors, if there is one, still serves --init-from";

/// Writes a checkpoint. Whatever happens, the file at `path` is the old one or the new one, whole.
pub fn save(path: &Path, state: &TrainingState, model: &ModelDescription, seed: u64) -> Result<()> {
    let mut tensors = Tensors::new();
    add_parameters(&mut tensors, "", &state.parameters);
    add_parameters(&mut tensors, FIRST, &state.first_moments);
    add_parameters(&mut tensors, SECOND, &state.second_moments);
    if let Some(running) = &state.running {
        add_parameters(&mut tensors, START, &running.start);
        add(&mut tensors, SUMS.into(), &[running.row_sums.len()], &running.row_sums);
    }
    let sha256 = checksum(tensors.iter().map(|(name, (_, bytes))| (name.as_str(), &bytes[..])));
    let checkpoint = CheckpointHeader { position: state.position, seed, sha256 };
    save_tensors(path, &tensors, &Header { format: FORMAT, model: model.clone(), checkpoint: Some(checkpoint) })
}

/// Reads the checkpoint of a run of `config`; `steps_per_epoch` tells whether it stands inside an epoch.
pub fn load(path: &Path, config: &TrainingConfig, steps_per_epoch: usize) -> Result<TrainingState> {
    let bytes = read(path, "give --resume the folder of a run that has written a checkpoint")?;
    let file = TensorFile::parse(path, &bytes)?;
    let Some(header) = &file.header else { return Err(file.fail("was not written by ffcl-gpu".into(), REMEDY)) };
    let Some(checkpoint) = &header.checkpoint else { return Err(file.fail("is no checkpoint".into(), REMEDY)) };
    let names: Vec<(String, &[u8])> = file.bytes().collect();
    if checksum(names.iter().map(|(name, bytes)| (name.as_str(), *bytes))) != checkpoint.sha256 {
        return Err(file.fail("is damaged: its checksum is another one".into(), REMEDY));
    }
    let like = config.initial_parameters()?;
    let position = checkpoint.position;
    let inside = position.epoch > 0 && position.epoch_steps < steps_per_epoch;
    let consistent = checkpoint.seed == config.seed
        && header.model.layers == config.layers
        && header.model.replicas == config.replicas
        && position.epoch_steps <= steps_per_epoch
        && inside == file.has(SUMS);
    if !consistent {
        return Err(file.fail("belongs to another run than the config.json beside it".into(), REMEDY));
    }
    let running = if inside {
        let start = Parameters { projections: vec![Vec::new(); like.slots.len()], slots: like.slots.clone() };
        let count = 2 * config.replicas * config.layers.len() * config.batch_size;
        Some(RunningEpoch { start: file.parameters(START, &start)?, row_sums: file.numbers(SUMS, &[count], REMEDY)? })
    } else {
        None
    };
    Ok(TrainingState {
        position,
        parameters: file.parameters("", &like)?,
        first_moments: file.parameters(FIRST, &like)?,
        second_moments: file.parameters(SECOND, &like)?,
        running,
    })
}
