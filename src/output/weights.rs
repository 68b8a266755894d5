//! Files of weights, such as a run's `model.safetensors`.

use super::description::{FORMAT, Header, ModelDescription, UNKNOWN};
use super::tensors::{TensorFile, Tensors, add_parameters, read, serialize};
use super::whole_file::write_whole;
use crate::dataset::{ImageShape, Origin, numbered};
use crate::error::Result;
use crate::model::{Architecture, LayerParameters, Parameters};
use std::path::Path;

/// Writes all parameters. The file appears whole or not at all.
pub fn save(path: &Path, parameters: &Parameters, model: &ModelDescription) -> Result<()> {
    write_whole(path, &to_bytes(path, parameters, model)?)
}

/// The bytes of such a file; `name` is for messages.
pub fn to_bytes(name: &Path, parameters: &Parameters, model: &ModelDescription) -> Result<Vec<u8>> {
    let mut tensors = Tensors::new();
    add_parameters(&mut tensors, "", parameters);
    serialize(name, &tensors, &Header { format: FORMAT, model: model.clone(), checkpoint: None })
}

/// Reads the parameters of the replicas that `start` has; every tensor of the network must be there in the right shape and finite.
/// Projections stay as they are in `start` where the file has none.
pub fn load(path: &Path, architecture: &Architecture, start: Parameters) -> Result<Parameters> {
    let bytes = read(path, "give --init-from a safetensors file, such as a run's model.safetensors")?;
    let file = TensorFile::parse(path, &bytes)?;
    let parameters = file.parameters("", &start)?;
    if file.has(&format!("{}.weight", Parameters::tensor_name(0, architecture.layer_count()))) {
        let problem = format!("has more than the {} layers of --layers", architecture.layer_count());
        return Err(file.fail(problem, "give --layers as the file has them, or another file"));
    }
    Ok(parameters)
}

/// Reads a model as the file has it: networks without their projections. A file that this program did not write is taken for a
/// plain network on pixels from 0 to 1.
pub fn open(path: &Path) -> Result<(Parameters, ModelDescription)> {
    parse(path, &read(path, "give a run's folder, or a safetensors file such as its model.safetensors")?)
}

/// The same from a file's bytes; `name` is for messages.
pub fn parse(name: &Path, bytes: &[u8]) -> Result<(Parameters, ModelDescription)> {
    let file = TensorFile::parse(name, bytes)?;
    let tensor = |slot, layer| format!("{}.weight", Parameters::tensor_name(slot, layer));
    let mut layers = Vec::new();
    while let Some(shape) = file.shape(&tensor(0, layers.len())) {
        let &[outputs, inputs] = &shape[..] else {
            return Err(file.fail(format!("has {} as {shape:?}", tensor(0, layers.len())), "give weights of linear layers"));
        };
        layers.push([inputs, outputs]);
    }
    let (Some(first), Some(last)) = (layers.first(), layers.last()) else {
        let problem = format!("lacks the tensor {}", tensor(0, 0));
        return Err(file.fail(problem, "give a file that ffcl-gpu wrote, or one that names its tensors alike"));
    };
    let widths: Vec<usize> = std::iter::once(first[0]).chain(layers.iter().map(|layer| layer[1])).collect();
    let replicas = (0..).take_while(|&replica| file.has(&tensor(2 * replica, 0))).count();
    let architecture = Architecture::new(widths)
        .map_err(|error| file.fail(format!("holds no network that this program can use ({error})"), "give another file"))?;
    let slot = |slot: usize| {
        let pairs = architecture.widths().windows(2).enumerate();
        pairs.map(|(layer, pair)| file.layer("", slot, layer, pair[0], pair[1])).collect::<Result<Vec<LayerParameters>>>()
    };
    let slots = (0..2 * replicas).map(slot).collect::<Result<Vec<_>>>()?;
    let parameters = Parameters { projections: vec![Vec::new(); slots.len()], slots };
    if let Some(number) = parameters.find_non_finite() {
        return Err(
            file.fail(format!("holds a number that is not finite: {number}"), "give weights of a run that did not diverge")
        );
    }
    let plain = || ModelDescription {
        layers: architecture.widths().to_vec(),
        replicas,
        normalize: false,
        mean: 0.0,
        deviation: 1.0,
        image: foreign_shape(first[0]),
        classes: numbered(last[1]),
        dataset: UNKNOWN.into(),
        origin: Origin::Known,
    };
    let model = file.header.as_ref().map_or_else(plain, |header| header.model.clone());
    if model.fits(&parameters) {
        Ok((parameters, model))
    } else {
        Err(file.fail("describes other tensors than it holds".into(), "write it again"))
    }
}

/// A square of grey pixels, or a row of them.
fn foreign_shape(pixels: usize) -> ImageShape {
    let side = pixels.isqrt();
    if side * side == pixels { ImageShape::gray(side, side) } else { ImageShape::gray(1, pixels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run with other seeds would begin with.
    fn start(architecture: &Architecture, replicas: usize) -> Parameters {
        let parameters = Parameters::initialize(architecture, 77, replicas);
        if architecture.layer_count() > 1 { parameters.with_projections(architecture, 6, 77) } else { parameters }
    }

    fn description(architecture: &Architecture, replicas: usize) -> ModelDescription {
        ModelDescription {
            layers: architecture.widths().to_vec(),
            replicas,
            normalize: true,
            mean: 0.25,
            deviation: 0.5,
            image: ImageShape::gray(1, architecture.widths()[0]),
            classes: numbered(architecture.classes()),
            dataset: "digits".into(),
            origin: Origin::Known,
        }
    }

    #[test]
    fn parameters_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::new(vec![5, 4, 3]).unwrap();
        let parameters = Parameters::initialize(&architecture, 1, 2).with_projections(&architecture, 6, 1);
        let model = description(&architecture, 2);
        save(&path, &parameters, &model).unwrap();
        assert_eq!(load(&path, &architecture, start(&architecture, 2)).unwrap(), parameters);
        assert_eq!(load(&path, &architecture, start(&architecture, 1)).unwrap().slots[..], parameters.slots[..2]);
        let (opened, described) = open(&path).unwrap();
        assert_eq!((opened.slots, described), (parameters.slots, model));
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
        save(&path, &parameters, &description(&architecture, 1)).unwrap();
        assert!(
            load(&path, &architecture, start(&architecture, 1)).unwrap_err().to_string().contains("r0.b.layers.0.bias[1] is NaN")
        );
        assert!(open(&path).unwrap_err().to_string().contains("not finite"));
    }

    #[test]
    fn a_description_must_fit_its_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::new(vec![4, 3]).unwrap();
        let parameters = Parameters::initialize(&architecture, 1, 1);
        let right = description(&architecture, 1);
        let wrong = [
            ModelDescription { layers: vec![4, 4], ..right.clone() },
            ModelDescription { replicas: 2, ..right.clone() },
            ModelDescription { image: ImageShape::gray(2, 3), ..right.clone() },
            ModelDescription { image: ImageShape { channels: usize::MAX, height: 4, width: 4 }, ..right.clone() },
            ModelDescription { classes: numbered(2), ..right.clone() },
            ModelDescription { deviation: 0.0, ..right.clone() },
        ];
        for model in wrong {
            save(&path, &parameters, &model).unwrap();
            assert!(open(&path).unwrap_err().to_string().contains("describes other tensors"), "{model:?}");
        }
        save(&path, &parameters, &right).unwrap();
        assert_eq!(open(&path).unwrap().1, right);
    }
}
