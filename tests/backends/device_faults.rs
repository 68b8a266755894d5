//! Devices that are lost, have no memory, or are slow. A Vulkan layer makes the driver fail (tests/backends/vulkan_layer.c); the
//! program is the one that users get.

use crate::support::runs::results;
use crate::support::{Idx, Ran, Refusal, check_refused, join, names_in, run_with, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

tests! {
    gpu: a_run_outlives_the_loss_of_its_device, a_lost_device_is_an_error_and_the_run_can_go_on,
        a_device_without_memory_is_an_error, submissions_to_a_slow_device_are_short;
}

const MANIFEST: &str = r#"{"file_format_version": "1.1.2", "layer": {"name": "VK_LAYER_FFCL_faults", "type": "GLOBAL",
"library_path": "./libfaults.so", "api_version": "1.3.0", "implementation_version": "1", "description": "Faults on request"}}"#;

/// A folder with the layer, small images, and room for runs.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/vulkan_layer.c");
        let library = folder.path().join("libfaults.so");
        let built =
            Command::new("cc").args(["-O1", "-shared", "-fPIC", "-Wl,-z,nodelete", "-o"]).args([&library, &source]).status();
        assert!(built.unwrap().success());
        fs::write(folder.path().join("faults.json"), MANIFEST).unwrap();
        Idx::small().write(folder.path());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Calls the program with faults. What comes back has no notes about the adapter, and no warnings about what it learns.
    fn run(&self, faults: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let layer = [
            ("VK_LAYER_PATH", text(self.folder.path())),
            ("VK_INSTANCE_LAYERS", "VK_LAYER_FFCL_faults"),
            ("WGPU_BACKEND", "vulkan"),
        ];
        let ran = run_with(arguments, &[&layer, faults].concat());
        let lines = ran.stderr.lines().filter(|line| !line.contains("is a software adapter") && !line.starts_with("warning: "));
        Ran { stderr: lines.map(|line| format!("{line}\n")).collect(), ..ran }
    }

    /// A run whose epochs have one step each: its submissions do not depend on how fast the machine is.
    fn arguments<'a>(&'a self, out: &'a Path, epochs: &'a str) -> Vec<&'a str> {
        let data = ["--dataset", "mnist", "--data-dir", text(self.folder.path())];
        let run = ["train", "--device", "gpu", "--epochs", epochs, "--shift", "1", "--json", "--no-report", "--out", text(out)];
        join(&[&run, &data])
    }

    /// Trains without a fault, and returns the number of submissions, too.
    fn straight(&self) -> (PathBuf, usize) {
        let (out, log) = (self.path("straight"), self.path("log"));
        self.run(&[("FAULT_LOG", text(&log))], &self.arguments(&out, "4")).succeeded();
        (out, fs::read_to_string(log).unwrap().lines().count())
    }
}

/// Lost three times, once before the first checkpoint; each time the run goes on by itself.
fn a_run_outlives_the_loss_of_its_device() {
    let bench = Bench::new();
    let (straight, submissions) = bench.straight();
    assert!(submissions > 40, "{submissions}");
    let out = bench.path("lost");
    let faults = [submissions / 8, submissions, submissions * 9 / 8].map(|count| count.to_string()).join(",");
    let retry = join(&[&bench.arguments(&out, "4"), &["--retry-on-device-loss", "3"]]);
    let ran = bench.run(&[("FAULT_SUBMIT", &faults)], &retry).succeeded();
    assert!(ran.stderr.contains("(3 of 3)") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(results(&straight) == results(&out), "the runs differ");
}

/// Without the option it ends with an error, by whichever call it was noticed; what it leaves goes on to the same bits.
fn a_lost_device_is_an_error_and_the_run_can_go_on() {
    let bench = Bench::new();
    let (straight, submissions) = bench.straight();
    let late = (submissions * 3 / 4).to_string();
    for (name, fault) in [("submission", ("FAULT_SUBMIT", late.as_str())), ("wait", ("FAULT_WAIT", "50"))] {
        let out = bench.path(name);
        let ran = bench.run(&[fault], &bench.arguments(&out, "4"));
        check_refused(&ran, Refusal::Line(1), &["the device was lost while", "run it again", "train --resume"]).unwrap();
        assert!(!out.join("model.safetensors").exists());
        bench.run(&[], &["train", "--resume", text(&out), "--json"]).succeeded();
        assert!(results(&straight) == results(&out), "{name}: the runs differ");
    }
}

/// The message has the sizes; no folder is left.
fn a_device_without_memory_is_an_error() {
    let bench = Bench::new();
    let out = bench.path("run");
    let wide = join(&[&bench.arguments(&out, "4"), &["--layers", "784,2000,2000,10"]]);
    let ran = bench.run(&[("FAULT_ALLOCATION", "3")], &wide);
    check_refused(&ran, Refusal::Line(1), &["too little memory", "bytes for '", "MiB", "--replicas"]).unwrap();
    assert!(!names_in(bench.folder.path()).contains(&"run".into()));
}

/// A step of 28 dispatches of 10 ms is longer than a submission should be: after the first ones, which nobody could know better,
/// each dispatch is submitted by itself.
fn submissions_to_a_slow_device_are_short() {
    let bench = Bench::new();
    let log = bench.path("log");
    let out = bench.path("run");
    let slow = join(&[&bench.arguments(&out, "1"), &["--batch-size", "16"]]);
    bench.run(&[("FAULT_LOG", text(&log)), ("FAULT_DISPATCH_US", "10000")], &slow).succeeded();
    let log = fs::read_to_string(log).unwrap();
    let sizes: Vec<u64> = log.lines().map(|line| line.parse().unwrap()).collect();
    let step = sizes.iter().copied().max().unwrap();
    assert!(step > 20, "{sizes:?}");
    // As many as may be under way before the first one is measured.
    assert_eq!(sizes.iter().filter(|&&size| size == step).count(), 3, "{sizes:?}");
    assert!(sizes.iter().all(|&size| size == step || size * 10 <= 200), "{sizes:?}");
}
