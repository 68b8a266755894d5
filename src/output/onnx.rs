//! Networks as ONNX files, for other programs to run.
//!
//! Input `pixels` `[batch, pixels]`, each from 0 to 1 (its byte over 255), or `features` `[batch, features]`; outputs `logits` and `probabilities`
//! `[batch, classes]`. Features whose differences 32 bits would lose, such as times in seconds since 1970, are an input of 64 bits. All that a
//! network does with its input is in the graph. Of several networks together `logits` is the
//! logarithm of the mean of their softmax outputs, so that in every file the softmax of `logits` is `probabilities`.

mod messages;

use super::description::ModelDescription;
use super::whole_file::write_whole_or;
use crate::dataset::Statistics;
use crate::error::{Error, Result};
use crate::layout::SQUARE_FLOOR;
use crate::model::{LayerParameters, LayerSpec, Network, Parameters};
use messages::{
    Attribute, DOUBLE, Dimension, Entry, FLOAT, Graph, INT_ATTRIBUTE, INT64, Kind, Model, Node, OperatorSet, Shape, Tensor,
    TensorKind, Value,
};
use prost::Message;
use std::path::Path;

/// Of 2021: every runtime that is still maintained knows it.
const OPERATOR_SET: i64 = 17;
const IR_VERSION: i64 = 8;
/// Files of protocol buffers end at 2 GiB; some room is left for the rest of the graph.
const MAXIMUM_BYTES: usize = (1 << 31) - (1 << 20);

/// The least part of the deviation for which the rest of a mean is subtracted.
const LEAST_REST: f64 = 1e-6;

const LOGITS: &str = "logits";
const PROBABILITIES: &str = "probabilities";

/// What to do where the file cannot be written.
const REMEDY: &str = "give a file in a folder that can be written";

/// Fails where `path` cannot become the file.
pub fn check_path(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The ending also keeps the weights from being overwritten by mistake.
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("onnx")) || path.is_dir() || !folder.is_dir() {
        return Err(Error::Configuration(format!(
            "{} cannot be written; give a file that ends in .onnx, in a folder that exists",
            path.display()
        )));
    }
    Ok(())
}

/// Writes `network` of a model that `description` fits. The file appears whole or not at all.
pub fn save(path: &Path, parameters: &Parameters, description: &ModelDescription, network: Network) -> Result<()> {
    check_path(path)?;
    if !description.fits(parameters) {
        return Err(Error::Configuration("the description does not fit these weights; give their own".into()));
    }
    let slots: Vec<usize> = network.slots(description.replicas).collect();
    let numbers: usize = slots.iter().flat_map(|&slot| &parameters.slots[slot]).map(LayerParameters::number_count).sum();
    if numbers.saturating_mul(4) > MAXIMUM_BYTES {
        return Err(Error::Configuration(format!(
            "{} networks of {numbers} numbers together are more than the 2 GiB that an ONNX file may hold; export one of them",
            slots.len()
        )));
    }
    write_whole_or(path, &model(parameters, description, network, &slots).encode_to_vec(), REMEDY)
}

fn model(parameters: &Parameters, description: &ModelDescription, network: Network, slots: &[usize]) -> Model {
    let mut graph = Graph { name: format!("ffcl-gpu {network}"), ..Graph::default() };
    let input = standardized(&mut graph, description);
    let many = slots.len() > 1;
    let logits: Vec<String> = (slots.iter())
        .map(|&slot| {
            // The name of a slot's tensors without those of its layers.
            let name = Parameters::tensor_name(slot, 0).replace(".layers.0", "");
            let target = if many { format!("{name}.logits") } else { LOGITS.into() };
            add_network(&mut graph, (description, parameters), slot, &input, &target);
            target
        })
        .collect();
    if many {
        add_mean(&mut graph, &logits);
    }
    add(&mut graph, "Softmax", &[LOGITS], PROBABILITIES, &[("axis", 1)]);
    let (pixels, classes) = (description.image.pixels(), description.classes.len());
    let shape = description.image;
    let what = match description.features {
        Some(_) => "features, as they were measured".to_owned(),
        None => format!("{shape} images, channel by channel and row by row, from 0 to 1"),
    };
    let kind = if offset(description).is_some() { DOUBLE } else { FLOAT };
    graph.inputs.push(typed(input_name(description), kind, pixels, &what));
    graph.outputs.push(value(LOGITS, classes, if many { "logarithms of the probabilities" } else { "" }));
    graph.outputs.push(value(PROBABILITIES, classes, if many { "the mean of the networks' softmax outputs" } else { "" }));
    let entry = |key: &str, value: serde_json::Value| Entry { key: key.into(), value: value.to_string() };
    let mut metadata = vec![entry("classes", description.classes.clone().into()), entry("image", serde_json::json!(shape))];
    metadata.extend(description.input.as_ref().map(|input| entry("input", serde_json::json!(input))));
    Model {
        ir_version: IR_VERSION,
        producer_name: "ffcl-gpu".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        documentation: format!("{network} of a pair of networks, trained on {}", description.dataset),
        graph: Some(graph),
        operator_sets: vec![OperatorSet { domain: String::new(), version: OPERATOR_SET }],
        metadata,
    }
}

