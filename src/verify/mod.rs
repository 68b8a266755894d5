//! Parity: every kernel against its CPU twin, and whole training steps, on one adapter.
//!
//! The twins run in [`bounded`] arithmetic, which carries the error that WGSL allows a device, so each number has its own
//! tolerance, derived and not chosen. `ffcl-gpu verify` and the tests run the same checks.

mod accuracy;
mod batch_mean;
pub mod bounded;
mod class_prototypes;
mod cosine_gradient;
mod covariance;
pub mod drift;
pub mod drift_plot;
mod forward;
mod fused_forward;
mod gather;
mod input_gradient;
mod normalize;
mod normalize_gradient;
mod output_gradient;
mod pair_gradient;
mod pairs;
mod reduction;
mod rerun;
mod shuffle;
mod softmax;
pub mod steps;
mod weight_norms;
mod weight_update;

use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::tiles::Tiles;
use crate::plan::Kernel;
use crate::random::{Generator, Stream};
use bounded::Bounded;
use serde::Serialize;

/// Layer widths that meet every kind of tail: below, at and above a quad, a tile and a workgroup.
const SIZES: [usize; 9] = [1, 3, 7, 10, 63, 64, 65, 784, 1000];
/// Batch sizes of the same kind.
const BATCHES: [usize; 4] = [1, 5, 64, 257];
/// Pairs of models in every check.
const REPLICAS: usize = 2;

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// A kernel's name, or what whole steps were compared.
    pub name: String,
    /// Shapes and settings tried.
    pub cases: usize,
    /// Numbers compared.
    pub values: usize,
    /// Runs after the first one of a case, some in other orders of workgroups and invocations, whose bits must be the same.
    pub reruns: usize,
    /// The largest error in units of its own tolerance; at most 1 passes.
    pub worst: f64,
    /// That error.
    pub worst_error: f64,
    /// Its tolerance.
    pub worst_tolerance: f64,
    /// Where it was.
    pub worst_at: String,
    /// Whether all numbers were within tolerance.
    pub passed: bool,
}

impl Row {
    /// A check that has compared nothing yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cases: 0,
            values: 0,
            reruns: 0,
            worst: 0.0,
            worst_error: 0.0,
            worst_tolerance: 0.0,
            worst_at: String::new(),
            passed: true,
        }
    }

    /// Takes in one number. A NaN on either side fails: every comparison with it is false.
    pub fn compare(&mut self, error: f64, tolerance: f64, at: impl FnOnce() -> String) {
        self.values += 1;
        let within = error <= tolerance && tolerance.is_finite();
        let ratio = if error == 0.0 && within { 0.0 } else { error / tolerance };
        // A tolerance that is not finite bounds nothing: it fails too, and above all finite ratios.
        let ratio = if ratio.is_nan() || !tolerance.is_finite() { f64::INFINITY } else { ratio };
        if ratio > self.worst {
            (self.worst, self.worst_error, self.worst_tolerance, self.worst_at) = (ratio, error, tolerance, at());
        }
        self.passed &= within;
    }

    /// Compares a device's buffer with the twin's.
    fn compare_all(&mut self, case: &str, actual: &[f32], expected: &[Bounded]) {
        if actual.len() != expected.len() {
            self.compare(f64::INFINITY, 0.0, || format!("{case}: {} values for {}", actual.len(), expected.len()));
        }
        for (index, (&actual, expected)) in actual.iter().zip(expected).enumerate() {
            let error = (f64::from(actual) - expected.value).abs();
            self.compare(error, expected.error, || format!("{case} [{index}]: {actual:e} for {:e}", expected.value));
        }
    }

    /// Compares a device's whole numbers with the twin's.
    fn compare_exactly(&mut self, case: &str, actual: &[u32], expected: &[u32]) {
        for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            let error = f64::from(actual.abs_diff(*expected));
            self.compare(error, 0.0, || format!("{case} [{index}]: {actual} for {expected}"));
        }
    }
}

