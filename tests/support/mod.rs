//! Calling the program, judging what came back, and small files to feed it.

// Two test programs share this, and neither uses all of it.
#![allow(dead_code)]

pub mod runs;

use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ffcl-gpu");

/// Options that make a run on digits take about a second.
pub const SMALL: &[&str] = &["train", "--device", "cpu", "--limit-train", "256", "--epochs", "1"];

/// The files of a run that ended.
pub const RUN: [&str; 9] = [
    ".lock",
    "checkpoint.safetensors",
    "config.json",
    "curves.svg",
    "evaluation.json",
    "learned.bin",
    "metrics.jsonl",
    "model.safetensors",
    "report.html",
];

/// A hang must fail a test, but a busy machine must not.
const PATIENCE: Duration = Duration::from_secs(100);

/// What a call of the program left.
pub struct Ran {
    /// `None` where it was killed: by a signal, or by us, out of patience.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    pub fn json_lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// The output of a run that must have gone well.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "standard error: {}", self.stderr);
        self
    }
}

/// The variables that the tester's shell may hold and that change what the program does.
pub const VARIABLES: &[&str] = &[
    "FFCL_DATA_DIR",
    "WGPU_BACKEND",
    "WGPU_ADAPTER_NAME",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

fn call(mut command: assert_cmd::Command, arguments: &[&str], variables: &[(&str, &str)], patience: Duration) -> Ran {
    for name in VARIABLES {
        command.env_remove(name);
    }
    // Runs without --out write into the current folder.
    let folder = TempDir::new().unwrap();
    command.current_dir(folder.path());
    // Without it, a library below Vulkan complains to standard error, which is not the program's doing.
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    // Nor must the tester's own cache of data sets be found.
    command.env("FFCL_CACHE_DIR", std::env::temp_dir().join("ffcl-gpu-has-no-cache-here"));
    // Nor its tiles, which would be timed first.
    command.env("FFCL_TUNE", "off");
    let output = command.args(arguments).envs(variables.iter().copied()).timeout(patience).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("output must be UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs the program.
pub fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, &[])
}

/// Runs the program with more environment variables.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    call(assert_cmd::Command::new(PROGRAM), arguments, variables, PATIENCE)
}

/// Runs the program from a shell: in `script`, `"$0" "$@"` calls it.
#[cfg(unix)]
pub fn run_in_shell(script: &str, arguments: &[&str], patience: Duration) -> Ran {
    let mut command = assert_cmd::Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    call(command, arguments, &[], patience)
}

/// Concatenates pieces of a command line.
pub fn join<'a>(pieces: &[&[&'a str]]) -> Vec<&'a str> {
    pieces.concat()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the line {line}"))).collect()
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// How a refusal looks.
#[derive(Clone, Copy)]
pub enum Refusal {
    /// One line of our own, with this exit code.
    Line(i32),
    /// The argument parser's message, which may go on with usage hints; exit code 2.
    Parser,
}

/// Checks that `train` with these arguments is refused, that the message holds all `hints`, and that nothing was created.
/// An error describes the first thing that is wrong.
pub fn check_refusal(arguments: &[&str], refusal: Refusal, hints: &[&str]) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let ran = run(&join(&[&["train", "--device", "cpu", "--epochs", "1", "--out", text(&out)], arguments]));
    check_refused(&ran, refusal, hints)
        .and_then(|()| if names_in(folder.path()).is_empty() { Ok(()) } else { Err("it created the folder of --out".into()) })
        .map_err(|problem| format!("{}\n    {problem}", arguments.join(" ")))
}

/// Checks exit code and message of a call that must have been refused.
pub fn check_refused(ran: &Ran, refusal: Refusal, hints: &[&str]) -> Result<(), String> {
    let code = if let Refusal::Line(code) = refusal { code } else { 2 };
    let stderr = &ran.stderr;
    if ran.code != Some(code) {
        return Err(format!(
            "exit code {:?}, not {code}; standard error: {}",
            ran.code,
            stderr.lines().next().unwrap_or_default()
        ));
    }
    if !stderr.starts_with("error: ") || stderr.contains("panicked") {
        return Err(format!("no plain error message: {stderr}"));
    }
    if matches!(refusal, Refusal::Line(_)) && (stderr.lines().count() != 1 || !stderr.ends_with('\n')) {
        return Err(format!("not exactly one line: {stderr}"));
    }
    match hints.iter().find(|hint| !stderr.contains(**hint)) {
        Some(hint) => Err(format!("the message lacks \"{hint}\": {stderr}")),
        None => Ok(()),
    }
}

/// Fails with every problem of a table, so that one run shows them all.
pub fn report(results: impl IntoIterator<Item = Result<(), String>>) {
    let problems: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{} wrong:\n{}", problems.len(), problems.join("\n"));
}

/// Images of 28×28 and their labels, as the four IDX files of MNIST hold them; fields may be spoiled before writing.
pub struct Idx {
    pub train_images: Vec<u8>,
    pub train_labels: Vec<u8>,
    pub test_images: Vec<u8>,
    pub test_labels: Vec<u8>,
}

impl Idx {
    pub const FILES: [&str; 4] =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    /// 128 training images and 40 test images, of ten classes that a network can tell apart.
    pub fn small() -> Self {
        Self { train_images: images(128), train_labels: labels(128), test_images: images(40), test_labels: labels(40) }
    }

    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let contents = [&self.train_images, &self.train_labels, &self.test_images, &self.test_labels];
        for (name, content) in Self::FILES.iter().zip(contents) {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}

fn idx(sizes: &[u32], body: impl Iterator<Item = u8>) -> Vec<u8> {
    let header = [0, 0, 8, sizes.len() as u8].into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes()));
    header.chain(body).collect()
}

/// An IDX file of images, each with a bright bar at its class's height and some texture.
pub fn images(count: u32) -> Vec<u8> {
    let pixel = |image: u32, position: u32| {
        let bar = position / 28 / 2 == image % 10;
        (if bar { 200 } else { 0 } + (image * 31 + position * 17) % 50) as u8
    };
    idx(&[count, 28, 28], (0..count).flat_map(|image| (0..784).map(move |position| pixel(image, position))))
}

/// An IDX file of labels: 0 to 9 in turn.
pub fn labels(count: u32) -> Vec<u8> {
    idx(&[count], (0..count).map(|image| (image % 10) as u8))
}