/// What the input is, for people.
pub fn describe_input(description: &ModelDescription) -> String {
    let (name, width) = (input_name(description), description.image.pixels());
    let kind = if offset(description).is_some() { "float64, whose differences float32 would lose" } else { "float32" };
    let columns = description.input.as_ref().and_then(|input| input.columns.as_ref());
    let what = match (description.features.is_some(), columns) {
        (false, _) => ", from 0 to 1".to_owned(),
        (true, Some(columns)) if columns.len() <= 12 => format!(": {}", columns.join(", ")),
        (true, _) => String::new(),
    };
    format!("{name} [batch, {width}], {kind}{what}")
}

/// What the input is called.
fn input_name(description: &ModelDescription) -> &'static str {
    if description.features.is_some() { "features" } else { "pixels" }
}

/// The name of the pixels or features as networks get them.
fn standardized(graph: &mut Graph, description: &ModelDescription) -> String {
    let (input, statistics) = (input_name(description), description.statistics());
    if statistics == Statistics::identity(statistics.mean.len()) && offset(description).is_none() {
        return input.into();
    }
    let numbers = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect::<Vec<_>>();
    // One number for all pixels has no dimension.
    let width = [statistics.mean.len()];
    let shape = if description.features.is_some() { &width[..] } else { &[] };
    let (centred, standardized) = (format!("{input}.centred"), format!("{input}.standardized"));
    if let Some(offset) = offset(description) {
        let whole: Vec<f64> = offset.iter().zip(&statistics.mean).map(|(offset, mean)| offset + mean).collect();
        add_doubles(graph, "mean", shape, &whole);
        let exact = format!("{input}.centred.exact");
        add(graph, "Sub", &[input, "mean"], &exact, &[]);
        add(graph, "Cast", &[&exact], &centred, &[("to", FLOAT.into())]);
    } else {
        let mean = numbers(&statistics.mean);
        add_numbers(graph, "mean", shape, &mean);
        // What rounding takes from a mean that is far from zero counts beside a small deviation.
        let rest: Vec<f64> = statistics.mean.iter().zip(&mean).map(|(exact, &mean)| exact - f64::from(mean)).collect();
        let counts = rest.iter().zip(&statistics.deviation).any(|(rest, deviation)| rest.abs() > LEAST_REST * deviation);
        let first = if counts { format!("{input}.nearly_centred") } else { centred.clone() };
        add(graph, "Sub", &[input, "mean"], &first, &[]);
        if counts {
            add_numbers(graph, "mean.rest", shape, &numbers(&rest));
            add(graph, "Sub", &[&first, "mean.rest"], &centred, &[]);
        }
    }
    add_numbers(graph, "deviation", shape, &numbers(&statistics.deviation));
    add(graph, "Div", &[&centred, "deviation"], &standardized, &[]);
    standardized
}

/// What is subtracted from features while they have 64 bits.
fn offset(description: &ModelDescription) -> Option<&[f64]> {
    description.input.as_ref()?.offset.as_deref()
}

