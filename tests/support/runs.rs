//! Runs that are watched while they train, and their results.

use super::{PROGRAM, VARIABLES, join, json_lines, text};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run on small IDX files, with images that change, so that every random number counts.
pub fn arguments<'a>(folder: &'a Path, device: &'a str, epochs: &'a str) -> Vec<&'a str> {
    let data = ["--dataset", "mnist", "--data-dir", text(folder)];
    join(&[&["train", "--device", device, "--batch-size", "16", "--shift", "1", "--epochs", epochs, "--quiet"], &data])
}

/// Starts the program and leaves it to itself.
pub fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
        .args(arguments)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .env("FFCL_TUNE", "off")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a run has reported so many epochs.
pub fn wait_for_epochs(run: &Path, epochs: usize) {
    let begin = Instant::now();
    while !fs::read_to_string(run.join("metrics.jsonl")).is_ok_and(|text| text.lines().count() >= epochs) {
        assert!(begin.elapsed() < Duration::from_secs(100), "no epoch {epochs} in sight");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The results of a run, without its times.
pub fn results(run: &Path) -> (Vec<u8>, Vec<serde_json::Value>) {
    let mut lines = json_lines(&fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("seconds");
        line.remove("samples_per_second");
    }
    (fs::read(run.join("model.safetensors")).unwrap(), lines)
}
