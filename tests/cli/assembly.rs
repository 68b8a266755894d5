//! A run is the same whoever asks for it: `train`, `study`, `audit` and the library.

use crate::support::{Refusal, check_refused, json_lines, run, text};
use ffcl_gpu::assembly::Prepared;
use ffcl_gpu::config::{Extent, Idle, RunOptions};
use ffcl_gpu::cpu;
use ffcl_gpu::dataset::file::{self, FileOptions};
use ffcl_gpu::dataset::folder::TEST_FRACTION;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::weights::to_bytes;
use serde_json::Value;
use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A table of features of three classes, each column on a scale of its own.
fn table(folder: &Path) -> PathBuf {
    let line = |row: usize| {
        let column = |column: usize| f64::from(u8::from(row % 3 == column)) + (row * (column + 7) % 11) as f64 / 10.0;
        format!("{},{},{},{}\n", 0.001 * column(0), column(1), 500.0 * column(2), row % 3)
    };
    let path = folder.join("table.csv");
    fs::write(&path, format!("length,width,price,label\n{}", (0..300).map(line).collect::<String>())).unwrap();
    path
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The last line of a run's metrics.
fn last(path: &Path) -> Value {
    json_lines(&fs::read_to_string(path).unwrap()).pop().unwrap()
}

#[test]
fn every_way_to_a_run_comes_to_the_same_one() {
    let folder = TempDir::new().unwrap();
    let (data, out) = (table(folder.path()), |name: &str| folder.path().join(name));
    let asked = ["--epochs=2", "--batch-size=20", "--hidden=8", "--labelled=90", "--label-noise=sym:0.1"];
    let to = ["--device=cpu", "--seed=3", "--no-report", "--dataset", text(&data), "--out", text(&out("run"))].map(str::to_owned);
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    run(&[&["train"], &asked[..], &to].concat()).succeeded();
    assert_eq!(read(out("run/config.json"))["options"]["standardize"], true);

    let asked = "epochs = 2\nbatch-size = 20\nhidden = [8]\nlabelled = 90\nlabel-noise = 'sym:0.1'";
    let study = format!("title = 'A'\nseeds = 1\nfirst-seed = 3\ndatasets = ['{}']\n[variants.a]\n{asked}", data.display());
    fs::write(out("study.toml"), study).unwrap();
    run(&["study", text(&out("study.toml")), "--device=cpu", "--out", text(&out("study"))]).succeeded();
    assert_eq!(read(out("study/study.json"))["cells"][0]["training"]["standardize"], true);
    let (of_run, of_study) = (last(&out("run/metrics.jsonl")), last(&out("study/results.jsonl")));
    for number in ["train_accuracy", "test_accuracy_a", "test_accuracy_b", "test_accuracy_ensemble"] {
        assert!(of_run[number].is_f64() && of_run[number] == of_study[number], "{number}: {of_run} {of_study}");
    }

    let options: RunOptions = toml::from_str(asked).unwrap();
    let dataset = file::load(&data, &FileOptions::held_back(TEST_FRACTION)).unwrap();
    let extent = Extent { seed: 3, ..Extent::default() };
    let prepared: Prepared = options.on(Cow::Borrowed(&dataset), extent, Idle::Refused(&options.given())).unwrap();
    assert!(prepared.truth.is_some() && prepared.dataset.labelled_count() == 90 && dataset.unlabelled.is_empty());
    let mut backend = cpu::backend::open(prepared.job()).unwrap();
    backend.set_parameters(&prepared.config.initial_parameters().unwrap()).unwrap();
    let outcome = ffcl_gpu::train::train(prepared.job(), backend.as_mut(), &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    let model = to_bytes(Path::new("model"), &outcome.parameters, &ModelDescription::of(prepared.job())).unwrap();
    assert!(model == fs::read(out("run/model.safetensors")).unwrap());

    let audit = ["--epochs=6", "--replicas=2", "--folds=2", "--device=cpu", "--quiet", "--out"];
    run(&[&["audit", text(&data)], &audit[..], &[text(&out("audit"))]].concat()).succeeded();
    let record = read(out("audit/audit.json"));
    assert_eq!((&record["options"]["standardize"], &record["options"]["trust"]), (&true.into(), &"partner".into()));
}

#[test]
fn what_would_change_nothing_is_refused_in_every_way() {
    let folder = TempDir::new().unwrap();
    let study = folder.path().join("study.toml");
    fs::write(&study, "title = 'A'\nseeds = 1\ndatasets = ['digits']\n[variants.a]\nrecipe = 'heads'\ntemperature = 0.3")
        .unwrap();
    let out = folder.path().join("out");
    let idle = ["--recipe=heads", "--temperature=0.3"];
    for line in [
        [&["train", "--device=cpu", "--no-out"], &idle[..]].concat(),
        [&["audit", "digits", "--device=cpu", "--out", text(&out)], &idle[..]].concat(),
        [&["program"], &idle[..]].concat(),
        vec!["study", text(&study), "--device=cpu", "--out", text(&out)],
    ] {
        check_refused(&run(&line), Refusal::Line(2), &["--temperature belongs to --hidden-loss prototypes"]).unwrap();
    }
    assert!(!out.exists());
}
