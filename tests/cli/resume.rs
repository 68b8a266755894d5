//! Runs that stop and go on, and runs that are repeated from a file.

use crate::support::runs::{arguments, results, start, wait_for_epochs};
use crate::support::{Idx, RUN, Refusal, check_refused, join, report, run, text};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Ctrl-C, at any moment: what is under way is finished, and the run says how it goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, stopped) = (folder.path().join("straight"), folder.path().join("stopped"));
    let arguments = arguments(folder.path(), "cpu", "300");
    run(&join(&[&arguments, &["--out", text(&straight)]])).succeeded();
    let mut child = start(&join(&[&arguments, &["--out", text(&stopped)]]));
    wait_for_epochs(&stopped, 2);
    for signal in ["-INT", "-TERM"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains(&format!("go on with: ffcl-gpu train --resume {}", text(&stopped))), "{stderr}");
        let epochs = fs::read_to_string(stopped.join("metrics.jsonl")).unwrap().lines().count();
        child = start(&["train", "--resume", text(&stopped), "--quiet"]);
        wait_for_epochs(&stopped, epochs + 2);
    }
    assert!(child.wait().unwrap().success());
    assert!(results(&straight) == results(&stopped), "the runs differ");
}

/// With a learning rate that does not depend on the number of epochs, some and then the rest are all.
#[test]
fn more_epochs_can_be_added() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, added) = (folder.path().join("straight"), folder.path().join("added"));
    let constant = |epochs, out: &Path| {
        run(&join(&[&arguments(folder.path(), "cpu", epochs), &["--schedule", "constant", "--out", text(out)]])).succeeded();
    };
    constant("5", &straight);
    constant("2", &added);
    // A line that a killed process left unfinished.
    let metrics = fs::read_to_string(added.join("metrics.jsonl")).unwrap();
    fs::write(added.join("metrics.jsonl"), metrics + "{\"epoch\": 3, \"repl").unwrap();
    let ran = run(&["train", "--resume", text(&added), "--epochs", "5", "--quiet"]).succeeded();
    assert_eq!(ran.stderr, "");
    assert!(results(&straight) == results(&added), "the runs differ");

    // A decaying rate has decayed already, and the run says so.
    let decayed = folder.path().join("decayed");
    run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&decayed)]])).succeeded();
    let ran = run(&["train", "--resume", text(&decayed), "--epochs", "3"]).succeeded();
    assert!(ran.stderr.contains("note: so far the learning rate followed a schedule of 2 epochs"), "{}", ran.stderr);
}

/// Whether it ended with its last epoch or in the middle of one.
#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    for (name, more) in
        [("whole", &[][..]), ("one epoch's part", &["--max-steps", "3"]), ("second's part", &["--max-steps", "11"])]
    {
        let out = folder.path().join(name);
        run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&out)], more])).succeeded();
        let before = results(&out);
        let ran = run(&["train", "--resume", text(&out)]).succeeded();
        assert!(results(&out) == before && !ran.stdout.contains("NaN"), "{name}: {}", ran.stdout);
    }
    // The second's part is not lost where the run does go on.
    let out = folder.path().join("second's part");
    let straight = folder.path().join("straight");
    run(&["train", "--resume", text(&out), "--max-steps", "16", "--quiet"]).succeeded();
    run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&straight)]])).succeeded();
    assert!(results(&out) == results(&straight));
}

/// A checkpoint behind the last line, as a kill leaves it, and refusals that come late: no line is lost.
#[test]
fn a_refused_resume_changes_nothing() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(&folder.path().join("data"));
    let out = folder.path().join("run");
    let data = folder.path().join("data");
    run(&join(&[&arguments(&data, "cpu", "3"), &["--checkpoint-every", "2", "--out", text(&out)]])).succeeded();
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let longer = metrics.clone() + &metrics.lines().last().unwrap().replace("\"epoch\":3", "\"epoch\":4") + "\n";
    fs::write(out.join("metrics.jsonl"), &longer).unwrap();
    let content = || RUN.map(|file| fs::read(out.join(file)).unwrap());
    let before = content();
    let mut other = Idx::small();
    other.train_images[20] ^= 1;
    other.write(&folder.path().join("other"));
    let other = folder.path().join("other");
    let cases: [(&[&str], i32, &str); 3] = [
        (&["--epochs", "2"], 2, "3 epochs"),
        (&["--epochs", "5", "--device", "none such"], 2, "--device"),
        (&["--epochs", "5", "--data-dir", text(&other)], 1, "was trained on other data"),
    ];
    report(cases.map(|(more, code, hint)| {
        let ran = run(&join(&[&["train", "--resume", text(&out)], more]));
        check_refused(&ran, Refusal::Line(code), &[hint])
            .and_then(|()| if content() == before { Ok(()) } else { Err(format!("{more:?} changed the files")) })
    }));
}

