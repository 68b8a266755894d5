//! `checkpoint.safetensors`: what a run needs to go on as if it had never stopped.
//!
//! Beside the weights, under the names of `model.safetensors`, stand `first_moments.…` and `second_moments.…` of each, and in the
//! middle of an epoch `epoch_start.…` and `row_sums`; of runs that select images `trust_rates`, whole numbers, and in the middle of an epoch
//! `trust_records.…`, the bits of whole numbers. The metadata says where the run stands and holds a checksum of everything.

use super::description::{CheckpointHeader, FORMAT, Header, ModelDescription};
use super::tensors::{MAXIMUM_HEADER, TensorFile, Tensors, add, add_parameters, checksum, json, read, serialize};
#[cfg(feature = "files")]
use super::whole_file::write_whole;
use crate::config::TrainingConfig;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::train::{RunningEpoch, TrainingState, TrustState};
use std::path::Path;

/// The last checkpoint of a run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

const FIRST: &str = "first_moments.";
const SECOND: &str = "second_moments.";
const START: &str = "epoch_start.";
const SUMS: &str = "row_sums";
const RATES: &str = "trust_rates";
const RECORDS: &str = "trust_records.";

/// What to do with a checkpoint that cannot be used.
const REMEDY: &str = "train again in a new folder; the folder's model.safetensors, if there is one, still serves --init-from";

/// What a checkpoint belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The model.
    pub model: &'a ModelDescription,
    /// The seed of replica 0.
    pub seed: u64,
    /// The data's checksum.
    pub data: &'a str,
}

/// Fails where a run has more tensors than the header of a safetensors file can name.
pub fn check(config: &TrainingConfig) -> Result<()> {
    /// JSON of one tensor: name, type, shape and place, of the longest prefix and numbers.
    const TENSOR: usize = 180;
    let layers = config.architecture.layer_count();
    let of_slot = 3 * (2 * layers + if config.projection().is_some() { layers - 1 } else { 0 }) + 2 * layers;
    let most = MAXIMUM_HEADER as usize / (2 * of_slot * TENSOR);
    if config.replicas <= most {
        return Ok(());
    }
    let replicas = config.replicas;
    Err(Error::Configuration(format!(
        "--replicas {replicas} has more tensors than a checkpoint can name; give at most {most} for these --layers, or --no-out"
    )))
}

/// Writes a checkpoint. Whatever happens, the file at `path` is the old one or the new one, whole.
#[cfg(feature = "files")]
pub fn save(path: &Path, state: &TrainingState, of: Identity) -> Result<()> {
    write_whole(path, &to_bytes(path, state, of)?)
}

/// Words that a caller keeps beside a run, in a tensor of this name.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// Its bits.
    pub words: &'a [u32],
}

/// [`save`], with words of the caller's.
#[cfg(feature = "files")]
pub fn save_with(path: &Path, state: &TrainingState, of: Identity, beside: Beside) -> Result<()> {
    write_whole(path, &bytes_with(path, state, of, Some(beside))?)
}

/// [`load`], with as many words of the caller's, in the tensor `name`.
pub fn load_with(
    path: &Path,
    config: &TrainingConfig,
    of: Identity,
    steps_per_epoch: usize,
    (name, count): (&str, usize),
) -> Result<(TrainingState, Vec<u32>)> {
    let bytes = read(path, "give the folder of a run that has written a checkpoint")?;
    let state = parse(path, &bytes, config, of, steps_per_epoch)?;
    let words = TensorFile::parse(path, &bytes)?.numbers(name, &[count], REMEDY)?;
    Ok((state, bytemuck::cast_slice(&words).to_vec()))
}

/// The bytes of a checkpoint; `name` is for messages.
pub fn to_bytes(name: &Path, state: &TrainingState, of: Identity) -> Result<Vec<u8>> {
    bytes_with(name, state, of, None)
}

