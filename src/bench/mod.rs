//! Throughput of training steps, and what the device could do. Speeds are measured, never judged: a benchmark has no threshold.

pub mod cpu_ceilings;
pub mod gpu_ceilings;
pub mod regimes;
pub mod scaling_plot;
pub mod work;

use crate::config::TrainingConfig;
use crate::dataset::{Dataset, digits};
use crate::engine::{Backend, Job};
use crate::error::{Error, Result};
use crate::layout::Step;
use regimes::{BenchRecipe, Regime};
use serde::Serialize;
use std::ops::ControlFlow::Continue;
use std::time::Instant;

/// What a device can do at best, measured with the simplest work of each kind.
#[derive(Clone, Debug, Serialize)]
pub struct Ceilings {
    /// The fastest plain f32 matrix product, in 10⁹ floating-point operations a second.
    pub matmul_gigaflops: f64,
    /// Which one that was.
    pub matmul: String,
    /// Microseconds of an empty dispatch in a chain of dependent ones, on devices that have such.
    pub dispatch_microseconds: Option<f64>,
    /// Bytes read and written by a large copy, in 10⁹ a second.
    pub copy_gigabytes: f64,
}

/// What was measured of one regime on one backend.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// What the networks learn by.
    pub recipe: BenchRecipe,
    /// The regime.
    pub regime: String,
    /// Its group.
    pub group: &'static str,
    /// What varies within the group.
    pub variable: usize,
    /// The backend: a device, and a plan if it was forced.
    pub contestant: String,
    /// Milliseconds a step: median over the repeats.
    pub milliseconds_per_step: f64,
    /// Median absolute deviation of the same.
    pub deviation: f64,
    /// Repeats counted.
    pub repeats: usize,
    /// Steps in each repeat.
    pub steps_per_repeat: usize,
    /// Training images of all replicas a second.
    pub images_per_second: f64,
    /// Arithmetic of all matrix products, in 10⁹ floating-point operations a second.
    pub gigaflops: f64,
    /// Dispatches of a step, on devices that have such.
    pub dispatches_per_step: Option<usize>,
    /// Bytes that a step moves: [`work::Work`].
    pub bytes_per_step: f64,
    /// MiB that the backend keeps allocated.
    pub memory_mib: f64,
}

/// A backend that cannot run a regime, and why.
#[derive(Debug)]
pub struct Misfit {
    /// The backend.
    pub contestant: String,
    /// What stands in the way.
    pub error: Error,
}

/// Repeats counted of every regime; odd, so that the median is one of them.
const REPEATS: usize = 7;
/// A repeat lasts at least about so long, in seconds: far above the clock's and the scheduler's grain.
const REPEAT_SECONDS: f64 = 0.25;
const MAX_STEPS: usize = 4096;

/// One backend at work on one regime.
struct Contestant<'a> {
    name: String,
    backend: Box<dyn Backend + 'a>,
    /// Steps taken so far.
    taken: usize,
    steps_per_repeat: usize,
    seconds: Vec<f64>,
}

/// Builds a backend for a job.
pub type Make<'a> = dyn Fn(Job) -> Result<Box<dyn Backend>> + 'a;

/// Measures one regime on every backend that `makers` build, in turn: repeat after repeat, so that what disturbs the machine
/// disturbs all of them. Each begins with a warm-up that is not counted. What counts is training: from the first step to the wait for
/// the last. Where a regime says how many images there are, a repeat is an epoch as a user waits for it: shuffling before, evaluation
/// after.
///
/// If a regime does not fit a backend, its row holds the error; the benchmark goes on.
pub fn measure(regime: &Regime, makers: &[(String, &Make)]) -> Result<Vec<std::result::Result<Measurement, Misfit>>> {
    let config = regime.config();
    let images = regime.images.unwrap_or((8 * regime.batch_size).max(1024));
    let dataset = digits::generate_with_counts(digits::SEED, images, regime.test_images);
    let parameters = config.initial_parameters()?;
    let mut contestants = Vec::new();
    for (name, make) in makers {
        let mut backend = match make(Job { config: &config, dataset: &dataset }) {
            Ok(backend) => backend,
            Err(error @ (Error::Limit { .. } | Error::Configuration(_))) => {
                contestants.push(Err(Misfit { contestant: name.clone(), error }));
                continue;
            }
            Err(error) => return Err(error),
        };
        backend.set_parameters(&parameters)?;
        let mut contestant =
            Contestant { name: name.clone(), backend, taken: 0, steps_per_repeat: 1, seconds: Vec::with_capacity(REPEATS) };
        contestant.warm_up(regime, &config, &dataset)?;
        contestants.push(Ok(contestant));
    }
    for _ in 0..REPEATS {
        for contestant in contestants.iter_mut().flatten() {
            let seconds = contestant.repeat(regime, &config, &dataset)?;
            contestant.seconds.push(seconds);
        }
    }
    let work = work::Work::of_step(Job { config: &config, dataset: &dataset })?;
    let measured = |contestant: Contestant| contestant.measurement(regime, work);
    Ok(contestants.into_iter().map(|contestant| contestant.map(measured)).collect())
}

