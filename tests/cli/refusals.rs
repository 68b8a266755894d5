//! Requests that cannot be carried out: one line that says why, the right exit code, nothing left behind.

use crate::support::{Idx, Refusal, check_refusal, check_refused, images, join, labels, report, run, text};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const USAGE: Refusal = Refusal::Line(2);
const FAILURE: Refusal = Refusal::Line(1);

#[test]
fn impossible_options_are_refused() {
    // Arguments in one string, split at the spaces; then what the message must hold.
    let cases: &[(&str, Refusal, &[&str])] = &[
        ("--layers 100,10", USAGE, &["--layers", "784"]),
        ("--layers 784,64,9", USAGE, &["--layers", "10"]),
        ("--layers 784", USAGE, &["--layers"]),
        ("--layers 784,0,10", USAGE, &["--layers", "width 0"]),
        ("--layers 784,99999999,10", USAGE, &["--layers", "99999999"]),
        ("--layers 784,abc,10", Refusal::Parser, &["--layers", "abc"]),
        ("--layers 784,,10", Refusal::Parser, &["--layers"]),
        ("--layers 784,-5,10", Refusal::Parser, &["--layers"]),
        ("--batch-size 0", USAGE, &["--batch-size"]),
        ("--batch-size 257 --limit-train 256", USAGE, &["--batch-size", "256"]),
        ("--batch-size 99999999999", USAGE, &["--batch-size"]),
        ("--batch-size 99999999999999999999999", Refusal::Parser, &["--batch-size"]),
        ("--replicas 0", USAGE, &["--replicas"]),
        ("--replicas 99999999", USAGE, &["--replicas"]),
        ("--replicas 30000 --layers 784,1,1,10 --limit-train 256", USAGE, &["--replicas 30000", "--no-out"]),
        ("--learning-rate 0", USAGE, &["--learning-rate"]),
        ("--learning-rate=-1", USAGE, &["--learning-rate"]),
        ("--learning-rate -1", Refusal::Parser, &["-1"]),
        ("--learning-rate nan", USAGE, &["--learning-rate"]),
        ("--learning-rate inf", USAGE, &["--learning-rate"]),
        ("--learning-rate fast", Refusal::Parser, &["--learning-rate"]),
        // The backends compute in f32, where these are infinite and zero.
        ("--learning-rate 1e300", USAGE, &["--learning-rate"]),
        ("--learning-rate 1e-300", USAGE, &["--learning-rate"]),
        ("--max-steps 0", USAGE, &["--max-steps"]),
        ("--recipe heads --head-rate 0", USAGE, &["--head-rate"]),
        ("--recipe heads --head-rate fast", Refusal::Parser, &["--head-rate", "fast"]),
        ("--head-rate 4", USAGE, &["--head-rate", "--hidden-loss head"]),
        ("--temperature 0", USAGE, &["--temperature"]),
        ("--temperature nan", USAGE, &["--temperature"]),
        ("--projection 99999999", USAGE, &["--projection"]),
        ("--hidden-loss head --temperature 0.3", USAGE, &["--temperature", "--hidden-loss prototypes or instances"]),
        ("--recipe paper --guide own", USAGE, &["--guide", "--hidden-loss prototypes or instances"]),
        ("--centre", USAGE, &["--centre", "--hidden-loss cosine"]),
        ("--method backprop --projection 8", USAGE, &["--projection", "--method"]),
        ("--trust-rate 0.2", USAGE, &["--trust-rate", "--trust own, partner, exchange, output or co-teaching"]),
        ("--trust-rate 1", USAGE, &["--trust-rate", "less than 1"]),
        ("--trust-rate half", Refusal::Parser, &["half", "auto"]),
        ("--trust co-teaching", USAGE, &["--trust co-teaching", "--recipe heads"]),
        ("--trust partner --recipe paper", USAGE, &["--trust", "--recipe contrastive"]),
        ("--labelled 0", USAGE, &["--labelled 0", "10 or more"]),
        ("--labelled 9", USAGE, &["--labelled 9", "10 or more"]),
        ("--labelled 257 --limit-train 256", USAGE, &["--labelled 257", "at most 256"]),
        ("--labelled few", Refusal::Parser, &["few", "100:7"]),
        ("--labelled 100 --recipe paper", USAGE, &["without labels", "--recipe contrastive"]),
        ("--labelled 100 --method independent", USAGE, &["without labels", "--method backprop"]),
        ("--labelled 100 --trust own", USAGE, &["--trust", "remove"]),
        ("--labelled 100 --batch-size 1", USAGE, &["--batch-size 1", "2 or more"]),
        ("--pseudo-threshold 0", USAGE, &["--pseudo-threshold", "above 0"]),
        ("--pseudo-threshold 1.5", USAGE, &["--pseudo-threshold", "1.5"]),
        ("--label-noise pair:2", Refusal::Parser, &["pair:2", "0 to 1"]),
        ("--label-noise no-such-file", FAILURE, &["no-such-file", "--label-noise"]),
        ("--centre", USAGE, &["--centre", "--hidden-loss cosine"]),
        ("--shift 1000", USAGE, &["--shift"]),
        ("--rotation nan", USAGE, &["--rotation"]),
        ("--scale 1", USAGE, &["--scale"]),
        ("--elastic 17", USAGE, &["--elastic", "16"]),
        ("--normalize maybe", Refusal::Parser, &["maybe"]),
        ("--normalize=maybe", Refusal::Parser, &["--normalize"]),
        ("--recipe best", Refusal::Parser, &["contrastive", "paper"]),
        ("--method ffcl3 --layers 784,10", USAGE, &["--method ffcl3", "hidden layer"]),
        ("--hold-out 60000", USAGE, &["--hold-out", "59999"]),
        ("--hold-out 0", USAGE, &["--hold-out"]),
        ("--limit-train 0", USAGE, &["--limit-train"]),
        ("--seed -1", Refusal::Parser, &["-1"]),
        ("--layers 784,auto,10", Refusal::Parser, &["--layers", "auto"]),
        ("--layers auto,64,9", USAGE, &["--layers", "10 or auto"]),
        ("--hidden 64,auto", Refusal::Parser, &["--hidden"]),
        ("--hidden 64 --layers 784,64,10", Refusal::Parser, &["--hidden", "--layers"]),
        ("--hidden 0", USAGE, &["width 0"]),
        ("--dataset mnist", USAGE, &["--data-dir", "FFCL_DATA_DIR", "data fetch mnist", "t10k-labels-idx1-ubyte"]),
        ("--dataset cats", USAGE, &["cats", "digits", "mnist"]),
        ("--dataset fashon-mnist", USAGE, &["did you mean fashion-mnist?"]),
        ("--grayscale", USAGE, &["--grayscale", "folders of images"]),
        ("--image-size 28", USAGE, &["--image-size", "folders of images"]),
        ("--image-size 0", Refusal::Parser, &["--image-size", "24x32"]),
        ("--quiet --json", Refusal::Parser, &["--json"]),
        ("surplus", Refusal::Parser, &["surplus"]),
    ];
    report(cases.iter().map(|(arguments, refusal, hints)| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        check_refusal(&arguments, *refusal, hints)
    }));
}

