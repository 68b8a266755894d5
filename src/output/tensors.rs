//! Parameters as named tensors of a safetensors file: `r{replica}.{a|b}.layers.{l}.weight` `[out, in]` and `.bias` `[out]`, f32, as
//! PyTorch's linear layers have them; and `r{replica}.{a|b}.projections.{l}.weight` where hidden layers had projections.

use super::description::{FORMAT, Header, KEY, ModelDescription, TENSOR};
use super::kinds;
use crate::checksum::hexadecimal;
use crate::error::{Error, Result};
use crate::model::{LayerParameters, Parameters};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Tensors by name: shape and little-endian bytes.
pub(super) type Tensors<'a> = BTreeMap<String, (Vec<usize>, Cow<'a, [u8]>)>;

/// Adds numbers under `name`.
pub(super) fn add<'a>(tensors: &mut Tensors<'a>, name: String, shape: &[usize], values: &'a [f32]) {
    let bytes = match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    tensors.insert(name, (shape.to_vec(), bytes));
}

/// Adds all parameters, each name behind `prefix`.
pub(super) fn add_parameters<'a>(tensors: &mut Tensors<'a>, prefix: &str, parameters: &'a Parameters) {
    for (slot, layers) in parameters.slots.iter().enumerate() {
        for (layer, values) in layers.iter().enumerate() {
            let name = format!("{prefix}{}", Parameters::tensor_name(slot, layer));
            add(tensors, format!("{name}.weight"), &values.shape, &values.weight);
            add(tensors, format!("{name}.bias"), &[values.bias.len()], &values.bias);
        }
    }
    for (slot, layers) in parameters.projections.iter().enumerate() {
        for (layer, values) in layers.iter().enumerate() {
            let name = format!("{prefix}{}", Parameters::projection_name(slot, layer));
            add(tensors, format!("{name}.weight"), &values.shape, &values.weight);
        }
    }
}

/// SHA-256 over the text of a header and all tensors, as hexadecimal digits.
pub(super) fn checksum<'a>(header: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(header.as_bytes());
    for (name, bytes) in tensors {
        part(name.as_bytes());
        part(bytes);
    }
    hexadecimal(hash)
}

/// The text of a header; `path` is for errors.
pub(super) fn json(path: &Path, header: &Header) -> Result<String> {
    serde_json::to_string(header).map_err(|error| invalid(path, &error))
}

fn invalid(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Format {
        path: path.to_owned(),
        problem: format!("cannot be written as safetensors: {error}"),
        remedy: "use fewer --replicas, or --no-out".into(),
    }
}

/// The bytes of a file of tensors; `path` is for messages. The model's description stands in the metadata and in a tensor.
pub(super) fn serialize(path: &Path, tensors: &Tensors, header: &Header) -> Result<Vec<u8>> {
    let description = json(path, &Header { checkpoint: None, ..header.clone() })?;
    let numbers = tensors.iter().map(|(name, (shape, bytes))| (name.as_str(), Dtype::F32, shape.clone(), &bytes[..]));
    let bytes = (TENSOR, Dtype::U8, vec![description.len()], description.as_bytes());
    // A checkpoint is of no use without its metadata, which a checksum covers.
    let bytes = header.checkpoint.is_none().then_some(bytes);
    let views = numbers.chain(bytes).map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(dtype, shape, bytes).map_err(|error| invalid(path, &error))?;
        Ok((name, view))
    });
    let metadata = HashMap::from([(KEY.to_owned(), json(path, header)?)]);
    safetensors::serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata)).map_err(|error| invalid(path, &error))
}

