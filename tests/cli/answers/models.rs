//! Files of models: those that are refused, that lost something, and those that `export` writes.

use super::{ask, gray, image_of, model};
use crate::support::{Idx, Refusal, check_refused, join, names_in, run, text};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A file of a network that this program did not write.
fn foreign(path: &Path, layers: &[usize]) {
    let bytes = vec![0; 4 * 784 * 784];
    let zeros = |shape: Vec<usize>| {
        let length = 4 * shape.iter().product::<usize>();
        TensorView::new(Dtype::F32, shape, &bytes[..length]).unwrap()
    };
    let tensors = ["a", "b"].into_iter().flat_map(|letter| {
        layers.windows(2).enumerate().flat_map(move |(layer, pair)| {
            let name = format!("r0.{letter}.layers.{layer}");
            [(format!("{name}.weight"), zeros(vec![pair[1], pair[0]])), (format!("{name}.bias"), zeros(vec![pair[1]]))]
        })
    });
    fs::write(path, safetensors::serialize(tensors.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

#[test]
fn models_that_are_none_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.safetensors"), "no weights").unwrap();
    fs::write(path("nothing.safetensors"), "").unwrap();
    fs::create_dir(path("empty")).unwrap();
    foreign(&path("small.safetensors"), &[49, 10]);
    foreign(&path("few.safetensors"), &[784, 3]);
    let picture = path("digit.png");
    gray(&image_of(3), |ink| ink).save(&picture).unwrap();
    let cases: [(&str, i32, &[&str]); 4] = [
        ("missing", 1, &["cannot read"]),
        ("text.safetensors", 1, &["no whole safetensors"]),
        ("nothing.safetensors", 1, &["no whole safetensors"]),
        ("empty", 1, &["neither model.safetensors nor checkpoint.safetensors"]),
    ];
    for (name, code, hints) in cases {
        for (command, rest) in [("evaluate", None), ("predict", Some(&picture)), ("export", Some(&path("x.onnx")))] {
            let model = path(name);
            let rest: Vec<&str> = rest.into_iter().map(|file| text(file)).collect();
            let arguments = join(&[&[command, text(&model)], &rest]);
            check_refused(&run(&arguments), Refusal::Line(code), hints)
                .unwrap_or_else(|problem| panic!("{command} {name}: {problem}"));
        }
    }
    assert!(!path("x.onnx").exists());
    let evaluate =
        |name: &str, rest: &[&str]| run(&join(&[&["evaluate", text(&path(name)), "--plain", "--device", "cpu"], rest]));
    check_refused(&evaluate("few.safetensors", &[]), Refusal::Line(2), &["unknown", "--dataset"]).unwrap();
    let digits = ["--dataset", "digits"];
    check_refused(&evaluate("small.safetensors", &digits), Refusal::Line(2), &["28×28", "7×7"]).unwrap();
    check_refused(&evaluate("few.safetensors", &digits), Refusal::Line(2), &["3 classes"]).unwrap();
    // A foreign file that fits is taken, if the user says that it is a plain network.
    foreign(&path("fits.safetensors"), &[784, 10]);
    let ran = evaluate("fits.safetensors", &digits).succeeded();
    assert!(ran.stdout.contains("compared by number"), "{}", ran.stdout);
    let fits = path("fits.safetensors");
    for arguments in [&["evaluate", text(&fits)][..], &["predict", text(&fits), text(&picture)]] {
        check_refused(&run(arguments), Refusal::Line(1), &["lacks both its metadata and the tensor", "--plain"]).unwrap();
    }
    // What is no safetensors file is called by its name.
    check_refused(&run(&["predict", text(&picture), text(&picture)]), Refusal::Line(1), &["it is a picture"]).unwrap();
    Idx::small().write(folder.path());
    check_refused(&ask("evaluate", &["--dataset", "mnist"]), Refusal::Line(2), &["--data-dir"]).unwrap();
    ask("evaluate", &["--dataset", "mnist", "--data-dir", text(folder.path())]).succeeded();
}

#[test]
fn export_writes_a_file_or_nothing() {
    let folder = TempDir::new().unwrap();
    let export = |name: &str, rest: &[&str]| {
        let file = folder.path().join(name);
        run(&join(&[&["export", model(), text(&file)], rest]))
    };
    for (name, refusal, rest, hint) in [
        ("model.safetensors", Refusal::Line(2), &[][..], ".onnx"),
        ("model", Refusal::Line(2), &[], ".onnx"),
        ("missing/model.onnx", Refusal::Line(2), &[], "folder that exists"),
        ("model.onnx", Refusal::Line(2), &["--replica", "1"], "--replica 1"),
        ("model.onnx", Refusal::Parser, &["--network", "c"], "ensemble"),
        ("model.onnx", Refusal::Parser, &["surplus"], "surplus"),
    ] {
        check_refused(&export(name, rest), refusal, &[hint]).unwrap_or_else(|problem| panic!("{name} {rest:?}: {problem}"));
    }
    assert!(names_in(folder.path()).is_empty());
    let size = |network: &str| {
        export("model.onnx", &["--network", network]).succeeded();
        fs::metadata(folder.path().join("model.onnx")).unwrap().len()
    };
    let weights = 4 * (785 * 64 + 65 * 64 + 65 * 10);
    assert!((weights..weights + 5000).contains(&size("a")) && (2 * weights..2 * weights + 10_000).contains(&size("ensemble")));
    assert_eq!(names_in(folder.path()), ["model.onnx"]);
}

#[test]
fn a_model_that_lost_its_metadata_answers_to_the_last_bit() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "1000", "--epochs", "1", "--standardize", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let bytes = fs::read(out.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let again = folder.path().join("again.safetensors");
    fs::write(&again, safetensors::serialize(tensors.tensors(), None).unwrap()).unwrap();
    let measure = |model: &Path| {
        let ran = run(&["evaluate", text(model), "--device", "cpu", "--json"]).succeeded();
        let mut found = ran.json_lines().remove(0);
        found["model"] = Value::Null;
        // Only a run's folder knows.
        found["learned_from"] = Value::Null;
        found
    };
    assert_eq!(measure(&out), measure(&again));
    // In half of the digits it says so.
    let converted: Vec<_> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let halves: Vec<u8> = match view.dtype() {
                Dtype::U8 => view.data().iter().flat_map(|&byte| half::f16::from_f32(f32::from(byte)).to_le_bytes()).collect(),
                _ => {
                    let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                    numbers.flat_map(|number| half::f16::from_f32(number).to_le_bytes()).collect()
                }
            };
            (name, view.shape().to_vec(), halves)
        })
        .collect();
    let views = converted.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap()));
    fs::write(&again, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    let ran = run(&["evaluate", text(&again), "--device", "cpu"]).succeeded();
    assert!(ran.stderr.contains("are F16; they are converted to F32"), "{}", ran.stderr);
    let start = ["train", "--device", "cpu", "--limit-train", "256", "--epochs", "1", "--no-out", "--init-from", text(&again)];
    assert!(run(&start).succeeded().stderr.contains("are F16; they are converted to F32"));
}