#[test]
fn what_cannot_go_on_is_refused() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let original = folder.path().join("run");
    run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&original)]])).succeeded();
    /// A name, what is spoiled, more options, the exit code and what the message holds.
    type Case<'a> = (&'a str, fn(&Path), &'a [&'a str], i32, &'a [&'a str]);
    let flip = |run: &Path| {
        let path = run.join("checkpoint.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let step = |run: &Path| {
        let path = run.join("checkpoint.safetensors");
        let bytes = fs::read(&path).unwrap();
        let place = bytes.windows(14).position(|bytes| bytes == b"epoch_steps\\\":").expect("the position in the header") + 14;
        let digit = if bytes[place] == b'8' { b'7' } else { b'8' };
        fs::write(path, [&bytes[..place], &[digit], &bytes[place + 1..]].concat()).unwrap();
    };
    let truncate = |run: &Path| {
        let path = run.join("checkpoint.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let other = |run: &Path| fs::copy(run.join("model.safetensors"), run.join("checkpoint.safetensors")).map(|_| ()).unwrap();
    let seed = |run: &Path| {
        let text = fs::read_to_string(run.join("config.json")).unwrap();
        fs::write(run.join("config.json"), text.replace("\"seed\": 0", "\"seed\": 1")).unwrap();
    };
    let unknown = |run: &Path| {
        let text = fs::read_to_string(run.join("config.json")).unwrap();
        fs::write(run.join("config.json"), text.replace("batch-size", "batch_size")).unwrap();
    };
    let gone = |run: &Path| {
        let text = fs::read_to_string(run.join("config.json")).unwrap();
        fs::write(run.join("config.json"), text.replace("\"batch-size\"", "\"mutual\": 0.3,\n\"batch-size\"")).unwrap();
    };
    let cases: [Case; 15] = [
        ("another option", |_| (), &["--batch-size", "8"], 2, &["--batch-size cannot change", "--config"]),
        ("fewer epochs", |_| (), &["--epochs", "1"], 2, &["--epochs 1", "2 epochs"]),
        ("no folder", |run| fs::remove_dir_all(run).unwrap(), &[], 1, &["config.json", "--resume"]),
        ("no metrics", |run| fs::remove_file(run.join("metrics.jsonl")).unwrap(), &[], 1, &["metrics.jsonl"]),
        ("empty metrics", |run| fs::write(run.join("metrics.jsonl"), "").unwrap(), &[], 1, &["holds 0 reports"]),
        (
            "metrics of another network",
            |run| {
                let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
                let empty = metrics.lines().map(|line| {
                    let mut report: serde_json::Value = serde_json::from_str(line).unwrap();
                    report["layer_losses"] = serde_json::json!([]);
                    format!("{report}\n")
                });
                fs::write(run.join("metrics.jsonl"), empty.collect::<String>()).unwrap();
            },
            &[],
            1,
            &["metrics.jsonl", "epochs, replicas and layers of this run"],
        ),
        ("other metrics", |run| fs::write(run.join("metrics.jsonl"), "{}\n").unwrap(), &[], 1, &["line 1"]),
        ("one bit", flip, &[], 1, &["checkpoint.safetensors", "checksum"]),
        ("another step", step, &[], 1, &["checkpoint.safetensors", "checksum"]),
        ("half a checkpoint", truncate, &[], 1, &["checkpoint.safetensors"]),
        ("no checkpoint inside", other, &[], 1, &["is no checkpoint"]),
        ("another seed", seed, &[], 1, &["belongs to another run"]),
        ("unknown option", unknown, &[], 1, &["batch_size", "did you mean `batch-size`?"]),
        ("an option that is gone", gone, &[], 1, &["--mutual 0.3", "new folder"]),
        ("an old record", |run| fs::write(run.join("config.json"), "{}").unwrap(), &[], 1, &["no `options`"]),
    ];
    report(cases.into_iter().map(|(name, spoil, more, code, hints)| {
        let copy = folder.path().join(name);
        fs::create_dir(&copy).unwrap();
        RUN.iter().for_each(|file| fs::copy(original.join(file), copy.join(file)).map(|_| ()).unwrap());
        spoil(&copy);
        let content = || RUN.map(|file| fs::read(copy.join(file)).ok());
        let before = content();
        let ran = run(&join(&[&["train", "--resume", text(&copy)], more]));
        check_refused(&ran, Refusal::Line(code), hints)
            .and_then(|()| if content() == before { Ok(()) } else { Err("it changed the files".into()) })
            .map_err(|problem| format!("{name}: {problem}"))
    }));
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let out = folder.path().join("run");
    let mut child = start(&join(&[&arguments(folder.path(), "cpu", "100000"), &["--out", text(&out)]]));
    wait_for_epochs(&out, 2);
    let ran = run(&["train", "--resume", text(&out)]);
    child.kill().unwrap();
    child.wait().unwrap();
    check_refused(&ran, Refusal::Line(2), &["another process is training in"]).unwrap();
}

#[test]
fn a_file_holds_options_and_the_command_line_wins() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let file = folder.path().join("options.toml");
    fs::write(
        &file,
        "dataset = 'mnist'\ndevice = 'cpu'\nlayers = [784, 16, 10]\nepochs = 2\nlearning-rate = 1e-3\nno-shuffle = true\nstandardize = true",
    )
    .unwrap();
    let (first, second, third) = (folder.path().join("first"), folder.path().join("second"), folder.path().join("third"));
    let data = ["--data-dir", text(folder.path()), "--quiet"];
    run(&join(&[&["train", "--config", text(&file), "--epochs", "3", "--out", text(&first)], &data])).succeeded();
    let idle = folder.path().join("idle.toml");
    fs::write(&idle, "hidden-loss = 'head'\ntemperature = 0.3").unwrap();
    let hints = ["--temperature belongs to --hidden-loss prototypes or instances"];
    check_refused(&run(&join(&[&["train", "--config", text(&idle)], &data])), Refusal::Line(2), &hints).unwrap();
    let typed = ["--layers=784,16,10", "--learning-rate=1e-3", "--no-shuffle", "--standardize", "--epochs=3"];
    let command = join(&[&["train", "--dataset", "mnist", "--device", "cpu", "--out", text(&second)], &data, &typed]);
    run(&command).succeeded();
    assert!(results(&first) == results(&second));
    // A run's own record repeats it, without the environment that it had; one of an earlier version, too.
    let record = first.join("config.json");
    let text_of = fs::read_to_string(&record).unwrap();
    let older = text_of.replace("\"batch-size\"", "\"mutual\": 0.0, \"representation\": \"activation\", \"batch-size\"");
    assert_ne!(older, text_of);
    fs::write(&record, older).unwrap();
    run(&["train", "--config", text(&record), "--quiet", "--out", text(&third)]).succeeded();
    assert!(results(&first) == results(&third));
}

/// What is typed wins, whole: a recipe is its options, and hidden widths replace all widths.
#[test]
fn a_record_gives_way_to_what_is_typed() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let first = folder.path().join("first");
    run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&first)]])).succeeded();
    let record = first.join("config.json");
    let pairs: [(&str, &[&str]); 4] = [
        // The record has a temperature, too.
        ("hidden loss", &["--hidden-loss", "head"]),
        ("recipe", &["--recipe", "paper"]),
        ("hidden", &["--hidden", "9,7"]),
        ("hidden and recipe", &["--hidden", "9,7", "--recipe", "centred", "--learning-rate", "1e-3"]),
    ];
    for (name, typed) in pairs {
        let (from_record, from_options) = (folder.path().join(name), folder.path().join(format!("{name} typed")));
        run(&join(&[&["train", "--config", text(&record), "--quiet", "--out", text(&from_record)], typed])).succeeded();
        // The recipe has a batch size of its own; else it is the record's.
        let mut same = arguments(folder.path(), "cpu", "2");
        if name.contains("recipe") {
            let place = same.iter().position(|word| *word == "--batch-size").unwrap();
            same.drain(place..place + 2);
        }
        run(&join(&[&same, &["--out", text(&from_options)], typed])).succeeded();
        assert!(results(&from_record) == results(&from_options), "{name}");
    }
}

