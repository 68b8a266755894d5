//! Studies: what they train, what they leave, how they go on, and how they refuse.

use crate::support::{Idx, Refusal, check_refused, join, json_lines, names_in, report, run, run_with, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Four cells of two seeds, each of three steps or six.
const TINY: &str = "title = 'Tiny'
baseline = 'own'
seeds = 2
train-sizes = [60, 120]
[base]
epochs = 1
batch-size = 20
layers = [784, 8, 10]
[variants.partner]
[variants.own]
guide = 'own'
";

/// A folder with a study's file and 128 small images under MNIST's name.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(study: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("study.toml"), study).unwrap();
        Idx::small().write(&folder.path().join("mnist"));
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("study.toml")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn run(&self, out: &Path, options: &[&str]) -> crate::support::Ran {
        let file = self.file();
        let study = ["study", text(&file), "--out", text(out), "--data-dir", text(self.folder.path()), "--device", "cpu"];
        run(&join(&[&study, options]))
    }
}

fn results(path: &Path) -> Vec<Value> {
    json_lines(&fs::read_to_string(path).unwrap())
}

/// Everything but the times, in an order of its own.
fn numbers(lines: impl IntoIterator<Item = Value>) -> Vec<String> {
    let timeless = |mut line: Value| {
        line.as_object_mut().unwrap().remove("seconds");
        line.to_string()
    };
    let mut lines: Vec<_> = lines.into_iter().map(timeless).collect();
    lines.sort();
    lines
}

#[test]
fn a_study_trains_every_cell_once_and_reports() {
    let place = Place::new(&TINY.replace("seeds = 2", "seeds = 2\ndatasets = ['digits']").replace("[60, 120]", "[300, 600]"));
    let out = place.out();
    let listed = place.run(&out, &["--dry-run"]).succeeded();
    assert_eq!(listed.lines().len(), 4);
    assert!(
        listed.lines()[0].contains("digits 784-8-10, 300 images, partner: 15 steps × 2 seeds, to train"),
        "{}",
        listed.stdout
    );
    assert!(!out.exists(), "a dry run wrote something");

    let ran = place.run(&out, &[]).succeeded();
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.contains("4/4  digits 784-8-10, 600 images, own: single"), "{}", ran.stdout);
    let lines = results(&out.join("results.jsonl"));
    let order: Vec<_> = lines.iter().map(|line| (&line["train_images"], &line["variant"], &line["seed"])).collect();
    assert_eq!(order.len(), 8);
    assert_eq!(order[2], (&Value::from(300), &Value::from("own"), &Value::from(1)));
    for line in &lines {
        for name in ["single", "ensemble", "a", "b"] {
            let share = line[format!("test_accuracy_{name}")].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&share), "{line}");
        }
        assert_eq!(line["curve"]["layer_losses"].as_array().unwrap().len(), 1, "{line}");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    }
    let files = [
        "epochs-digits-784-8-10-300.svg",
        "epochs-digits-784-8-10-600.svg",
        "report.md",
        "results.csv",
        "results.jsonl",
        "study.json",
        "train-images-digits-784-8-10.svg",
    ];
    assert_eq!(names_in(&out), files);
    let written = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(written.contains("# Tiny") && written.contains("| 300 | partner | 2 | "), "{written}");
    assert_eq!(fs::read_to_string(out.join("results.csv")).unwrap().lines().count(), 9);
}

/// Seed 2 of a study is the run with seed 2.
#[test]
fn a_cell_is_the_run_of_the_same_options() {
    let place = Place::new(TINY);
    let lines = place.run(&place.out(), &["--json"]).succeeded().json_lines();
    let data = ["--dataset", "mnist", "--data-dir", text(place.folder.path()), "--limit-train", "60"];
    let options = ["--epochs", "1", "--batch-size", "20", "--layers", "784,8,10", "--guide", "own", "--seed", "2", "--json"];
    let alone = &run(&join(&[&["train", "--device", "cpu"], &data, &options])).succeeded().json_lines()[0];
    for name in ["test_accuracy_a", "test_accuracy_b", "test_accuracy_ensemble", "train_accuracy"] {
        assert_eq!(lines[3][name], alone[name], "{name}");
    }
}