/// The bytes of a file of tensors that a user named. The header comes first, and says how many there are to be: a file of another
/// kind or another length is not taken into memory.
pub(super) fn read(path: &Path, remedy: &str) -> Result<Vec<u8>> {
    let unreadable = |error| Error::file("read", path, error, remedy);
    let broken = |problem: String| Error::Format {
        path: path.to_owned(),
        problem: format!("is no whole safetensors file ({problem})"),
        remedy: DAMAGED.into(),
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let known = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    let mut bytes = Vec::new();
    file.by_ref().take(LENGTH).read_to_end(&mut bytes).map_err(unreadable)?;
    let Some(length) = bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
        return Err(broken("it ends before its header".into()));
    };
    if let Some(kind) = kinds::begin(&bytes) {
        file.by_ref().take(kinds::ENOUGH).read_to_end(&mut bytes).map_err(unreadable)?;
        return Err(kinds::refusal(path, kind, &bytes));
    }
    if length > MAXIMUM_HEADER || known.is_some_and(|known| length > known.saturating_sub(LENGTH)) {
        return Err(broken(format!("it announces a header of {length} bytes")));
    }
    file.by_ref().take(length).read_to_end(&mut bytes).map_err(unreadable)?;
    let metadata: Metadata = serde_json::from_slice(&bytes[LENGTH as usize..]).map_err(|error| broken(error.to_string()))?;
    let announced = metadata.data_len() as u64;
    if let Some(known) = known {
        let held = known.saturating_sub(LENGTH + length);
        if held != announced {
            return Err(broken(format!("it announces {announced} bytes of tensors, and holds {held}")));
        }
        // As much as is really there; else a file of gigabytes would be moved about while it grows.
        bytes.try_reserve_exact(metadata.data_len()).map_err(|_| unreadable(ErrorKind::OutOfMemory.into()))?;
    }
    // One more shows that there are too many.
    file.take(announced.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Bytes of the header's length,
const LENGTH: u64 = 8;
/// and the most that the header may have, by the format's definition.
pub(super) const MAXIMUM_HEADER: u64 = 100_000_000;

/// A file of tensors that was read.
pub(super) struct TensorFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    /// Its metadata, if this program wrote it and they were not dropped since.
    pub header: Option<Header>,
    /// The text that the header was read from.
    pub header_text: String,
    /// What it says of the model, in the metadata or in a tensor.
    pub model: Option<ModelDescription>,
}

/// What to do where a file is damaged.
const DAMAGED: &str = "write it again, or give another file";

impl<'a> TensorFile<'a> {
    /// Takes apart the bytes of the file at `path`.
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let fail = |problem: String, remedy: &str| Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() };
        let broken = |error: safetensors::SafeTensorError| fail(format!("is no whole safetensors file ({error})"), DAMAGED);
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let unreadable = |what: &str, error: &dyn std::fmt::Display| fail(format!("has unreadable {what} ({error})"), DAMAGED);
        let header = |what: &str, json: &[u8]| -> Result<Header> {
            /// What can be read of any version.
            #[derive(serde::Deserialize)]
            struct Version {
                format: u32,
            }
            let version: Version = serde_json::from_slice(json).map_err(|error| unreadable(what, &error))?;
            if version.format > FORMAT {
                let problem = format!("has format {}, and this program knows formats up to {FORMAT}", version.format);
                return Err(fail(problem, "use a newer ffcl-gpu"));
            }
            serde_json::from_slice(json).map_err(|error| unreadable(what, &error))
        };
        let json = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let in_metadata = json.map(|json| header("metadata", json.as_bytes())).transpose()?;
        let in_tensor = match tensors.tensor(TENSOR) {
            Ok(view) => {
                let json = as_bytes(&view).ok_or_else(|| unreadable(TENSOR, &"it holds no bytes"))?;
                Some(header(TENSOR, &json)?.model)
            }
            Err(_) => None,
        };
        let model = match (&in_metadata, in_tensor) {
            (Some(header), Some(model)) if header.model != model => {
                let problem = format!("describes one model in its metadata and another in the tensor {TENSOR}");
                return Err(fail(problem, "copy both from the file that the weights are from, or leave the metadata out"));
            }
            (Some(header), _) => Some(header.model.clone()),
            (None, model) => model,
        };
        Ok(Self { path, tensors, header: in_metadata, header_text: json.cloned().unwrap_or_default(), model })
    }

    /// An error about this file.
    pub fn fail(&self, problem: String, remedy: &str) -> Error {
        Error::Format { path: self.path.to_owned(), problem, remedy: remedy.to_owned() }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Names and bytes of all tensors of numbers, in the order of the names.
    pub fn bytes(&self) -> impl Iterator<Item = (String, &[u8])> {
        let numbers = self.tensors.iter().filter(|(name, _)| *name != TENSOR);
        let sorted: BTreeMap<String, &[u8]> = numbers.map(|(name, view)| (name.to_owned(), view.data())).collect();
        sorted.into_iter()
    }

    /// The type of the weights, where they have to be converted.
    pub fn converted(&self) -> Option<String> {
        let other = |name: &str| self.tensors.tensor(name).ok().map(|view| view.dtype()).filter(|&dtype| dtype != Dtype::F32);
        self.tensors.names().into_iter().filter(|name| *name != TENSOR).find_map(other).map(|dtype| format!("{dtype:?}"))
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    /// The numbers of a tensor, which must have this shape.
    pub fn numbers(&self, name: &str, shape: &[usize], remedy: &str) -> Result<Vec<f32>> {
        const LACKING: &str = "give a file with the tensors r{replica}.{a|b}.layers.{l}.weight and .bias, and --layers and --replicas as it has them";
        let view = self.tensors.tensor(name).map_err(|_| self.fail(format!("lacks the tensor {name}"), LACKING))?;
        let numbers = as_f32(&view).filter(|_| view.shape() == shape);
        numbers.ok_or_else(|| {
            let problem = format!("has {name} as {:?} {:?}, but the run needs F32 {shape:?}", view.dtype(), view.shape());
            self.fail(problem, remedy)
        })
    }

    /// Numbers in a tensor of one axis, if there is one of that name.
    pub fn length(&self, name: &str) -> Option<usize> {
        self.tensors.tensor(name).ok().and_then(|view| view.shape().first().copied())
    }

    /// One layer of a network, with a weight of this shape.
    pub fn layer(&self, prefix: &str, slot: usize, layer: usize, shape: Vec<usize>) -> Result<LayerParameters> {
        const REMEDY: &str = "give --layers as the file has them, or another file";
        let name = format!("{prefix}{}", Parameters::tensor_name(slot, layer));
        let weight = self.numbers(&format!("{name}.weight"), &shape, REMEDY)?;
        let bias = self.numbers(&format!("{name}.bias"), &shape[..1], REMEDY)?;
        Ok(LayerParameters { shape, weight, bias })
    }

    /// All networks in the shapes of `like`, and those projections that the file has; the others stay as they are in `like`.
    pub fn parameters(&self, prefix: &str, like: &Parameters) -> Result<Parameters> {
        let mut parameters = like.clone();
        for (slot, layers) in parameters.slots.iter_mut().enumerate() {
            for (layer, values) in layers.iter_mut().enumerate() {
                *values = self.layer(prefix, slot, layer, values.shape.clone())?;
            }
        }
        for (slot, layers) in parameters.projections.iter_mut().enumerate() {
            for (layer, values) in layers.iter_mut().enumerate() {
                let name = format!("{prefix}{}.weight", Parameters::projection_name(slot, layer));
                if self.has(&name) {
                    let remedy = "give --projection and --layers as the file has them, or another file";
                    values.weight = self.numbers(&name, &values.shape, remedy)?;
                }
            }
        }
        match parameters.find_non_finite() {
            Some(number) => {
                Err(self
                    .fail(format!("holds a number that is not finite: {number}"), "give weights of a run that did not diverge"))
            }
            None => Ok(parameters),
        }
    }
}

/// The numbers of a tensor of any floating-point type; those of F64 are rounded.
fn as_f32(view: &TensorView) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        _ => return None,
    })
}

