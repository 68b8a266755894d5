//! How right a model is: `evaluate`.

use super::{RUN, ask, gray, last_metrics};
use crate::support::{Refusal, check_refused, join, run, text};
use ffcl_gpu::dataset::digits;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn evaluate_agrees_with_the_run() {
    let expected = last_metrics(RUN.path());
    let ran = ask("evaluate", &["--json"]).succeeded();
    let found = &ran.json_lines()[0];
    assert_eq!(ran.lines().len(), 1);
    assert_eq!(found["accuracy_a"], expected["test_accuracy_a"]);
    assert_eq!(found["accuracy_b"], expected["test_accuracy_b"]);
    assert_eq!(found["accuracy"], expected["test_accuracy_ensemble"]);
    let rows: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
    assert_eq!((rows.len(), rows.iter().flatten().sum::<u64>()), (10, 10_000));
    let right: u64 = (0..10).map(|class| rows[class][class]).sum();
    assert_eq!(right as f64 / 10_000.0, found["accuracy"].as_f64().unwrap());
    for (class, row) in rows.iter().enumerate() {
        let score = &found["classes"][class];
        let support = row.iter().sum::<u64>();
        assert_eq!((&score["name"], &score["support"]), (&class.to_string().into(), &support.into()));
        assert_eq!(score["recall"].as_f64().unwrap(), row[class] as f64 / support as f64);
    }
    assert!(found["loss"].as_f64().unwrap() > 0.0 && found["mistakes"][0]["probability"].as_f64().unwrap() > 0.3);
    // The same for people, from the file instead of the folder.
    let file = RUN.path().join("model.safetensors");
    let ran = run(&["evaluate", text(&file), "--device", "cpu"]).succeeded();
    assert!(ran.stdout.contains(&format!("{:.2}", 100.0 * found["accuracy"].as_f64().unwrap())), "{}", ran.stdout);
    assert!(ran.stdout.contains("precision %") && ran.stdout.contains("true"));
}

#[test]
fn one_pair_of_several_can_be_asked() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "512", "--epochs", "1", "--replicas", "2", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let evaluate = |pair: &[&str]| run(&join(&[&["evaluate", text(&out), "--device", "cpu", "--json"], pair]));
    let second = evaluate(&["--replica", "1"]).succeeded().json_lines().remove(0);
    let expected = last_metrics(&out);
    assert_eq!((&expected["replica"], &second["replicas"]), (&1.into(), &1.into()));
    assert_eq!(second["accuracy"], expected["test_accuracy_ensemble"]);
    assert_eq!(evaluate(&[]).succeeded().json_lines()[0]["replicas"], 2);
    check_refused(&evaluate(&["--replica", "2"]), Refusal::Line(2), &["--replica 2", "0 to 1"]).unwrap();
}

/// Pictures of digits in folders of these names, some of each.
fn scans(folder: &Path, classes: &[(u8, &str)]) {
    for &(class, name) in classes {
        fs::create_dir_all(folder.join(name)).unwrap();
        let test = digits::generate_with_counts(digits::SEED, 1, 400).test;
        let own = (0..test.count()).filter(|&index| test.labels[index] == class);
        for index in own.take(20) {
            let file = folder.join(name).join(format!("{index}.png"));
            gray(test.image(index), |ink| 255 - ink).resize(80, 90, image::imageops::FilterType::Triangle).save(file).unwrap();
        }
    }
}

fn evaluation(arguments: &[&str]) -> Value {
    ask("evaluate", &join(&[&["--json"], arguments])).succeeded().json_lines().remove(0)
}

#[test]
fn classes_are_compared_by_name_and_pictures_prepared_as_for_predict() {
    let folder = TempDir::new().unwrap();
    scans(folder.path(), &[(7, "7"), (3, "3")]);
    let dataset = ["--dataset", text(folder.path()), "--split", "all"];
    let found = evaluation(&dataset);
    assert_eq!(
        (&found["classes_matched_by"], &found["preparation"], &found["left_out"]),
        (&"names".into(), &"digit".into(), &0.into())
    );
    assert_eq!((&found["classes"][7]["support"], &found["classes"][3]["support"]), (&20.into(), &20.into()));
    assert!(found["accuracy"].as_f64().unwrap() > 0.8, "{}", found["accuracy"]);
    // `predict` says the same of each picture, and finds them all in the folder.
    let said = ask("predict", &["--json", text(folder.path())]).succeeded().json_lines();
    let right = said.iter().filter(|line| {
        let class = Path::new(line["file"].as_str().unwrap()).parent().unwrap().file_name().unwrap();
        line["label"].as_str() == class.to_str()
    });
    assert_eq!((said.len(), right.count() as f64 / 40.0), (40, found["accuracy"].as_f64().unwrap()));
    assert!(said.iter().all(|line| line["preparation"] == "digit"));
    // Without preparation both are wrong about dark ink on white.
    let raw = evaluation(&join(&[&dataset, &["--raw"]]));
    assert_eq!(raw["preparation"], "resize");
    assert!(raw["accuracy"].as_f64().unwrap() < 0.5, "{}", raw["accuracy"]);
    // A part is tested on unless all is asked for, and what is left out is counted.
    let ran = ask("evaluate", &["--dataset", text(folder.path())]).succeeded();
    assert!(ran.stdout.contains("8 images of 28×28 to test, 32 left out (--split all"), "{}", ran.stdout);
    assert!(ran.stdout.contains("classes  compared by name"), "{}", ran.stdout);
    assert_eq!(evaluation(&["--dataset", text(folder.path()), "--test-fraction", "1"])["accuracy"], found["accuracy"]);
    // One class is enough to measure on; a strange one is named.
    let one = TempDir::new().unwrap();
    scans(one.path(), &[(5, "5")]);
    assert_eq!(evaluation(&["--dataset", text(one.path()), "--split", "all"])["images"], 20);
    scans(one.path(), &[(1, "one")]);
    check_refused(
        &ask("evaluate", &["--dataset", text(one.path())]),
        Refusal::Line(2),
        &["class 'one' is not among the model's"],
    )
    .unwrap();
}

#[test]
fn evaluate_knows_what_a_run_held_out() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "1000", "--hold-out", "500", "--epochs", "1", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let measure = |rest: &[&str]| {
        run(&join(&[&["evaluate", text(&out), "--device", "cpu", "--json"], rest])).succeeded().json_lines().remove(0)
    };
    let found = measure(&[]);
    assert_eq!((&found["split"], &found["images"]), (&"held-out".into(), &500.into()));
    assert_eq!(found["accuracy"], last_metrics(&out)["test_accuracy_ensemble"]);
    assert_eq!(measure(&["--split", "test"])["images"], 10_000);
    check_refused(&ask("evaluate", &["--split", "held-out"]), Refusal::Line(2), &["--hold-out"]).unwrap();
}
