//! What `train` prints, and how it ends.

use crate::support::{Idx, PROGRAM, RUN, Ran, Refusal, SMALL, VARIABLES, check_refused, join, names_in, run, run_with, text};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Terminals obey control codes; pipes and files must not see any.
fn assert_plain(ran: &Ran) {
    let control = |text: &str| text.chars().any(|letter| letter.is_control() && letter != '\n');
    assert!(!control(&ran.stdout) && !control(&ran.stderr), "control codes in {:?} or {:?}", ran.stdout, ran.stderr);
}

#[test]
fn a_run_prints_a_header_a_row_for_each_epoch_and_a_summary() {
    let ran = run(&["train", "--device", "cpu", "--limit-train", "256", "--epochs", "2"]).succeeded();
    assert_plain(&ran);
    assert_eq!(ran.stderr, "");
    let lines = ran.lines();
    for (line, (begin, part)) in lines.iter().zip([
        ("device", "cpu"),
        ("data", "digits: 256 images"),
        ("classes", "10: 0 23, 1 23, 2 27, 3 31 … 6 20"),
        ("model", "784-64-64-10"),
        ("training", "2 epochs of 2 steps, batch 128"),
        (
            "method",
            "local, hidden layers by prototypes of the partner's projections to 32 at temperature 0.1, output by cross-entropy",
        ),
    ]) {
        assert!(line.starts_with(begin) && line.contains(part), "{line}");
    }
    let title = lines.iter().position(|line| line.starts_with("epoch")).expect("a title line");
    assert!(lines[title].contains("loss 3") && !lines[title].contains("loss 4"), "{}", lines[title]);
    for (epoch, row) in (1..=2).zip(&lines[title + 1..]) {
        let columns: Vec<_> = row.split_whitespace().collect();
        // Epoch, three losses, four accuracies, alignment, directions, speed.
        assert_eq!((columns.len(), columns[0]), (11, epoch.to_string().as_str()), "{row}");
        assert!(columns[1..10].iter().all(|number| number.parse::<f64>().is_ok_and(f64::is_finite)), "{row}");
    }
    let rest: Vec<_> = lines[title + 3..].iter().filter(|line| !line.is_empty()).collect();
    // The results, a table of the three layers, and where weights and report are.
    assert_eq!(rest.len(), 7, "{rest:?}");
    assert!(rest[5].starts_with("weights  runs/") && rest[6].starts_with("report   runs/"), "{rest:?}");
    assert!(rest[0].starts_with("4 steps in") && rest[0].contains('%'), "{}", rest[0]);
    assert!(rest[1].starts_with("layer") && rest[4].trim_start().starts_with('3'), "{rest:?}");
}

/// A few hundred images in batches of the usual size make a run too short to learn by. Whoever chose the epochs knows.
#[test]
fn a_run_of_few_steps_says_what_helps() {
    let few = ["train", "--device", "cpu", "--limit-train", "640", "--layers", "784,16,10", "--no-out"];
    let ran = run(&few).succeeded();
    assert!(
        ran.stderr.starts_with("note: 150 steps are few") && ran.stderr.contains("--batch-size such as 40,"),
        "{}",
        ran.stderr
    );
    for others in [["--epochs", "30"], ["--batch-size", "128"]] {
        let ran = run(&join(&[&few, &others])).succeeded();
        assert!(!ran.stderr.contains("steps are few"), "{}", ran.stderr);
    }
}

#[test]
fn quiet_prints_nothing() {
    let ran = run(&join(&[SMALL, &["--quiet"]])).succeeded();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn json_prints_json_lines_with_the_documented_keys() {
    let replicas = ["--json", "--replicas", "2", "--epochs", "2", "--layers", "784,16,10"];
    let ran = run(&join(&[&["train", "--device", "cpu", "--limit-train", "256"], &replicas])).succeeded();
    assert_plain(&ran);
    assert_eq!(ran.stderr, "");
    let lines = ran.json_lines();
    let order: Vec<_> = lines.iter().map(|line| (line["epoch"].as_u64().unwrap(), line["replica"].as_u64().unwrap())).collect();
    assert_eq!(order, [(1, 0), (1, 1), (2, 0), (2, 1)]);
    for line in &lines {
        let mut keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let accuracies = ["test_accuracy_a", "test_accuracy_b", "test_accuracy_ensemble", "train_accuracy"];
        let mut documented = vec!["epoch", "layer_losses", "replica", "samples_per_second", "seconds"];
        documented.extend(accuracies);
        documented.extend([
            "alignment",
            "participation_ratio",
            "dead_units",
            "weight_norm",
            "update_norm",
            "divergence",
            "signs",
        ]);
        documented.sort_unstable();
        assert_eq!(keys, documented);
        for name in accuracies {
            assert!(line[name].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{name} in {line}");
        }
        for (name, length) in [("alignment", 1), ("participation_ratio", 1), ("dead_units", 1), ("divergence", 2)] {
            let numbers = line[name].as_array().unwrap();
            assert!(numbers.len() == length && numbers.iter().all(|number| number.as_f64().is_some()), "{name} in {line}");
        }
        let losses = line["layer_losses"].as_array().unwrap();
        assert_eq!(losses.len(), 2, "{line}");
        assert!(losses.iter().all(|loss| loss.as_f64().is_some_and(f64::is_finite)), "{line}");
        assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["samples_per_second"].as_f64().unwrap() > 0.0, "{line}");
    }
}

#[test]
fn training_learns() {
    let size = ["--limit-train", "10000", "--epochs", "6", "--learning-rate", "2e-3", "--json"];
    let lines = run(&join(&[&["train", "--device", "cpu"], &size])).succeeded().json_lines();
    let accuracy = lines[5]["test_accuracy_ensemble"].as_f64().unwrap();
    // So short a run does not get far, but guessing on 10,000 images has 0.10 with a deviation of 0.003.
    assert!(accuracy > 0.13, "accuracy {accuracy}");
}

#[test]
fn mnist_is_read_from_the_option_the_variable_or_a_subfolder() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(&folder.path().join("mnist"));
    let (outer, inner) = (folder.path().to_owned(), folder.path().join("mnist"));
    let command = ["train", "--device", "cpu", "--epochs", "1", "--dataset", "mnist"];
    for directory in [&outer, &inner] {
        let by_option = run(&join(&[&command, &["--data-dir", text(directory)]])).succeeded();
        let by_variable = run_with(&command, &[("FFCL_DATA_DIR", text(directory))]).succeeded();
        for ran in [by_option, by_variable] {
            assert!(ran.stdout.contains("mnist: 128 images of 28×28 to learn, 40 images"), "{}", ran.stdout);
        }
    }
}

