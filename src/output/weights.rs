//! Weights as safetensors: `r{replica}.{a|b}.layers.{l}.weight` `[out, in]` and `.bias` `[out]`, f32, as PyTorch's linear layers
//! have them; and `r{replica}.{a|b}.projections.{l}.weight` where hidden layers had projections.

use crate::error::{Error, Result};
use crate::model::{Architecture, LayerParameters, Parameters};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Writes all parameters. The file appears whole or not at all.
pub fn save(path: &Path, parameters: &Parameters) -> Result<()> {
    let little_endian = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut tensors = Vec::new();
    for (slot, layers) in parameters.slots.iter().enumerate() {
        for (layer, values) in layers.iter().enumerate() {
            let name = Parameters::tensor_name(slot, layer);
            tensors.push((format!("{name}.weight"), values.shape().to_vec(), little_endian(&values.weight)));
            tensors.push((format!("{name}.bias"), vec![values.bias.len()], little_endian(&values.bias)));
        }
    }
    for (slot, layers) in parameters.projections.iter().enumerate() {
        for (layer, values) in layers.iter().enumerate() {
            let name = Parameters::projection_name(slot, layer);
            tensors.push((format!("{name}.weight"), values.shape().to_vec(), little_endian(&values.weight)));
        }
    }
    let invalid = |error: safetensors::SafeTensorError| Error::Format {
        path: path.to_owned(),
        problem: format!("cannot be written as safetensors: {error}"),
        remedy: "report this as a bug".into(),
    };
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(invalid)?)))
        .collect::<Result<Vec<_>>>()?;
    // One key only: the file's bytes must not depend on the order of a hash table.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(invalid)?;
    super::whole_file::write_whole(path, &bytes)
}

/// Reads the parameters of the replicas that `start` has; every tensor of the network must be there in the right shape and finite.
/// Projections stay as they are in `start` where the file has none.
pub fn load(path: &Path, architecture: &Architecture, start: Parameters) -> Result<Parameters> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::file("read", path, error, "give --init-from a safetensors file, such as a run's model.safetensors")
    })?;
    let fail = |problem: String, remedy: &str| Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() };
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| fail(format!("is no whole safetensors file ({error})"), "write it again, or give another file"))?;
    const LAYERS: &str = "give --layers as the file has them, or another file";
    let tensor = |name: String, shape: &[usize], remedy: &str| -> Result<Vec<f32>> {
        let view = file.tensor(&name).map_err(|_| {
            let remedy = "give a file with the tensors r{replica}.{a|b}.layers.{l}.weight and .bias, and --layers and --replicas as it has them";
            fail(format!("lacks the tensor {name}"), remedy)
        })?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            let problem = format!("has {name} as {:?} {:?}, but the run needs F32 {shape:?}", view.dtype(), view.shape());
            return Err(fail(problem, remedy));
        }
        Ok(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    let slot = |slot: usize| {
        let layers = architecture.widths().windows(2).enumerate().map(|(layer, pair)| {
            let name = Parameters::tensor_name(slot, layer);
            Ok(LayerParameters {
                weight: tensor(format!("{name}.weight"), &[pair[1], pair[0]], LAYERS)?,
                bias: tensor(format!("{name}.bias"), &[pair[1]], LAYERS)?,
            })
        });
        layers.collect::<Result<Vec<_>>>()
    };
    let beyond = Parameters::tensor_name(0, architecture.layer_count());
    if file.names().iter().any(|name| name.starts_with(&beyond)) {
        let problem = format!("has more than the {} layers of --layers", architecture.layer_count());
        return Err(fail(problem, "give --layers as the file has them, or another file"));
    }
    let mut projections = start.projections;
    for (slot, layers) in projections.iter_mut().enumerate() {
        for (layer, projection) in layers.iter_mut().enumerate() {
            let name = format!("{}.weight", Parameters::projection_name(slot, layer));
            if file.names().contains(&name.as_str()) {
                let shape = [projection.bias.len(), architecture.widths()[layer + 1]];
                projection.weight = tensor(name, &shape, "give --projection and --layers as the file has them, or another file")?;
            }
        }
    }
    let slots = (0..start.slots.len()).map(slot).collect::<Result<_>>()?;
    let parameters = Parameters { slots, projections };
    match parameters.find_non_finite() {
        Some(number) => {
            Err(fail(format!("holds a number that is not finite: {number}"), "give weights of a run that did not diverge"))
        }
        None => Ok(parameters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run with other seeds would begin with.
    fn start(architecture: &Architecture, replicas: usize) -> Parameters {
        let parameters = Parameters::initialize(architecture, 77, replicas);
        if architecture.layer_count() > 1 { parameters.with_projections(architecture, 6, 77) } else { parameters }
    }

    #[test]
    fn parameters_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::new(vec![5, 4, 3]).unwrap();
        let parameters = Parameters::initialize(&architecture, 1, 2).with_projections(&architecture, 6, 1);
        save(&path, &parameters).unwrap();
        assert_eq!(load(&path, &architecture, start(&architecture, 2)).unwrap(), parameters);
        assert_eq!(load(&path, &architecture, start(&architecture, 1)).unwrap().slots[..], parameters.slots[..2]);
        assert!(
            load(&path, &architecture, start(&architecture, 3))
                .unwrap_err()
                .to_string()
                .contains("lacks the tensor r2.a.layers.0.weight")
        );
        let other = Architecture::new(vec![6, 4, 3]).unwrap();
        assert!(load(&path, &other, start(&other, 2)).unwrap_err().to_string().contains("needs F32 [4, 6]"));
        let shallower = Architecture::new(vec![5, 4]).unwrap();
        assert!(load(&path, &shallower, start(&shallower, 2)).unwrap_err().to_string().contains("more than the 1 layers"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(
            load(&path, &architecture, start(&architecture, 2)).unwrap_err().to_string().contains("no whole safetensors file")
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::new(vec![2, 2]).unwrap();
        let mut parameters = Parameters::initialize(&architecture, 1, 1);
        parameters.slots[1][0].bias[1] = f32::NAN;
        save(&path, &parameters).unwrap();
        assert!(
            load(&path, &architecture, start(&architecture, 1)).unwrap_err().to_string().contains("r0.b.layers.0.bias[1] is NaN")
        );
    }
}
