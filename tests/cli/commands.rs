//! The other commands, help, and the top of the command line.

use crate::support::{Refusal, check_refused, run, run_with};

#[test]
fn devices_lists_the_cpu_and_json_only_adapters() {
    let ran = run(&["devices"]).succeeded();
    assert!(ran.lines().iter().any(|line| line.starts_with("cpu:")), "{}", ran.stdout);
    let adapters = run(&["devices", "--json"]).succeeded().json_lines();
    for (index, adapter) in adapters.iter().enumerate() {
        assert_eq!(adapter["index"], index);
        for key in ["name", "backend", "kind"] {
            assert!(adapter["device"][key].as_str().is_some_and(|value| !value.is_empty()), "{key} in {adapter}");
        }
    }
    let titles = ran.lines().iter().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).count();
    assert_eq!(titles, adapters.len());
}

#[test]
fn no_device_is_found_where_no_name_fits_and_auto_then_takes_the_cpu() {
    let nobody = [("WGPU_ADAPTER_NAME", "no adapter has this name")];
    let arguments = |device| ["train", "--limit-train", "128", "--epochs", "1", "--device", device];
    let ran = run_with(&arguments("auto"), &nobody).succeeded();
    assert!(ran.stderr.starts_with("note: ") && ran.stderr.contains("CPU") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    check_refused(&run_with(&arguments("gpu"), &nobody), Refusal::Line(2), &["--device cpu"]).unwrap();
}

#[test]
fn verify_needs_an_adapter() {
    check_refused(&run(&["verify", "--device", "cpu"]), Refusal::Line(2), &["--device gpu"]).unwrap();
}

#[test]
fn every_command_has_help_and_the_main_ones_an_example() {
    for (command, has_example) in
        [("train", true), ("study", false), ("data", false), ("verify", true), ("bench", true), ("devices", false)]
    {
        for flag in ["--help", "-h"] {
            let ran = run(&[command, flag]).succeeded();
            assert_eq!(ran.stderr, "");
            assert!(ran.stdout.contains(&format!("Usage: ffcl-gpu {command}")), "{}", ran.stdout);
            let example = ran.lines().iter().any(|line| line.contains(&format!("ffcl-gpu {command} --")));
            assert!(example || !has_example, "{command} {flag} shows no example: {}", ran.stdout);
        }
    }
    let ran = run(&["--help"]).succeeded();
    assert!(
        ["train", "study", "verify", "bench", "devices"].iter().all(|command| ran.stdout.contains(command)),
        "{}",
        ran.stdout
    );
    assert_eq!(run(&["--version"]).succeeded().stdout, concat!("ffcl-gpu ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// How many options the help of `train` shows, with `-h` and with `--help`.
#[test]
fn short_help_shows_what_most_runs_need() {
    let options = |flag: &str| {
        let ran = run(&["train", flag]).succeeded();
        assert!(ran.stdout.contains("--help all of them"), "{}", ran.stdout);
        ran.stdout.lines().filter(|line| line.starts_with("      --") || line.starts_with("  -")).count()
    };
    let (short, long) = (options("-h"), options("--help"));
    assert!((20..=26).contains(&short) && long > 2 * short, "{short} of {long}");
}

/// A user who copies the default out of the help must have typed something that works.
#[test]
fn the_help_writes_layers_as_they_are_typed() {
    let ran = run(&["train", "--help"]).succeeded();
    assert!(ran.stdout.contains("784,64,64,10"), "{}", ran.stdout);
}

#[test]
fn no_command_shows_help_and_an_unknown_one_is_refused() {
    let ran = run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Usage: ffcl-gpu") && ran.stderr.contains("devices"), "{}", ran.stderr);
    check_refused(&run(&["fly"]), Refusal::Parser, &["fly"]).unwrap();
}