/// A shell script that empties the variable means to unset it.
#[test]
fn an_empty_variable_is_like_none() {
    let empty = [("FFCL_DATA_DIR", "")];
    run_with(SMALL, &empty).succeeded();
    check_refused(&run_with(&["train", "--dataset", "mnist"], &empty), Refusal::Line(2), &["--data-dir"]).unwrap();
}

#[test]
fn max_steps_ends_a_run_within_an_epoch() {
    let ran = run(&["train", "--device", "cpu", "--limit-train", "256", "--max-steps", "6"]).succeeded();
    assert!(ran.lines().iter().any(|line| line.starts_with("6 steps in")), "{}", ran.stdout);
}

#[test]
fn divergence_is_a_one_line_error() {
    for rate in ["1e30", "1e38"] {
        let ran = run(&join(&[SMALL, &["--learning-rate", rate]]));
        check_refused(&ran, Refusal::Line(1), &["NaN", "--learning-rate"]).unwrap();
    }
}

/// A single layer's weights grow by the learning rate in each step, until their squares overflow after some epochs: the
/// checkpoint from before is named, and is as good as it says.
#[test]
fn divergence_after_a_checkpoint_names_it() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let arguments = ["train", "--device", "cpu", "--recipe", "paper", "--layers", "784,10", "--limit-train", "1000"];
    let steep = join(&[&arguments, &["--batch-size", "100", "--epochs", "60", "--learning-rate", "3e16", "--quiet"]]);
    let ran = run(&join(&[&steep, &["--out", text(&out)]]));
    check_refused(&ran, Refusal::Line(1), &["after epoch", "of layer 0 of replica 0", "inf", "last good weights, of epoch"])
        .unwrap();
    let checkpoint = out.join("checkpoint.safetensors");
    run(&join(&[&arguments, &["--max-steps", "1", "--no-out", "--init-from", text(&checkpoint)]])).succeeded();
}

/// Starts the program with pipes, closes the reading end of one of them at once, and waits.
fn run_with_closed(arguments: &[&str], close_stdout: bool) -> std::process::Output {
    let mut command = Command::new(PROGRAM);
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    let folder = TempDir::new().unwrap();
    let mut child =
        command.args(arguments).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if close_stdout {
        drop(child.stdout.take());
    } else {
        drop(child.stderr.take());
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    for arguments in [SMALL.to_vec(), join(&[SMALL, &["--json"]]), vec!["devices"], vec!["train", "--help"]] {
        let output = run_with_closed(&arguments, true);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !stderr.contains("panicked"), "{arguments:?}: {} {stderr}", output.status);
    }
}

#[test]
fn a_run_whose_reader_left_still_saves_what_it_was_asked_to_save() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let output = run_with_closed(&join(&[SMALL, &["--out", text(&out)]]), true);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(names_in(&out), RUN);
}

#[test]
fn an_error_that_nobody_can_read_keeps_its_exit_code() {
    let output = run_with_closed(&["train", "--device", "cpu", "--batch-size", "0"], false);
    assert_eq!(output.status.code(), Some(2));
}

/// Lost output is an error, unlike a reader that has seen enough.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let ran = crate::support::run_in_shell(r#""$0" "$@" > /dev/full"#, SMALL, std::time::Duration::from_secs(60));
    check_refused(&ran, Refusal::Line(1), &["standard output"]).unwrap();
}

/// The run itself says that it failed, and --quiet says nothing.
#[test]
fn a_run_that_collapses_says_so() {
    let arguments =
        ["train", "--device", "cpu", "--recipe", "paper", "--limit-train", "2000", "--epochs", "3", "--learning-rate", "1e-3"];
    let ran = run(&arguments).succeeded();
    assert!(ran.stderr.contains("warning: epoch") && ran.stderr.contains("collapsed"), "{}", ran.stderr);
    assert_eq!(run(&join(&[&arguments, &["--quiet"]])).succeeded().stderr, "");
}
