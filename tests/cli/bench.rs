//! `ffcl-gpu bench`.

use crate::support::{Refusal, check_refused, run, text};
use std::fs;
use tempfile::TempDir;

/// One run of everything that is fast enough for a test.
#[test]
fn bench_prints_its_measurements_and_draws_them() {
    let folder = TempDir::new().unwrap();
    let picture = folder.path().join("scaling.svg");
    let arguments = [
        "bench",
        "--device",
        "cpu",
        "--regimes",
        "small,replicas-8",
        "--recipe",
        "paper,backprop",
        "--json",
        "--plot",
        text(&picture),
    ];
    let lines = run(&arguments).succeeded().json_lines();
    assert_eq!(lines.len(), 5);
    assert!(lines[0]["ceilings"]["matmul_gigaflops"].as_f64().unwrap() > 0.0);
    for (line, name) in lines[1..].iter().zip(["small", "small", "replicas-8", "replicas-8"]) {
        assert_eq!((line["regime"].as_str(), line["contestant"].as_str()), (Some(name), Some("cpu")));
        for key in ["milliseconds_per_step", "images_per_second", "gigaflops", "bytes_per_step", "memory_mib", "share_of_matmul"]
        {
            assert!(line[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {line}");
        }
        assert_eq!(line["repeats"], 7);
    }
    let recipes: Vec<_> = lines[1..].iter().filter_map(|line| line["recipe"].as_str()).collect();
    assert_eq!(recipes, ["paper", "backprop", "paper", "backprop"]);
    let picture = fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("images/s by replicas"));
}

#[test]
fn what_cannot_be_measured_is_refused_at_once() {
    let cases: [(&[&str], &str); 5] = [
        (&["--regimes", "tiny"], "replicas"),
        (&["--plot", "picture.png"], ".svg"),
        (&["--plot", "no/such/folder/picture.svg"], "folder"),
        (&["--plan", "fused"], "--device gpu"),
        (&["--profile"], "--device gpu"),
    ];
    for (arguments, hint) in cases {
        let arguments = [&["bench", "--device", "cpu"], arguments].concat();
        check_refused(&run(&arguments), Refusal::Line(2), &[hint]).unwrap_or_else(|problem| panic!("{arguments:?}\n{problem}"));
    }
}
