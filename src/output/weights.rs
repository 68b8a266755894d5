//! Files of weights, such as a run's `model.safetensors`.

use super::description::{FORMAT, Header, ModelDescription, TENSOR, UNKNOWN};
use super::tensors::{TensorFile, Tensors, add_parameters, read, serialize};
#[cfg(feature = "files")]
use super::whole_file::write_whole;
use crate::dataset::{ImageShape, Origin, numbered};
use crate::error::Result;
use crate::model::{Architecture, LayerParameters, Parameters};
use std::path::Path;

/// The weights of a run that ended.
pub const MODEL: &str = "model.safetensors";

/// Writes all parameters. The file appears whole or not at all.
#[cfg(feature = "files")]
pub fn save(path: &Path, parameters: &Parameters, model: &ModelDescription) -> Result<()> {
    write_whole(path, &to_bytes(path, parameters, model)?)
}

/// The bytes of such a file; `name` is for messages.
pub fn to_bytes(name: &Path, parameters: &Parameters, model: &ModelDescription) -> Result<Vec<u8>> {
    let mut tensors = Tensors::new();
    add_parameters(&mut tensors, "", parameters);
    serialize(name, &tensors, &Header { format: FORMAT, model: model.clone(), checkpoint: None })
}

/// How a file without a description is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undescribed {
    /// Nothing: its answers would be guesses.
    Refuse,
    /// Plain networks on pixels from 0 to 1, without normalised layers, whose classes are numbers.
    Plain,
}

/// A model that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Its networks, without their projections.
    pub parameters: Parameters,
    /// The description in it.
    pub model: ModelDescription,
    /// The type of the file's numbers, where they had to be converted to f32.
    pub converted: Option<String>,
}

/// Reads the parameters of the replicas that `start` has; every tensor of the network must be there in the right shape and finite.
/// Projections stay as they are in `start` where the file has none. Beside them stands the type of the file's numbers, where they
/// had to be converted to f32.
pub fn load(path: &Path, architecture: &Architecture, start: Parameters) -> Result<(Parameters, Option<String>)> {
    let bytes = read(path, "give --init-from a safetensors file, such as a run's model.safetensors")?;
    let file = TensorFile::parse(path, &bytes)?;
    let parameters = file.parameters("", &start)?;
    if file.has(&format!("{}.weight", Parameters::tensor_name(0, architecture.layer_count()))) {
        let problem = format!("has more than the {} layers of --layers", architecture.layer_count());
        return Err(file.fail(problem, "give --layers as the file has them, or another file"));
    }
    Ok((parameters, file.converted()))
}

/// Reads a model as the file has it.
pub fn open(path: &Path, undescribed: Undescribed) -> Result<Opened> {
    parse(path, &read(path, "give a run's folder, or a safetensors file such as its model.safetensors")?, undescribed)
}