fn bytes_with(name: &Path, state: &TrainingState, of: Identity, beside: Option<Beside>) -> Result<Vec<u8>> {
    let mut tensors = Tensors::new();
    if let Some(Beside { name, words }) = beside {
        add(&mut tensors, name.to_owned(), &[words.len()], bytemuck::cast_slice(words));
    }
    add_parameters(&mut tensors, "", &state.parameters);
    add_parameters(&mut tensors, FIRST, &state.first_moments);
    add_parameters(&mut tensors, SECOND, &state.second_moments);
    if let Some(running) = &state.running {
        add_parameters(&mut tensors, START, &running.start);
        add(&mut tensors, SUMS.into(), &[running.row_sums.len()], &running.row_sums);
    }
    let rates: Vec<f32> = state.trust.iter().flat_map(|trust| &trust.rates).map(|&rate| rate as f32).collect();
    if let Some(trust) = &state.trust {
        add(&mut tensors, RATES.into(), &[rates.len()], &rates);
        for (layer, record) in trust.records.iter().enumerate() {
            add(&mut tensors, format!("{RECORDS}{layer}"), &[record.len()], bytemuck::cast_slice(record));
        }
    }
    let unsigned = CheckpointHeader { position: state.position, seed: of.seed, data: of.data.to_owned(), sha256: String::new() };
    let mut header = Header { format: FORMAT, model: of.model.clone(), checkpoint: Some(unsigned) };
    let sha256 = checksum(&json(name, &header)?, tensors.iter().map(|(name, (_, bytes))| (name.as_str(), &bytes[..])));
    if let Some(checkpoint) = &mut header.checkpoint {
        checkpoint.sha256 = sha256;
    }
    serialize(name, &tensors, &header)
}

/// Reads the checkpoint of a run of `config`; `steps_per_epoch` tells whether it stands inside an epoch.
pub fn load(path: &Path, config: &TrainingConfig, of: Identity, steps_per_epoch: usize) -> Result<TrainingState> {
    let bytes = read(path, "give --resume the folder of a run that has written a checkpoint")?;
    parse(path, &bytes, config, of, steps_per_epoch)
}