#[test]
fn zero_epochs_and_unknown_devices_are_refused() {
    // `check_refusal` gives --epochs and --device itself, and no option may be given twice.
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--device", "cpu", "--epochs", "0"], &["--epochs"]),
        (&["--device", "nonsense"], &["--device nonsense", "auto, cpu, gpu"]),
        (&["--device", "99"], &["--device 99", "auto, cpu, gpu"]),
        (&["--device", "-1"], &[]),
    ];
    report(cases.map(|(arguments, hints)| {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("run");
        let ran = run(&join(&[&["train", "--limit-train", "128", "--out", text(&out)], arguments]));
        let refusal = if hints.is_empty() { Refusal::Parser } else { USAGE };
        assert!(!out.exists(), "{arguments:?} created the folder of --out");
        check_refused(&ran, refusal, hints).map_err(|problem| format!("{arguments:?}: {problem}"))
    }));
}

#[test]
fn damaged_idx_folders_are_refused() {
    type Spoil = fn(&Path);
    let cases: &[(&str, Spoil, &[&str])] = &[
        ("missing", |folder| fs::remove_dir_all(folder).unwrap(), &["--dataset digits"]),
        ("empty", |folder| Idx::FILES.iter().for_each(|name| fs::remove_file(folder.join(name)).unwrap()), &["train-images"]),
        ("a file lacks", |folder| fs::remove_file(folder.join(Idx::FILES[2])).unwrap(), &["lacks t10k-images"]),
        ("truncated", |folder| rewrite(folder, 0, |bytes| bytes.truncate(5000)), &["train-images", "truncated"]),
        ("header only in part", |folder| rewrite(folder, 1, |bytes| bytes.truncate(6)), &["train-labels", "truncated"]),
        ("no bytes", |folder| rewrite(folder, 3, Vec::clear), &["t10k-labels", "truncated"]),
        ("text", |folder| rewrite(folder, 0, |bytes| *bytes = b"<html>not found</html>".to_vec()), &["not an IDX file"]),
        ("training label 200", |folder| rewrite(folder, 1, |bytes| bytes[20] = 200), &["train-labels", "200"]),
        ("test label 200", |folder| rewrite(folder, 3, |bytes| bytes[20] = 200), &["t10k-labels", "200"]),
        ("counts differ", |folder| rewrite(folder, 1, |bytes| *bytes = labels(127)), &["128", "127"]),
        ("no images", |folder| rewrite(folder, 0, |bytes| *bytes = images(0)), &["empty"]),
        ("boundless", |folder| rewrite(folder, 0, |bytes| bytes[4..16].fill(255)), &["too large"]),
        ("a folder in a file's place", replace_by_folder, &["train-images"]),
    ];
    report(cases.iter().map(|(name, spoil, hints)| {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("data");
        Idx::small().write(&folder);
        spoil(&folder);
        check_refusal(&["--dataset", "mnist", "--data-dir", text(&folder)], FAILURE, hints)
            .map_err(|problem| format!("{name}: {problem}"))
    }));
}