/// The same from a file's bytes; `name` is for messages.
pub fn parse(name: &Path, bytes: &[u8], undescribed: Undescribed) -> Result<Opened> {
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
    let architecture = Architecture::dense(&widths);
    architecture
        .check()
        .map_err(|error| file.fail(format!("holds no network that this program can use ({error})"), "give another file"))?;
    let slot = |slot: usize| {
        let layers = architecture.layers().enumerate();
        layers.map(|(index, layer)| file.layer("", slot, index, layer.weight_shape())).collect::<Result<Vec<LayerParameters>>>()
    };
    let slots = (0..2 * replicas).map(slot).collect::<Result<Vec<_>>>()?;
    let parameters = Parameters { projections: vec![Vec::new(); slots.len()], slots };
    if let Some(number) = parameters.find_non_finite() {
        return Err(
            file.fail(format!("holds a number that is not finite: {number}"), "give weights of a run that did not diverge")
        );
    }
    let plain = || ModelDescription {
        architecture: architecture.clone(),
        replicas,
        normalize: false,
        mean: 0.0,
        deviation: 1.0,
        features: None,
        image: foreign_shape(first[0]),
        classes: numbered(last[1]),
        dataset: UNKNOWN.into(),
        origin: Origin::Known,
        held_out: None,
        input: None,
    };
    let model = match (&file.model, undescribed) {
        (Some(model), _) => model.clone(),
        (None, Undescribed::Plain) => plain(),
        (None, Undescribed::Refuse) => {
            let problem = format!(
                "lacks both its metadata and the tensor {TENSOR}, so that normalisation, standardisation, image shape and class names are not known"
            );
            let remedy = format!(
                "give the file as the run wrote it, or copy {TENSOR} from that; --plain reads a network of another program"
            );
            return Err(file.fail(problem, &remedy));
        }
    };
    if model.fits(&parameters) {
        Ok(Opened { parameters, model, converted: file.converted() })
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
    use crate::dataset::Statistics;
    use crate::output::description::KEY;
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};
    use std::collections::HashMap;

    /// What a run with other seeds would begin with.
    fn start(architecture: &Architecture, replicas: usize) -> Parameters {
        let parameters = Parameters::initialize(architecture, 77, replicas);
        if architecture.layer_count() > 1 { parameters.with_projections(architecture, 6, 77) } else { parameters }
    }

    fn description(architecture: &Architecture, replicas: usize) -> ModelDescription {
        ModelDescription {
            architecture: architecture.clone(),
            replicas,
            normalize: true,
            mean: 0.25,
            deviation: 0.5,
            features: None,
            image: ImageShape::gray(1, architecture.inputs()),
            classes: numbered(architecture.classes()),
            dataset: "digits".into(),
            origin: Origin::Known,
            held_out: None,
            input: None,
        }
    }

    fn refuse(path: &Path) -> Result<Opened> {
        open(path, Undescribed::Refuse)
    }

    #[test]
    fn parameters_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::dense(&[5, 4, 3]);
        let parameters = Parameters::initialize(&architecture, 1, 2).with_projections(&architecture, 6, 1);
        let model = description(&architecture, 2);
        save(&path, &parameters, &model).unwrap();
        assert_eq!(load(&path, &architecture, start(&architecture, 2)).unwrap(), (parameters.clone(), None));
        assert_eq!(load(&path, &architecture, start(&architecture, 1)).unwrap().0.slots[..], parameters.slots[..2]);
        let opened = refuse(&path).unwrap();
        assert_eq!((opened.parameters.slots, opened.model, opened.converted), (parameters.slots, model, None));
        assert!(
            load(&path, &architecture, start(&architecture, 3))
                .unwrap_err()
                .to_string()
                .contains("lacks the tensor r2.a.layers.0.weight")
        );
        let other = Architecture::dense(&[6, 4, 3]);
        assert!(load(&path, &other, start(&other, 2)).unwrap_err().to_string().contains("needs F32 [4, 6]"));
        let shallower = Architecture::dense(&[5, 4]);
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
        let architecture = Architecture::dense(&[2, 2]);
        let mut parameters = Parameters::initialize(&architecture, 1, 1);
        parameters.slots[1][0].bias[1] = f32::NAN;
        save(&path, &parameters, &description(&architecture, 1)).unwrap();
        assert!(
            load(&path, &architecture, start(&architecture, 1)).unwrap_err().to_string().contains("r0.b.layers.0.bias[1] is NaN")
        );
        assert!(refuse(&path).unwrap_err().to_string().contains("not finite"));
    }

    #[test]
    fn a_description_must_fit_its_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let architecture = Architecture::dense(&[4, 3]);
        let parameters = Parameters::initialize(&architecture, 1, 1);
        let right = description(&architecture, 1);
        let wrong = [
            ModelDescription { architecture: Architecture::dense(&[4, 4]), ..right.clone() },
            ModelDescription { replicas: 2, ..right.clone() },
            ModelDescription { image: ImageShape::gray(2, 3), ..right.clone() },
            ModelDescription { image: ImageShape { channels: usize::MAX, height: 4, width: 4 }, ..right.clone() },
            ModelDescription { classes: numbered(2), ..right.clone() },
            ModelDescription { deviation: 0.0, ..right.clone() },
        ];
        for model in wrong {
            save(&path, &parameters, &model).unwrap();
            assert!(refuse(&path).unwrap_err().to_string().contains("describes other tensors"), "{model:?}");
        }
        save(&path, &parameters, &right).unwrap();
        assert_eq!(refuse(&path).unwrap().model, right);
    }

    /// The tensors of a file, changed, without its metadata: what a script in Python writes that loaded it.
    fn saved_again(bytes: &[u8], change: impl Fn(&str, Dtype, &[u8]) -> Option<(Dtype, Vec<u8>)>) -> Vec<u8> {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let tensors: Vec<_> = file
            .tensors()
            .into_iter()
            .filter_map(|(name, view)| {
                let (dtype, bytes) = change(&name, view.dtype(), view.data())?;
                Some((name, dtype, view.shape().to_vec(), bytes))
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()
    }

    fn as_numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
        match dtype {
            Dtype::U8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
            _ => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        }
    }

    #[test]
    fn a_description_survives_who_drops_metadata() {
        let name = Path::new("model");
        let architecture = Architecture::dense(&[4, 3, 2]);
        let parameters = Parameters::initialize(&architecture, 1, 2);
        let model = ModelDescription { image: ImageShape::gray(2, 2), ..description(&architecture, 2) };
        let bytes = to_bytes(name, &parameters, &model).unwrap();
        let parse = |bytes: &[u8]| parse(name, bytes, Undescribed::Refuse);
        let whole = Opened { parameters, model, converted: None };
        let again = saved_again(&bytes, |_, dtype, bytes| Some((dtype, bytes.to_vec())));
        assert_eq!(parse(&again).unwrap(), whole);
        // All of it converted, the description, too.
        let convert = |wide: Dtype| {
            saved_again(&bytes, |_, dtype, bytes| {
                let numbers = as_numbers(dtype, bytes).into_iter();
                Some((
                    wide,
                    match wide {
                        Dtype::F16 => numbers.flat_map(|number| half::f16::from_f32(number).to_le_bytes()).collect(),
                        Dtype::BF16 => numbers.flat_map(|number| half::bf16::from_f32(number).to_le_bytes()).collect(),
                        _ => numbers.flat_map(|number| f64::from(number).to_le_bytes()).collect(),
                    },
                ))
            })
        };
        let exact = parse(&convert(Dtype::F64)).unwrap();
        assert_eq!((exact.parameters, exact.converted.as_deref()), (whole.parameters.clone(), Some("F64")));
        for (dtype, text, tolerance) in [(Dtype::F16, "F16", 1.0 / 1024.0), (Dtype::BF16, "BF16", 1.0 / 128.0)] {
            let opened = parse(&convert(dtype)).unwrap();
            assert_eq!((&opened.model, opened.converted.as_deref()), (&whole.model, Some(text)));
            let (found, right) = (&opened.parameters.slots[3][0].weight, &whole.parameters.slots[3][0].weight);
            assert!(found.iter().zip(right).all(|(found, right)| (found - right).abs() <= tolerance * right.abs()), "{text}");
        }
        // Without it nobody knows what the model computes.
        let lost = saved_again(&bytes, |name, dtype, bytes| (name != TENSOR).then(|| (dtype, bytes.to_vec())));
        let message = parse(&lost).unwrap_err().to_string();
        assert!(message.contains("lacks both its metadata and the tensor ffcl_gpu.description"), "{message}");
        assert!(message.contains("--plain"), "{message}");
        let plain = super::parse(name, &lost, Undescribed::Plain).unwrap();
        assert!(plain.model.is_foreign() && !plain.model.normalize);
        let number = saved_again(&bytes, |name, dtype, bytes| {
            let tensor = if name == TENSOR { (Dtype::I8, bytes.to_vec()) } else { (dtype, bytes.to_vec()) };
            Some(tensor)
        });
        assert!(parse(&number).unwrap_err().to_string().contains("unreadable ffcl_gpu.description"));
    }

    /// As versions before wrote it: of images in format 1, of features in format 2.
    #[test]
    fn models_of_older_formats_are_read() {
        let (name, architecture) = (Path::new("model"), Architecture::dense(&[4, 3, 2]));
        let parameters = Parameters::initialize(&architecture, 1, 1);
        let features = Statistics { mean: vec![0.5; 4], deviation: vec![2.0; 4] };
        let images = ModelDescription { image: ImageShape::gray(2, 2), ..description(&architecture, 1) };
        let numbers = ModelDescription { features: Some(features), ..images.clone() };
        for (format, model) in [(1, images), (2, numbers)] {
            let bytes = to_bytes(name, &parameters, &model).unwrap();
            let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
            let (now, text) = (serde_json::to_string(&architecture).unwrap(), &metadata.metadata().as_ref().unwrap()[KEY]);
            let older = text.replace(&format!(r#""architecture":{now}"#), r#""layers":[4,3,2]"#);
            assert_ne!(*text, older);
            let text = older.replace(r#"{"format":3"#, &format!(r#"{{"format":{format}"#));
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let tensors = || {
                let numbers = file.tensors().into_iter().filter(|(name, _)| name != TENSOR);
                numbers.chain([(TENSOR.to_owned(), TensorView::new(Dtype::U8, vec![text.len()], text.as_bytes()).unwrap())])
            };
            let whole = Opened { parameters: parameters.clone(), model, converted: None };
            for metadata in [None, Some(HashMap::from([(KEY.to_owned(), text.clone())]))] {
                let bytes = safetensors::serialize(tensors(), metadata).unwrap();
                assert_eq!(parse(name, &bytes, Undescribed::Refuse).unwrap(), whole);
            }
        }
    }

    #[test]
    fn metadata_of_another_model_are_refused() {
        let name = Path::new("model");
        let architecture = Architecture::dense(&[4, 3]);
        let parameters = Parameters::initialize(&architecture, 1, 1);
        let right = description(&architecture, 1);
        let bytes = to_bytes(name, &parameters, &right).unwrap();
        let other = to_bytes(name, &parameters, &ModelDescription { mean: 0.5, ..right }).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&other).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mixed = safetensors::serialize(tensors.tensors(), metadata.metadata().clone()).unwrap();
        assert!(parse(name, &mixed, Undescribed::Refuse).unwrap_err().to_string().contains("another in the tensor"));
    }
}
