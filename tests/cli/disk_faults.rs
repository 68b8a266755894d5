//! Disks that fill up, folders that cannot be written, and folders that vanish: nothing is lost but what was being written.

use crate::support::runs::{arguments, results, start, wait_for_epochs};
use crate::support::{Idx, Refusal, check_refused, join, names_in, run, run_in_shell, text};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// Writing stops in the middle of a file, as on a full disk (a limit on the size of files gives EFBIG where a disk gives ENOSPC):
/// the checkpoint before is as it was, and the run goes on from it to the same bits.
#[test]
fn a_disk_that_is_full_leaves_the_last_checkpoint() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, filled) = (folder.path().join("straight"), folder.path().join("filled"));
    let arguments = arguments(folder.path(), "cpu", "3");
    run(&join(&[&arguments, &["--out", text(&straight)]])).succeeded();
    run(&join(&[&arguments, &["--out", text(&filled), "--max-steps", "8"]])).succeeded();
    let checkpoint = fs::read(filled.join("checkpoint.safetensors")).unwrap();

    // Of 512 bytes each: a quarter of the checkpoint.
    let blocks = checkpoint.len() / 2048;
    let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#);
    let resume = ["train", "--resume", text(&filled), "--max-steps", "24", "--quiet"];
    let ran = run_in_shell(&script, &resume, Duration::from_secs(60));
    check_refused(&ran, Refusal::Line(1), &["cannot write", "checkpoint.safetensors", "space", "--resume"]).unwrap();
    assert!(fs::read(filled.join("checkpoint.safetensors")).unwrap() == checkpoint, "the checkpoint changed");
    assert!(names_in(&filled).iter().all(|name| !name.ends_with(".part")), "{:?}", names_in(&filled));

    run(&resume).succeeded();
    assert!(results(&straight) == results(&filled), "the runs differ");
}

/// Not even config.json fits: no folder of a run is left that could be taken for one.
#[test]
fn a_disk_that_is_full_from_the_start_leaves_no_run() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let out = folder.path().join("run");
    let script = r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#;
    let ran =
        run_in_shell(script, &join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&out)]]), Duration::from_secs(60));
    check_refused(&ran, Refusal::Line(1), &["cannot write", "config.json", "space"]).unwrap();
    assert_eq!(names_in(&out), [".lock"]);
    run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", text(&out)]])).succeeded();
}

/// The folder is gone, or elsewhere: the run says so at its next checkpoint, makes no new one, and goes on from where the folder
/// is.
#[test]
fn a_folder_that_vanishes_ends_the_run() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, run_folder, moved) = ["straight", "run", "moved"].map(|name| folder.path().join(name)).into();
    run(&join(&[&arguments(folder.path(), "cpu", "100000"), &["--out", text(&straight), "--max-steps", "400"]])).succeeded();
    let child = start(&join(&[&arguments(folder.path(), "cpu", "100000"), &["--out", text(&run_folder)]]));
    wait_for_epochs(&run_folder, 3);
    fs::rename(&run_folder, &moved).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: cannot ") && stderr.lines().count() == 1 && stderr.contains("run"), "{stderr}");
    assert!(!run_folder.exists());
    run(&["train", "--resume", text(&moved), "--max-steps", "400", "--quiet"]).succeeded();
    assert!(results(&straight) == results(&moved), "the runs differ");
}

/// Root may write to any file, but to no read-only file system.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let ran = run(&join(&[&arguments(folder.path(), "cpu", "2"), &["--out", "/sys/run"]]));
    check_refused(&ran, Refusal::Line(1), &["cannot create the folder /sys/run"]).unwrap();
    // Before anything is measured.
    let ran = run(&["bench", "--device", "cpu", "--plot", "/sys/picture.svg"]);
    check_refused(&ran, Refusal::Line(1), &["cannot write /sys/picture.svg"]).unwrap();
}
