//! What trained models answer: `evaluate`, `predict` and `export`.

mod evaluate;
mod models;
mod predict;

use crate::support::{Ran, join, json_lines, run, text};
use ffcl_gpu::dataset::digits;
use image::{DynamicImage, GrayImage, Luma};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

/// A run on the first digits, made once for all tests, that is right about most of them.
static RUN: LazyLock<TempDir> = LazyLock::new(|| {
    // Statics are never dropped: it stays until `cargo clean`.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let size = ["--limit-train", "10000", "--epochs", "8", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(folder.path())], &size])).succeeded();
    folder
});

fn model() -> &'static str {
    text(RUN.path())
}

fn ask(command: &str, arguments: &[&str]) -> Ran {
    run(&join(&[&[command, model(), "--device", "cpu"], arguments]))
}

fn last_metrics(folder: &Path) -> Value {
    json_lines(&fs::read_to_string(folder.join("metrics.jsonl")).unwrap()).pop().unwrap()
}

/// The first test image of a class.
fn image_of(class: u8) -> Vec<u8> {
    let test = digits::generate_with_counts(digits::SEED, 1, 200).test;
    let index = test.labels.iter().position(|&label| label == class).unwrap();
    test.image(index).to_vec()
}

fn gray(ink: &[u8], shade: impl Fn(u8) -> u8) -> DynamicImage {
    GrayImage::from_fn(28, 28, |x, y| Luma([shade(ink[(28 * y + x) as usize])])).into()
}
