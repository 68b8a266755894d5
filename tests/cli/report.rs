//! A run's page, opened in a real browser. Without one (Chromium) the test says so and ends; where `FFCL_REQUIRE_BROWSER` is set,
//! that is a failure.

use assert_cmd::Command;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What browsers of this family are called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn browser() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|path| path.is_file());
    assert!(
        found.is_some() || std::env::var_os("FFCL_REQUIRE_BROWSER").is_none(),
        "FFCL_REQUIRE_BROWSER is set, but no Chromium is there"
    );
    found
}

/// Opens a page, and returns what it became and what the browser complained about.
fn open(browser: &Path, page: &Path, folder: &Path) -> (String, String) {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display())).args(["--window-size=1280,2000", "--dump-dom"]);
    let output = command.arg(format!("file://{}", page.display())).timeout(Duration::from_secs(100)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let console: Vec<_> = complaints.lines().filter(|line| line.contains("CONSOLE")).collect();
    (String::from_utf8(output.stdout).unwrap(), console.join("\n"))
}

fn ffcl(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffcl-gpu"));
    command.current_dir(folder).env("XDG_RUNTIME_DIR", std::env::temp_dir()).args(arguments).assert()
}

fn train(folder: &Path, out: &str, more: &[&str]) {
    let small = ["train", "--device", "cpu", "--limit-train", "1000", "--epochs", "3", "--quiet", "--out", out];
    ffcl(folder, &[&small, more].concat()).success();
}

#[test]
fn pages_open_without_complaints_and_show_everything() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "one", &["--replicas", "2"]);
    train(path, "two", &["--recipe", "paper"]);
    ffcl(path, &["report", "one", "two"]).success();
    let page = std::fs::read_to_string(path.join("one/report.html")).unwrap();
    // Nothing that a page could load from elsewhere.
    for outside in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
    }
    let picture = std::fs::read_to_string(path.join("one/curves.svg")).unwrap();
    assert!(picture.starts_with("<svg width=\"1120\" height=\"660\""), "{picture}");
    assert_eq!(picture.matches("\nepoch\n").count(), 4, "{picture}");
    let Some(browser) = browser() else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: this test needs Chromium");
        return;
    };
    let count = |page: &str, what: &str| page.matches(what).count();
    let (run, complaints) = open(&browser, &path.join("one/report.html"), path);
    assert_eq!(complaints, "");
    assert_eq!((count(&run, "<figure class=\"chart\">"), count(&run, "<svg")), (4, 4));
    // Ten classes beside each other; two networks' filters and 24 mistakes as images.
    assert_eq!(count(&run, "<td class=\"right"), 10);
    assert_eq!(count(&run, "src=\"data:image/png;base64,"), 26);
    for section in ["curves", "confusion", "mistakes", "filters", "layers", "configuration"] {
        assert_eq!(count(&run, &format!("<section id=\"{section}\">")), 1, "{section}");
    }
    // A line and a band of each of two hidden layers' curves.
    assert!(
        count(&run, "<polyline") >= 9 && count(&run, "<polygon") >= 9,
        "{} {}",
        count(&run, "<polyline"),
        count(&run, "<polygon")
    );
    let (both, complaints) = open(&browser, &path.join("comparison.html"), path);
    assert_eq!((complaints.as_str(), count(&both, "<figure class=\"chart\">")), ("", 4));
    assert!(both.contains("hidden-loss") && both.contains("prototypes") && both.contains("cosine"));
}

#[test]
fn a_run_in_progress_has_a_report_and_nonsense_none() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "run", &["--no-report"]);
    for name in ["report.html", "curves.svg"] {
        assert!(!path.join("run").join(name).exists());
    }
    for name in ["evaluation.json", "model.safetensors"] {
        std::fs::remove_file(path.join("run").join(name)).unwrap();
    }
    ffcl(path, &["report", "run"]).success();
    let page = std::fs::read_to_string(path.join("run/report.html")).unwrap();
    assert!(page.contains("id=\"curves\"") && page.contains("id=\"filters\"") && !page.contains("id=\"confusion\""));

    let fails = |arguments: &[&str], hint: &str| {
        let output = ffcl(path, arguments).failure().get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("error: ") && message.lines().count() == 1 && message.contains(hint), "{message}");
    };
    fails(&["report", "nowhere"], "give the folder of a run");
    fails(&["report", "run", "--out", "x.html"], "--out x.html is for several runs");
    fails(&["report", "run", "run", "--out", "no/where.html"], "no/where.html");
    std::fs::write(path.join("run/evaluation.json"), "{}").unwrap();
    fails(&["report", "run"], "evaluation.json is damaged");
    std::fs::remove_file(path.join("run/evaluation.json")).unwrap();
    std::fs::write(path.join("run/metrics.jsonl"), "").unwrap();
    fails(&["report", "run"], "no whole epoch");
    std::fs::write(path.join("run/config.json"), "[]").unwrap();
    fails(&["report", "run"], "is not the record of a run");
}