/// The first weights are in the run by then.
#[test]
fn a_run_goes_on_without_the_file_that_it_began_with() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    run(&join(&[&arguments(folder.path(), "cpu", "1"), &["--out", text(&first)]])).succeeded();
    let weights = first.join("model.safetensors");
    let from = ["--init-from", text(&weights), "--schedule", "constant", "--out", text(&second)];
    run(&join(&[&arguments(folder.path(), "cpu", "1"), &from])).succeeded();
    fs::remove_file(&weights).unwrap();
    run(&["train", "--resume", text(&second), "--epochs", "2", "--quiet"]).succeeded();
}

#[test]
fn files_of_nonsense_are_refused() {
    let folder = TempDir::new().unwrap();
    let cases: [(&[u8], i32, &[&str]); 9] = [
        (b"epoch = 3", 1, &["unknown option `epoch`", "did you mean `epochs`?"]),
        (b"config = 'x'", 1, &["unknown option `config`"]),
        (b"epochs = 'many'", 2, &["--epochs", "many"]),
        (b"epochs = -1", 2, &["--epochs"]),
        (b"no-shuffle = 'yes'", 1, &["no-shuffle", "value"]),
        (b"layers = {a = 1}", 1, &["layers", "value"]),
        (b"epochs = [", 1, &["is not TOML", "line 1"]),
        (b"{\"options\": ", 1, &["is not JSON"]),
        (b"\xff\xfe\x00", 1, &["is no text"]),
    ];
    report(cases.map(|(content, code, hints)| {
        let path = folder.path().join("options.toml");
        fs::write(&path, content).unwrap();
        check_refused(&run(&["train", "--config", text(&path)]), Refusal::Line(code), hints)
    }));
    check_refused(&run(&["train", "--config", "missing.toml"]), Refusal::Line(1), &["missing.toml", "--config"]).unwrap();
    check_refused(&run(&["train", "--config", "a", "--resume", "b"]), Refusal::Parser, &["--config"]).unwrap();
}