/// One network from its pixels to its logits.
fn add_network(
    graph: &mut Graph,
    (description, parameters): (&ModelDescription, &Parameters),
    slot: usize,
    input: &str,
    target: &str,
) {
    let mut input = input.to_owned();
    let layers = &parameters.slots[slot];
    for (index, (layer, parameters)) in description.architecture.layers().zip(layers).enumerate() {
        let name = Parameters::tensor_name(slot, index);
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        add_numbers(graph, &weight, &parameters.shape, &parameters.weight);
        add_numbers(graph, &bias, &[parameters.bias.len()], &parameters.bias);
        let is_last = index + 1 == layers.len();
        let sums = if is_last { target.to_owned() } else { format!("{name}.sums") };
        match layer.spec {
            LayerSpec::Linear { .. } => add(graph, "Gemm", &[&input, &weight, &bias], &sums, &[("transB", 1)]),
        }
        if !is_last {
            input = format!("{name}.activations");
            add(graph, "Relu", &[&sums], &input, &[]);
            if description.normalize {
                input = add_normalization(graph, &input, parameters.bias.len());
            }
        }
    }
}

/// Rows brought to the length √width, as `shaders/normalize.wgsl` does it; the name of the result.
fn add_normalization(graph: &mut Graph, rows: &str, width: usize) -> String {
    let name = |part: &str| format!("{rows}.{part}");
    let (squares, sum, floored, length) = (name("squares"), name("sum"), name("floored"), name("length"));
    let (unit, normalized, new_length) = (name("unit"), name("normalized"), name("new_length"));
    if !graph.initializers.iter().any(|tensor| tensor.name == "axes") {
        let axes = Tensor { sizes: vec![1], data_type: INT64, name: "axes".into(), bytes: 1i64.to_le_bytes().to_vec() };
        graph.initializers.push(axes);
        add_numbers(graph, "square_floor", &[], &[SQUARE_FLOOR]);
    }
    add_numbers(graph, &new_length, &[], &[(width as f32).sqrt()]);
    add(graph, "Mul", &[rows, rows], &squares, &[]);
    add(graph, "ReduceSum", &[&squares, "axes"], &sum, &[("keepdims", 1)]);
    add(graph, "Add", &[&sum, "square_floor"], &floored, &[]);
    add(graph, "Sqrt", &[&floored], &length, &[]);
    add(graph, "Div", &[rows, &length], &unit, &[]);
    add(graph, "Mul", &[&unit, &new_length], &normalized, &[]);
    normalized
}