/// The same from a file's bytes; `name` is for messages.
pub fn parse(name: &Path, bytes: &[u8], config: &TrainingConfig, of: Identity, steps_per_epoch: usize) -> Result<TrainingState> {
    let file = TensorFile::parse(name, bytes)?;
    let Some(header) = &file.header else {
        let problem = match &file.model {
            Some(_) => "lacks the metadata of a checkpoint, which scripts that load and save it remove",
            None => "was not written by ffcl-gpu",
        };
        return Err(file.fail(problem.into(), REMEDY));
    };
    let Some(checkpoint) = &header.checkpoint else { return Err(file.fail("is no checkpoint".into(), REMEDY)) };
    // Of the text as it stands: an older version wrote another one of the same header.
    let unsigned = file.header_text.replace(&format!(r#""sha256":"{}""#, checkpoint.sha256), r#""sha256":"""#);
    let tensors: Vec<(String, &[u8])> = file.bytes().collect();
    if checksum(&unsigned, tensors.iter().map(|(name, bytes)| (name.as_str(), *bytes))) != checkpoint.sha256 {
        return Err(file.fail("is damaged: its checksum is another one".into(), REMEDY));
    }
    let mut model = header.model.clone();
    // Old checkpoints do not say it; the data's checksum does.
    model.held_out = model.held_out.or(of.model.held_out);
    if model != *of.model || checkpoint.data != of.data {
        let remedy = "give the same data as before (--data-dir), or begin a new run";
        return Err(file.fail("was trained on other data than this".into(), remedy));
    }
    let position = checkpoint.position;
    let inside = position.is_inside_epoch(steps_per_epoch);
    if checkpoint.seed != of.seed || !position.is_possible(steps_per_epoch) || inside != file.has(SUMS) {
        return Err(file.fail("belongs to another run than the config.json beside it".into(), REMEDY));
    }
    // Weights and two moments. Else a run of any size would be allocated for a file that has next to nothing.
    let needed = 3 * config.parameter_bytes();
    if needed > bytes.len() as u128 {
        let problem = format!("has {} bytes, and the tensors of the run alone take {needed}", bytes.len());
        return Err(file.fail(problem, REMEDY));
    }
    let like = config.initial_parameters()?;
    let running = if inside {
        let start = Parameters { projections: vec![Vec::new(); like.slots.len()], slots: like.slots.clone() };
        let count = 2 * config.replicas * (config.architecture.layer_count() + 1) * config.batch_size;
        Some(RunningEpoch { start: file.parameters(START, &start)?, row_sums: file.numbers(SUMS, &[count], REMEDY)? })
    } else {
        None
    };
    let layers = config.selecting_layers();
    let trust = if layers.is_empty() {
        None
    } else {
        let rates = file.numbers(RATES, &[config.replicas], REMEDY)?.into_iter().map(|rate| rate as u32).collect();
        let record = |layer: usize| {
            let name = format!("{RECORDS}{layer}");
            let length = file.length(&name).unwrap_or(0);
            file.numbers(&name, &[length], REMEDY).map(|bits| bytemuck::cast_slice(&bits).to_vec())
        };
        let records = if inside { (0..layers.len()).map(record).collect::<Result<_>>()? } else { Vec::new() };
        Some(TrustState { rates, records })
    };
    Ok(TrainingState {
        trust,
        position,
        parameters: file.parameters("", &like)?,
        first_moments: file.parameters(FIRST, &like)?,
        second_moments: file.parameters(SECOND, &like)?,
        running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;
    use crate::dataset::digits;
    use crate::engine::Job;
    use crate::model::Architecture;
    use crate::output::description::KEY;
    use crate::train::Position;
    use safetensors::SafeTensors;
    use std::collections::HashMap;

    /// Its checksum is that of the text that it wrote.
    #[test]
    fn checkpoints_of_older_formats_are_read() {
        let (name, dataset) = (Path::new("checkpoint"), digits::generate_with_counts(1, 20, 10));
        let config =
            TrainingConfig { architecture: Architecture::dense(&[784, 2, 10]), batch_size: 10, ..Recipe::Paper.config() };
        let parameters = config.initial_parameters().unwrap();
        let position = Position { epoch: 1, epoch_steps: 2, steps: 2, epoch_seconds: 0.0 };
        let [first_moments, second_moments] = [(); 2].map(|()| parameters.clone());
        let state = TrainingState { position, parameters, first_moments, second_moments, running: None, trust: None };
        let model = ModelDescription::of(Job { config: &config, dataset: &dataset });
        let of = Identity { model: &model, seed: config.seed, data: "data" };
        let bytes = to_bytes(name, &state, of).unwrap();

        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()[KEY];
        let now = serde_json::to_string(&config.architecture).unwrap();
        let older = text
            .replace(&format!(r#""architecture":{now}"#), r#""layers":[784,2,10]"#)
            .replace(r#"{"format":3"#, r#"{"format":1"#);
        assert_ne!(*text, older);
        let file = TensorFile::parse(name, &bytes).unwrap();
        let signature = |sha256: &str| format!(r#""sha256":"{sha256}""#);
        let newer = signature(&file.header.as_ref().unwrap().checkpoint.as_ref().unwrap().sha256);
        let unsigned = older.replace(&newer, &signature(""));
        let tensors: Vec<_> = file.bytes().collect();
        let sha256 = checksum(&unsigned, tensors.iter().map(|(name, bytes)| (name.as_str(), *bytes)));
        let with = |text: String| {
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let file = safetensors::serialize(tensors.tensors(), Some(HashMap::from([(KEY.to_owned(), text)]))).unwrap();
            parse(name, &file, &config, of, 2)
        };
        assert_eq!(with(older.replace(&newer, &signature(&sha256))).unwrap(), state);
        assert!(with(older).unwrap_err().to_string().contains("is damaged"));
    }
}