#[cfg(unix)]
#[test]
fn without_out_a_run_gets_a_folder_of_its_own() {
    let script = r#"dir=$(mktemp -d) && cd "$dir" && "$0" "$@" && "$0" "$@" && "$0" "$@" --no-out && ls runs && ls"#;
    let arguments = ["train", "--device", "cpu", "--limit-train", "256", "--epochs", "1", "--seed", "4", "--quiet"];
    let ran = crate::support::run_in_shell(script, &arguments, Duration::from_secs(60)).succeeded();
    let lines = ran.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].ends_with("-digits-4") && lines[1] == format!("{}-2", lines[0]) && lines[2] == "runs", "{lines:?}");
}

#[test]
fn a_run_whose_checkpoint_is_gone_is_not_overwritten() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let train = ["train", "--device=cpu", "--limit-train=256", "--epochs=3", "--quiet", "--out", text(&out)];
    run(&train).succeeded();
    fs::remove_file(out.join("checkpoint.safetensors")).unwrap();
    let metrics = fs::read(out.join("metrics.jsonl")).unwrap();
    let refused =
        || check_refused(&run(&["train", "--resume", text(&out)]), Refusal::Line(1), &["is missing", "3 epochs", "--config"]);
    refused().unwrap();
    fs::remove_file(out.join("model.safetensors")).unwrap();
    fs::remove_file(out.join("evaluation.json")).unwrap();
    refused().unwrap();
    assert_eq!(fs::read(out.join("metrics.jsonl")).unwrap(), metrics);
    // A run that was killed before its first checkpoint begins anew, and says so.
    let one = metrics.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    fs::write(out.join("metrics.jsonl"), &metrics[..one]).unwrap();
    let ran = run(&["train", "--resume", text(&out)]).succeeded();
    assert!(ran.stderr.contains("begins anew, and writes its 1 epochs again"), "{}", ran.stderr);
}