#[test]
fn a_study_goes_on_where_it_was_stopped() {
    let place = Place::new(TINY);
    let out = place.out();
    place.run(&out, &["--quiet"]).succeeded();
    let path = out.join("results.jsonl");
    let whole = fs::read_to_string(&path).unwrap();

    let again = place.run(&out, &[]).succeeded();
    assert!(again.stdout.contains("0 to train"), "{}", again.stdout);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);

    // Killed while it wrote the second seed of the third cell.
    let lines: Vec<_> = whole.lines().collect();
    fs::write(&path, format!("{}\n{}", lines[..5].join("\n"), &lines[5][..50])).unwrap();
    let listed = place.run(&out, &["--dry-run"]).succeeded();
    assert!(listed.lines()[1].ends_with("done") && listed.lines()[2].ends_with("1 of 2 seeds to train"), "{}", listed.stdout);
    place.run(&out, &["--quiet"]).succeeded();
    let timeless = |line: Value| {
        let mut line = line;
        line.as_object_mut().unwrap().remove("side_by_side");
        line
    };
    let before = json_lines(&whole).into_iter().map(timeless);
    assert_eq!(numbers(results(&path).into_iter().map(timeless)), numbers(before));

    // Another run under a name that is there already is no result of it.
    fs::write(place.file(), TINY.replace("guide = 'own'", "guide = 'own'\ntemperature = 0.2")).unwrap();
    let states: Vec<_> = place.run(&out, &["--dry-run", "--json"]).succeeded().json_lines();
    let missing: Vec<_> = states.iter().map(|state| state["missing"].as_array().unwrap().len()).collect();
    assert_eq!(missing, [0, 2, 0, 2]);
}

#[test]
fn shards_together_are_the_whole_study() {
    let place = Place::new(TINY);
    let (whole, shared) = (place.out(), place.folder.path().join("shared"));
    place.run(&whole, &["--quiet"]).succeeded();
    let first = place.run(&shared, &["--shard", "1/2"]).succeeded();
    assert!(first.stdout.contains("left     2 of 4 cells"), "{}", first.stdout);
    assert!(!shared.join("report.md").exists());
    place.run(&shared, &["--shard", "2/2", "--quiet"]).succeeded();
    let files = ["results-1-of-2.jsonl", "results-2-of-2.jsonl"].map(|name| results(&shared.join(name)));
    assert_eq!(numbers(files.into_iter().flatten()), numbers(results(&whole.join("results.jsonl"))));
    for name in ["report.md", "results.csv"] {
        let [one, other] = [&whole, &shared].map(|folder| fs::read_to_string(folder.join(name)).unwrap());
        assert_eq!(one.lines().count(), other.lines().count());
        assert!(name == "results.csv" || one == other, "{one}\n{other}");
    }
}

#[test]
fn a_report_can_be_written_early_and_elsewhere() {
    let place = Place::new(TINY);
    let (out, elsewhere) = (place.out(), place.folder.path().join("elsewhere"));
    place.run(&out, &["--shard", "1/4", "--quiet"]).succeeded();
    // The variable is set on many machines and must not get in the way.
    let arguments = ["study", "report", text(&out), "--out", text(&elsewhere)];
    let ran = run_with(&arguments, &[("FFCL_DATA_DIR", "/nowhere")]).succeeded();
    assert!(ran.stdout.starts_with("1 of 4 cells"), "{}", ran.stdout);
    assert_eq!(names_in(&out), ["results-1-of-4.jsonl", "study.json"]);
    assert_eq!(names_in(&elsewhere), ["epochs-mnist-784-8-10-60.svg", "report.md", "results.csv"]);
    let written = fs::read_to_string(elsewhere.join("report.md")).unwrap();
    assert!(written.contains("1 of 4 cells finished") && written.contains("- mnist 784-8-10, 120 images, own"), "{written}");
}