fn rewrite(folder: &Path, file: usize, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join(Idx::FILES[file]);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn replace_by_folder(folder: &Path) {
    fs::remove_file(folder.join(Idx::FILES[0])).unwrap();
    fs::create_dir(folder.join(Idx::FILES[0])).unwrap();
}

#[test]
fn an_out_that_cannot_be_a_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(&folder.path().join("mnist"));
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    for out in [file.clone(), file.join("below"), file.join("far/below")] {
        let data = ["--dataset", "mnist", "--data-dir", text(folder.path())];
        let ran = run(&join(&[&["train", "--device", "cpu", "--epochs", "1", "--out", text(&out)], &data]));
        check_refused(&ran, FAILURE, &["--out"]).unwrap();
        assert_eq!(ran.stdout, "", "it trained before it looked");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

/// Sizes that pass each limit by itself and together exceed any machine. The shell's bound on memory keeps a program that
/// tries from taking the machine along.
#[cfg(unix)]
#[test]
fn networks_beyond_all_memory_are_refused() {
    let cases = [
        ["--replicas", "1", "--layers", "784,65536,65536,65536,10"],
        ["--replicas", "32768", "--layers", "784,60000,10"],
        ["--replicas", "32768", "--layers", "784,4096,4096,10"],
    ];
    report(cases.map(|arguments| {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("run");
        let arguments = join(&[&["train", "--device", "cpu", "--limit-train", "128", "--out", text(&out)], &arguments]);
        let script = r#"ulimit -v 4000000 && exec "$0" "$@""#;
        let ran = crate::support::run_in_shell(script, &arguments, std::time::Duration::from_secs(15));
        assert!(!out.exists(), "{arguments:?} created the folder of --out");
        let refusal = if ran.code == Some(2) { USAGE } else { FAILURE };
        check_refused(&ran, refusal, &["--layers"]).map_err(|problem| format!("{}\n    {problem}", arguments.join(" ")))
    }));
}
