//! Parity: every kernel against its CPU twin, and whole training steps, on one adapter.
//!
//! The references run in [`crate::arithmetic::bounded`] arithmetic, which carries the error that WGSL allows a device, so each number has
//! its own tolerance, derived and not chosen. `ffcl-gpu verify` and the tests run the same checks.

mod check;
pub mod drift;
#[cfg(feature = "program")]
pub mod drift_plot;
pub mod fused;
mod rerun;
pub mod steps;

pub use check::{Sweep, launches};

use crate::arithmetic::bounded::Bounded;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::kernels::Kernel;
use crate::kernels::case::Case;
use crate::waiting::wait;
use serde::Serialize;

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

/// Checks one kernel on all its cases, with the shapes of tiles that `sweep` says, whichever it would get.
pub fn kernel(context: &Context, kernel: Kernel, sweep: Sweep) -> Result<Row> {
    let mut row = Row::new(kernel.name());
    let mut numbers = 0..;
    let mut take = |case| wait(check::check(context, &mut row, &case, numbers.next().unwrap_or(0), sweep));
    kernel.cases(&mut take)?;
    fused::cases(kernel, sweep, &mut take)?;
    Ok(row)
}

/// The same, async, on the first, the last and those between of the cases that have at most `largest` numbers, `most` of
/// them at most, spread evenly: all are held in memory.
pub async fn kernel_async(context: &Context, kernel: Kernel, most: usize, largest: usize) -> Result<Row> {
    let mut cases: Vec<Case> = Vec::new();
    let mut take = |case: Case| {
        if case.numbers() <= largest {
            cases.push(case);
        }
        Ok(())
    };
    kernel.cases(&mut take)?;
    fused::cases(kernel, Sweep::Whole, &mut take)?;
    let mut row = Row::new(kernel.name());
    let (count, most) = (cases.len(), most.min(cases.len()));
    for number in 0..most {
        let index = number * (count - 1) / (most - 1).max(1);
        check::check(context, &mut row, &cases[index], number, Sweep::for_device(&context.description)).await?;
    }
    Ok(row)
}