impl Contestant<'_> {
    /// Doubling finds how many steps make a repeat; where epochs are measured, it is one epoch.
    fn warm_up(&mut self, regime: &Regime, config: &TrainingConfig, dataset: &Dataset) -> Result<()> {
        if regime.images.is_some() {
            self.steps_per_repeat = config.steps_per_epoch(dataset.train.count());
            self.repeat(regime, config, dataset)?;
            return Ok(());
        }
        while self.repeat(regime, config, dataset)? < REPEAT_SECONDS && self.steps_per_repeat < MAX_STEPS {
            self.steps_per_repeat *= 2;
        }
        Ok(())
    }

    /// Runs the steps of one repeat and says how long it took.
    fn repeat(&mut self, regime: &Regime, config: &TrainingConfig, dataset: &Dataset) -> Result<f64> {
        let per_epoch = config.steps_per_epoch(dataset.train.count());
        let steps: Vec<Step> = (self.taken..self.taken + self.steps_per_repeat)
            .map(|step| Step::new(step % per_epoch * config.batch_size, config.batch_size, &config.adam, step as u64 + 1))
            .collect();
        self.taken += steps.len();
        let mut begin = Instant::now();
        self.backend.begin_epoch(1)?;
        if regime.images.is_none() {
            // A device may still be shuffling.
            self.backend.row_sums()?;
            begin = Instant::now();
        }
        self.backend.train(&steps, &mut |_| Continue(()))?;
        match regime.images {
            Some(_) => self.backend.end_epoch().map(drop)?,
            // The least that waits for the last step.
            None => self.backend.row_sums().map(drop)?,
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    fn measurement(mut self, regime: &Regime, work: work::Work) -> Measurement {
        let steps = self.steps_per_repeat;
        let middle = median(&mut self.seconds);
        let mut deviations: Vec<f64> = self.seconds.iter().map(|time| (time - middle).abs()).collect();
        let images = (steps * regime.batch_size * regime.replicas) as f64;
        Measurement {
            recipe: regime.recipe,
            regime: regime.name.clone(),
            group: regime.group,
            variable: regime.variable,
            contestant: self.name,
            milliseconds_per_step: 1e3 * middle / steps as f64,
            deviation: 1e3 * median(&mut deviations) / steps as f64,
            repeats: REPEATS,
            steps_per_repeat: steps,
            images_per_second: images / middle,
            gigaflops: steps as f64 * work.flops / middle * 1e-9,
            dispatches_per_step: self.backend.dispatches_per_step(),
            bytes_per_step: work.bytes,
            memory_mib: self.backend.memory() as f64 / f64::from(1 << 20),
        }
    }
}

impl Measurement {
    /// Shares of what the device could do: of its best matrix product, of the time that the step's dispatches take if they are
    /// empty, and of its copying speed.
    pub fn shares(&self, ceilings: &Ceilings) -> [Option<f64>; 3] {
        let latency = ceilings.dispatch_microseconds.zip(self.dispatches_per_step);
        let moved = self.bytes_per_step * 1e-6 / self.milliseconds_per_step;
        [
            Some(self.gigaflops / ceilings.matmul_gigaflops),
            latency.map(|(microseconds, count)| microseconds * 1e-3 * count as f64 / self.milliseconds_per_step),
            Some(moved / ceilings.copy_gigabytes),
        ]
    }
}

/// The middle of an odd number of values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds of one call of `work` at best: the shortest of five stretches of about `stretch` seconds or more, since a ceiling is
/// what is possible, and whatever disturbs the machine only lengthens them.
pub(crate) fn seconds_of(stretch: f64, work: &mut dyn FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut time = |calls: usize| -> Result<f64> {
        let begin = Instant::now();
        work(calls)?;
        Ok(begin.elapsed().as_secs_f64())
    };
    let mut calls = 1;
    while time(calls)? < stretch && calls < 1 << 16 {
        calls *= 2;
    }
    let times = (0..5).map(|_| time(calls)).collect::<Result<Vec<_>>>()?;
    Ok(times.into_iter().fold(f64::MAX, f64::min) / calls as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }
}