/// The bytes of a tensor of bytes, also where it was converted together with the weights: every type of number holds them exactly.
fn as_bytes(view: &TensorView) -> Option<Vec<u8>> {
    if view.dtype() == Dtype::U8 {
        return Some(view.data().to_vec());
    }
    let byte = |value: f32| (value == f32::from(value as u8)).then_some(value as u8);
    as_f32(view)?.into_iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(header: &str, data: usize, claimed: u64) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let bytes = [&claimed.to_le_bytes(), header.as_bytes(), &vec![0; data]].concat();
        std::fs::write(&path, &bytes).unwrap();
        // The bytes alone must be refused too.
        assert!(TensorFile::parse(&path, &bytes).is_err());
        read(&path, "").unwrap_err().to_string()
    }

    #[test]
    fn what_a_header_announces_is_checked_before_it_is_read() {
        let tensor = |shape: u64| format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,{shape}]}}}}"#);
        let length = |header: &str| header.len() as u64;
        assert!(problem("", 0, 1 << 60).contains("announces a header of 1152921504606846976 bytes"));
        assert!(problem("{}", 90, 93).contains("announces a header of 93 bytes"));
        for (announced, held) in [(5, 4), (4, 5), (1 << 60, 4)] {
            let header = tensor(announced);
            let message = problem(&header, held, length(&header));
            assert!(message.contains(&format!("announces {announced} bytes of tensors, and holds {held}")), "{message}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short");
        std::fs::write(&path, [1, 2, 3]).unwrap();
        assert!(read(&path, "").unwrap_err().to_string().contains("ends before its header"));
        // A file that only looks large is not read.
        std::fs::write(&path, [&2u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path, "").unwrap_err().to_string().contains("announces 0 bytes of tensors"));
    }
}