/// The logarithm of the mean of all softmax outputs, computed from their logarithms, so that no probability becomes 0.
fn add_mean(graph: &mut Graph, logits: &[String]) {
    let names = |end: &str| -> Vec<String> { logits.iter().map(|name| format!("{name}.{end}")).collect() };
    let (logarithms, differences, shares) = (names("logarithms"), names("differences"), names("shares"));
    for (logits, logarithms) in logits.iter().zip(&logarithms) {
        add(graph, "LogSoftmax", &[logits], logarithms, &[("axis", 1)]);
    }
    add(graph, "Max", &texts(&logarithms), "largest", &[]);
    for ((logarithms, difference), share) in logarithms.iter().zip(&differences).zip(&shares) {
        add(graph, "Sub", &[logarithms, "largest"], difference, &[]);
        add(graph, "Exp", &[difference], share, &[]);
    }
    add_numbers(graph, "networks", &[], &[logits.len() as f32]);
    add(graph, "Sum", &texts(&shares), "sum", &[]);
    add(graph, "Div", &["sum", "networks"], "mean_share", &[]);
    add(graph, "Log", &["mean_share"], "mean_share.logarithm", &[]);
    add(graph, "Add", &["largest", "mean_share.logarithm"], LOGITS, &[]);
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn add(graph: &mut Graph, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) {
    let attribute = |&(name, integer): &(&str, i64)| Attribute { name: name.into(), integer: Some(integer), kind: INT_ATTRIBUTE };
    graph.nodes.push(Node {
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        outputs: vec![output.into()],
        name: format!("{operator} to {output}"),
        operator: operator.into(),
        attributes: attributes.iter().map(attribute).collect(),
    });
}

fn add_numbers(graph: &mut Graph, name: &str, shape: &[usize], values: &[f32]) {
    graph.initializers.push(Tensor {
        sizes: shape.iter().map(|&size| size as i64).collect(),
        data_type: FLOAT,
        name: name.into(),
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    });
}

fn add_doubles(graph: &mut Graph, name: &str, shape: &[usize], values: &[f64]) {
    graph.initializers.push(Tensor {
        sizes: shape.iter().map(|&size| size as i64).collect(),
        data_type: DOUBLE,
        name: name.into(),
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    });
}

/// An input or output of `width` numbers for each image of a batch of any size.
fn value(name: &str, width: usize, documentation: &str) -> Value {
    typed(name, FLOAT, width, documentation)
}

fn typed(name: &str, data_type: i32, width: usize, documentation: &str) -> Value {
    let batch = Dimension { value: None, name: Some("batch".into()) };
    let shape = Shape { dimensions: vec![batch, Dimension { value: Some(width as i64), name: None }] };
    let tensor = TensorKind { data_type, shape: Some(shape) };
    Value { name: name.into(), kind: Some(Kind { tensor: Some(tensor) }), documentation: documentation.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageShape, numbered};
    use crate::model::Architecture;
    use std::collections::HashSet;

    fn description(mean: f64) -> ModelDescription {
        ModelDescription {
            architecture: Architecture::dense(&[6, 5, 4, 3]),
            replicas: 2,
            normalize: true,
            mean,
            deviation: 1.0,
            features: None,
            image: ImageShape::gray(2, 3),
            classes: numbered(3),
            dataset: "digits".into(),
            origin: crate::dataset::Origin::Known,
            held_out: None,
            input: None,
        }
    }

    fn parameters() -> Parameters {
        Parameters::initialize(&Architecture::dense(&[6, 5, 4, 3]), 5, 2)
    }

    fn exported(network: Network, mean: f64) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        save(&path, &parameters(), &description(mean), network).unwrap();
        let model = Model::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        assert_eq!((model.ir_version, model.operator_sets[0].version), (8, 17));
        assert_eq!(model.metadata[0].value, r#"["0","1","2"]"#);
        model.graph.unwrap()
    }

    #[test]
    fn initializers_are_the_weights() {
        let (graph, parameters) = (exported(Network::Ensemble, 0.25), parameters());
        for (slot, layers) in parameters.slots.iter().enumerate() {
            for (layer, values) in layers.iter().enumerate() {
                let name = Parameters::tensor_name(slot, layer);
                for (kind, shape, numbers) in
                    [("weight", &values.shape[..], &values.weight), ("bias", &[values.bias.len()][..], &values.bias)]
                {
                    let tensor = graph.initializers.iter().find(|tensor| tensor.name == format!("{name}.{kind}")).unwrap();
                    let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                    assert!((&tensor.sizes, tensor.data_type, &tensor.bytes) == (&sizes, FLOAT, &bytes), "{name}.{kind}");
                }
            }
        }
    }

    #[test]
    fn every_input_is_there_before_it_is_read_and_no_name_is_used_twice() {
        for (network, mean) in [(Network::A, 0.0), (Network::B, 0.25), (Network::Ensemble, 0.25)] {
            let graph = exported(network, mean);
            let first = graph.inputs.iter().map(|value| &value.name).chain(graph.initializers.iter().map(|tensor| &tensor.name));
            let mut known = HashSet::new();
            assert!(first.into_iter().all(|name| known.insert(name)));
            for node in &graph.nodes {
                assert!(node.inputs.iter().all(|name| known.contains(name)), "{}", node.name);
                assert!(node.outputs.iter().all(|name| known.insert(name)), "{}", node.name);
            }
            assert!(graph.outputs.iter().all(|value| known.contains(&value.name)));
        }
    }

    #[test]
    fn only_onnx_files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["model.safetensors", "model", ".onnx", "missing/model.onnx"] {
            let error = save(&folder.path().join(name), &parameters(), &description(0.0), Network::A).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(".onnx"), "{name}: {error}");
        }
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
        let other = ModelDescription { replicas: 1, ..description(0.0) };
        assert!(save(&folder.path().join("model.onnx"), &parameters(), &other, Network::A).is_err());
    }
}