#[test]
fn held_out_images_take_the_test_sets_place() {
    let place = Place::new("title = 'Held out'\nseeds = 1\nhold-out = 28\n[base]\nepochs = 1\nbatch-size = 50\n[variants.a]");
    place.run(&place.out(), &["--quiet"]).succeeded();
    let line = &results(&place.out().join("results.jsonl"))[0];
    assert_eq!((&line["train_images"], &line["hold_out"], &line["steps"]), (&100.into(), &28.into(), &2.into()));
    let right = 28.0 * line["test_accuracy_a"].as_f64().unwrap();
    assert!((right - right.round()).abs() < 1e-9, "{right} of 28 images");
}

#[test]
fn one_cell_that_diverges_does_not_take_the_others_along() {
    let place = Place::new(&TINY.replace("[variants.partner]", "[variants.wild]\nlearning-rate = 1e30\n[variants.partner]"));
    let ran = place.run(&place.out(), &["--quiet"]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("note: mnist 784-8-10, 60 images, wild has no result"), "{}", ran.stderr);
    assert!(lines[2].starts_with("error: 2 cells have no result"), "{}", ran.stderr);
    assert_eq!(results(&place.out().join("results.jsonl")).len(), 8);
}

#[test]
fn impossible_studies_are_refused() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("epochs = 1", "epoch = 1", &["study.toml", "`epoch`", "did you mean `epochs`?"]),
        ("guide = 'own'", "guide = 'own'\nhidden-loss = 'head'", &["variant own", "--guide", "--hidden-loss prototypes"]),
        ("guide = 'own'", "guide = 'me'", &["`me`", "partner"]),
        ("seeds = 2", "", &["seeds"]),
        ("seeds = 2", "seeds = 2 3", &["line 3"]),
        ("baseline = 'own'", "baseline = 'owl'", &["\"owl\"", "partner, own"]),
        ("[60, 120]", "[60, 129]", &["129", "128"]),
        ("[60, 120]", "[10]", &["variant partner", "--batch-size"]),
        ("784, 8, 10", "784, 8, 9", &["--layers"]),
        ("seeds = 2", "seeds = 2\nhold-out = 128", &["--hold-out"]),
        ("seeds = 2", "seeds = 2\ndatasets = ['cats']", &["cats", "digits"]),
    ];
    report(cases.iter().map(|(old, new, hints)| {
        let place = Place::new(&TINY.replacen(old, new, 1));
        let ran = place.run(&place.out(), &[]);
        assert!(!place.out().exists(), "{new}: it wrote something");
        check_refused(&ran, Refusal::Line(2), hints).map_err(|problem| format!("{new}: {problem}"))
    }));
}

#[test]
fn impossible_calls_are_refused() {
    let place = Place::new(TINY);
    let out = place.out();
    let (file, folder) = (text(&place.folder.path().join("study.toml")).to_owned(), text(place.folder.path()).to_owned());
    let good = ["study", &file, "--out", text(&out), "--data-dir", &folder];
    let on_file = ["study", &file, "--out", &file, "--data-dir", &folder, "--device", "cpu"];
    type Call<'a> = (&'a [&'a str], &'a [&'a str], Refusal, &'a [&'a str]);
    let calls: [Call; 9] = [
        (&["study"], &[], Refusal::Parser, &["FILE.toml"]),
        (&["study", &file], &[], Refusal::Parser, &["--out"]),
        (&good, &["--shard", "3/2"], Refusal::Parser, &["2/8"]),
        (&good, &["--device", "nonsense"], Refusal::Line(2), &["--device nonsense"]),
        (&good, &["--device", "cpu", "--plan", "fused"], Refusal::Line(2), &["--plan fused"]),
        (&on_file, &[], Refusal::Line(1), &["folder"]),
        (&["study", &file, "--out", text(&out)], &[], Refusal::Line(2), &["--data-dir"]),
        (&["study", "nowhere.toml", "--out", text(&out)], &[], Refusal::Line(1), &["nowhere.toml"]),
        (&["study", "report", &folder], &[], Refusal::Line(1), &["study.json"]),
    ];
    report(calls.iter().map(|(call, options, refusal, hints)| {
        let ran = run(&join(&[call, options]));
        assert!(!out.exists(), "{call:?} {options:?} wrote something");
        check_refused(&ran, *refusal, hints).map_err(|problem| format!("{call:?} {options:?}: {problem}"))
    }));
}
