//! A run that is killed goes on to the bits of one that was not.

use crate::harness::Device;
use crate::support::runs::{arguments, results, start, wait_for_epochs};
use crate::support::{Idx, RUN, join, names_in, run, text};
use tempfile::TempDir;

tests! {
    both: a_killed_run_goes_on_to_the_same_bits;
}

fn a_killed_run_goes_on_to_the_same_bits(device: Device) {
    match device {
        Device::Cpu => killed_run_goes_on("cpu", [3, 40, 90], "200"),
        Device::Gpu => killed_run_goes_on("gpu", [2, 5, 9], "30"),
    }
}

/// Kills a run of `end` epochs after each of some numbers of epochs.
fn killed_run_goes_on(device: &str, epochs: [usize; 3], end: &str) {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, killed) = (folder.path().join("straight"), folder.path().join("killed"));
    let arguments = arguments(folder.path(), device, end);
    run(&join(&[&arguments, &["--out", text(&straight)]])).succeeded();
    let mut child = start(&join(&[&arguments, &["--out", text(&killed)]]));
    for epochs in epochs {
        wait_for_epochs(&killed, epochs);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.join("model.safetensors").exists(), "it was faster than the test");
        child = start(&["train", "--resume", text(&killed), "--quiet"]);
    }
    assert!(child.wait().unwrap().success());
    assert!(results(&straight) == results(&killed), "the runs differ");
    assert_eq!(names_in(&killed), RUN);
}
