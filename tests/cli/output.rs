//! What `--out` leaves behind, and what `--init-from` makes of it.

use crate::support::{Idx, RUN, Refusal, check_refusal, check_refused, join, json_lines, names_in, report, run, text};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const WIDTHS: [usize; 4] = [784, 64, 64, 10];

/// The tensors of a file by name, with their shapes.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        (name, (view.shape().to_vec(), values(view.data())))
    };
    // The model's description is no number of it.
    file.tensors().into_iter().filter(|(name, _)| name != "ffcl_gpu.description").map(tensor).collect()
}

/// A folder with small IDX files, on which a run takes a blink, and with room for runs.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Idx::small().write(&folder.path().join("mnist"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> [&str; 4] {
        ["--dataset", "mnist", "--data-dir", text(self.folder.path())]
    }

    /// Trains into the folder `name` and returns the path of the weights.
    fn train(&self, name: &str, more: &[&str]) -> PathBuf {
        let out = self.path(name);
        run(&join(&[&["train", "--device", "cpu", "--quiet", "--out", text(&out)], &self.data(), more])).succeeded();
        out.join("model.safetensors")
    }
}

#[test]
fn out_holds_configuration_metrics_and_weights() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("new/run");
    let arguments =
        ["--limit-train", "256", "--epochs", "3", "--replicas", "2", "--seed", "7", "--learning-rate", "3e-3", "--json"];
    let ran = run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &arguments])).succeeded();
    assert_eq!(names_in(&out), RUN);

    let config: Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&config["dataset"], &config["train_images"], &config["test_images"]),
        (&json!("digits"), &json!(256), &json!(10000))
    );
    assert_eq!((&config["device"]["backend"], &config["device"]["kind"]), (&json!("cpu"), &json!("cpu")));
    let options = &config["options"];
    for (key, value) in [
        ("layers", json!(WIDTHS)),
        ("epochs", json!(3)),
        ("batch-size", json!(128)),
        ("seed", json!(7)),
        ("replicas", json!(2)),
        ("no-shuffle", json!(false)),
        ("max-steps", Value::Null),
        ("learning-rate", json!(3e-3)),
        ("device", json!("cpu")),
        ("method", json!("local")),
        ("output-loss", json!("cross-entropy")),
        ("hidden-loss", json!("prototypes")),
        ("projection", json!(32)),
        ("schedule", json!("cosine")),
        ("centre", json!(false)),
        ("standardize", json!(false)),
    ] {
        assert_eq!(options[key], value, "{key}");
    }

    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let order = json_lines(&metrics)
        .iter()
        .map(|line| [line["epoch"].as_u64(), line["replica"].as_u64()].map(Option::unwrap))
        .collect::<Vec<_>>();
    assert_eq!(order, [[1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 1]]);
    assert_eq!(json_lines(&metrics), ran.json_lines(), "--json prints what metrics.jsonl holds");

    let found: BTreeMap<_, _> =
        tensors(&out.join("model.safetensors")).into_iter().map(|(name, (shape, _))| (name, shape)).collect();
    let mut expected = BTreeMap::new();
    for replica in 0..2 {
        for model in ["a", "b"] {
            for (layer, pair) in WIDTHS.windows(2).enumerate() {
                expected.insert(format!("r{replica}.{model}.layers.{layer}.weight"), vec![pair[1], pair[0]]);
                expected.insert(format!("r{replica}.{model}.layers.{layer}.bias"), vec![pair[1]]);
                if layer + 2 < WIDTHS.len() {
                    expected.insert(format!("r{replica}.{model}.projections.{layer}.weight"), vec![32, pair[1]]);
                }
            }
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn the_same_command_writes_the_same_weights_and_another_seed_others() {
    let bench = Bench::new();
    let train = |name: &str, seed: &str| fs::read(bench.train(name, &["--epochs", "3", "--seed", seed])).unwrap();
    let first = train("first", "1");
    // An order that changes from run to run, as of a hash map, may be the same by chance: hence several.
    for name in ["2", "3", "4", "5", "6", "7", "8"] {
        assert!(first == train(name, "1"), "the same command wrote different bytes");
    }
    assert!(first != train("other", "2"), "the seed changes nothing");
}

#[test]
fn a_replica_is_the_run_with_its_own_seed() {
    let bench = Bench::new();
    let pair = tensors(&bench.train("pair", &["--epochs", "2", "--replicas", "2", "--seed", "5"]));
    for (replica, seed) in ["5", "6"].into_iter().enumerate() {
        for (name, single) in tensors(&bench.train(seed, &["--epochs", "2", "--seed", seed])) {
            assert!(pair[&name.replacen("r0.", &format!("r{replica}."), 1)] == single, "{name} of seed {seed} differs");
        }
    }
}

#[test]
fn a_folder_with_a_run_is_refused_and_left_alone() {
    let bench = Bench::new();
    bench.train("run", &["--epochs", "1"]);
    let out = bench.path("run");
    let content = || names_in(&out).into_iter().map(|name| (fs::read(out.join(&name)).unwrap(), name)).collect::<Vec<_>>();
    let before = content();
    let ran = run(&join(&[&["train", "--device", "cpu", "--epochs", "2", "--out", text(&out)], &bench.data()]));
    check_refused(&ran, Refusal::Line(2), &["--out", "already holds a run"]).unwrap();
    assert!(content() == before, "the first run's files changed");
}

/// A file of the user's that happens to have a run's file name must not be replaced without a word.
#[test]
fn a_file_of_somebody_else_is_not_overwritten() {
    let bench = Bench::new();
    let check = |name: &str| {
        let out = bench.path(&format!("with {name}"));
        fs::create_dir(&out).unwrap();
        fs::write(out.join(name), "precious").unwrap();
        let ran = run(&join(&[&["train", "--device", "cpu", "--epochs", "1", "--out", text(&out)], &bench.data()]));
        if fs::read_to_string(out.join(name)).ok().as_deref() != Some("precious") {
            return Err(format!("{name} was overwritten"));
        }
        check_refused(&ran, Refusal::Line(2), &["--out"]).map_err(|problem| format!("{name}: {problem}"))
    };
    report(["checkpoint.safetensors", "config.json", "metrics.jsonl", "model.safetensors"].map(check));
}

#[test]
fn an_empty_folder_and_one_with_other_files_are_taken() {
    let bench = Bench::new();
    fs::create_dir(bench.path("run")).unwrap();
    fs::write(bench.path("run/notes.txt"), "mine").unwrap();
    bench.train("run", &["--epochs", "1"]);
    assert_eq!(names_in(&bench.path("run")), [&RUN[..8], &["notes.txt"], &RUN[8..]].concat());
}

#[test]
fn a_run_begins_with_the_weights_of_init_from() {
    let bench = Bench::new();
    let first = bench.train("first", &["--epochs", "2", "--replicas", "2", "--learning-rate", "1e-2"]);
    let second = bench.train(
        "second",
        &["--replicas", "2", "--seed", "9", "--max-steps", "1", "--learning-rate", "1e-30", "--init-from", text(&first)],
    );
    let (first, second) = (tensors(&first), tensors(&second));
    assert!(first.keys().eq(second.keys()));
    for (name, (_, values)) in &first {
        let worst = values.iter().zip(&second[name].1).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        // A step of Adam is at most a few learning rates long.
        assert!(worst <= 1e-28, "{name} moved by {worst}");
    }
    let config: Value = serde_json::from_slice(&fs::read(bench.path("second/config.json")).unwrap()).unwrap();
    assert_eq!(config["options"]["init-from"], text(&bench.path("first/model.safetensors")));
}

#[test]
fn bad_files_of_init_from_are_refused_with_a_remedy() {
    let bench = Bench::new();
    let model = bench.train("run", &["--epochs", "1"]);
    let bytes = fs::read(&model).unwrap();
    let write = |name: &str, content: &[u8]| {
        fs::write(bench.path(name), content).unwrap();
        bench.path(name)
    };
    // The first eight bytes are the header's length; behind it stand the numbers, before the description.
    let first = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let not_finite = [&bytes[..first], &f32::NAN.to_le_bytes(), &bytes[first + 4..]].concat();
    let boundless = [&u64::MAX.to_le_bytes(), &bytes[8..]].concat();
    let damaged = "give another file";
    let cases: [(PathBuf, &[&str], &[&str]); 13] = [
        (model.clone(), &["--layers", "784,32,10"], &["--layers"]),
        (model.clone(), &["--layers", "784,64,10"], &["--layers"]),
        (model.clone(), &["--layers", "784,64,64,64,10"], &["--layers"]),
        (model.clone(), &["--replicas", "2"], &["r1.a.layers.0.weight", "--replicas"]),
        (write("truncated", &bytes[..bytes.len() / 2]), &[], &[damaged]),
        (write("one byte short", &bytes[..bytes.len() - 1]), &[], &[damaged]),
        (write("one byte long", &[&bytes[..], &[0]].concat()), &[], &[damaged]),
        (write("text", b"these are no weights at all\n"), &[], &["it is text", "model.safetensors"]),
        (write("empty", b""), &[], &[damaged]),
        (write("boundless", &boundless), &[], &[damaged]),
        (write("not finite", &not_finite), &[], &["not finite", "give weights"]),
        (bench.path("missing"), &[], &["--init-from"]),
        (bench.folder.path().to_owned(), &[], &["--init-from"]),
    ];
    report(cases.map(|(file, more, hints)| {
        let arguments = join(&[&bench.data(), &["--init-from", text(&file)], more]);
        check_refusal(&arguments, Refusal::Line(1), hints)
    }));
}