/// Checks one kernel on all its cases, with every shape of tile that the adapter can run, whichever it would get.
pub fn kernel(context: &Context, kernel: Kernel) -> Result<Row> {
    let mut row = Row::new(kernel.name());
    let check = match kernel {
        Kernel::Shuffle => shuffle::check,
        Kernel::Gather => gather::check,
        Kernel::Forward => forward::check,
        Kernel::BatchMean => batch_mean::check,
        Kernel::CosineGradient => cosine_gradient::check,
        Kernel::Pairs => pairs::check,
        Kernel::PairGradient => pair_gradient::check,
        Kernel::Normalize => normalize::check,
        Kernel::ClassPrototypes => class_prototypes::check,
        Kernel::OutputGradient => output_gradient::check,
        Kernel::InputGradient => input_gradient::check,
        Kernel::NormalizeGradient => normalize_gradient::check,
        Kernel::FusedForward => fused_forward::check,
        Kernel::WeightUpdate => weight_update::check,
        Kernel::Softmax => softmax::check,
        Kernel::Accuracy => accuracy::check,
        Kernel::Covariance => covariance::check,
        Kernel::WeightNorms => weight_norms::check,
        Kernel::Reduction => reduction::check,
    };
    let tiled = matches!(
        kernel,
        Kernel::Forward
            | Kernel::CosineGradient
            | Kernel::PairGradient
            | Kernel::Normalize
            | Kernel::NormalizeGradient
            | Kernel::InputGradient
            | Kernel::FusedForward
            | Kernel::WeightUpdate
    );
    let sets = Tiles::possible(context.subgroup_size);
    for tiles in sets.into_iter().take(if tiled { usize::MAX } else { 1 }) {
        check(context, &tiles, &mut row)?;
    }
    Ok(row)
}

/// A buffer in which every number that a kernel fails to write shows.
fn poison(length: usize) -> Vec<f32> {
    vec![f32::NAN; length]
}

/// Normal numbers, with an all-zero row, one of subnormals, large ones, and ones whose squares are below the smallest number or the
/// products of two near the largest, where there are that many rows.
fn rows(generator: &mut Generator, count: usize, width: usize, stride: usize) -> Vec<f32> {
    let mut values = vec![0.0; count * stride];
    for (row, values) in values.chunks_exact_mut(stride).enumerate() {
        let scale = match row {
            1 => 0.0,
            2 => 1e-39,
            3 => 1e4,
            4 => 1e-30,
            5 => 1e9,
            _ => 1.0,
        };
        for value in &mut values[..width] {
            *value = generator.normal() * scale;
        }
    }
    values
}

/// Scales the seventh row, where there is one, to numbers around `scale`: for kernels that bear more than [`rows`] has.
fn scale_a_row(values: &mut [f32], stride: usize, width: usize, scale: f32) {
    if let Some(row) = values.chunks_exact_mut(stride).nth(6) {
        row[..width].iter_mut().for_each(|value| *value *= scale);
    }
}

/// Makes the rows of [`rows`] activations: rectified if `relu`, with the constant 1 behind.
fn activations(generator: &mut Generator, count: usize, width: usize, stride: usize, relu: bool) -> Vec<f32> {
    let mut values = rows(generator, count, width, stride);
    for row in values.chunks_exact_mut(stride) {
        for value in &mut row[..width] {
            *value = if relu { value.max(0.0) } else { *value };
        }
        row[width] = 1.0;
    }
    values
}

fn generator(case: usize) -> Generator {
    Generator::new(20_240_503, Stream::Check, (case as u64) << 32)
}

/// Inputs as the twin's numbers: exact.
fn exact(values: &[f32]) -> Vec<Bounded> {
    values.iter().map(|&value| value.into()).collect()
}

fn bytes<T: bytemuck::NoUninit>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

fn bytes_mut<T: bytemuck::Pod>(values: &mut [T]) -> &mut [u8] {
    bytemuck::cast_slice_mut(values)
}
