//! Throughput of training steps. Speeds are measured, never judged: a benchmark has no threshold.

use crate::config::TrainingConfig;
use crate::dataset::digits;
use crate::engine::{Backend, Job};
use crate::error::Result;
use crate::layout::Step;
use crate::model::Parameters;
use serde::Serialize;
use std::time::Instant;

/// A kind of work that users do.
#[derive(Clone, Debug)]
pub struct Regime {
    /// Its name.
    pub name: &'static str,
    /// Layer widths.
    pub layers: &'static [usize],
    /// Images in a step.
    pub batch_size: usize,
    /// Pairs of models.
    pub replicas: usize,
}

/// The paper's size alone (bound by latency), many of it at once, and a wide network (bound by arithmetic).
pub const REGIMES: [Regime; 5] = [
    Regime { name: "paper", layers: &[784, 64, 64, 10], batch_size: 64, replicas: 1 },
    Regime { name: "replicas-8", layers: &[784, 64, 64, 10], batch_size: 64, replicas: 8 },
    Regime { name: "replicas-32", layers: &[784, 64, 64, 10], batch_size: 64, replicas: 32 },
    Regime { name: "replicas-128", layers: &[784, 64, 64, 10], batch_size: 64, replicas: 128 },
    Regime { name: "wide", layers: &[784, 1000, 1000, 1000, 10], batch_size: 512, replicas: 1 },
];

impl Regime {
    /// The regime as a run.
    pub fn config(&self) -> TrainingConfig {
        TrainingConfig {
            layers: self.layers.to_vec(),
            batch_size: self.batch_size,
            replicas: self.replicas,
            ..TrainingConfig::default()
        }
    }
}

/// What was measured of one regime.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The regime.
    pub regime: &'static str,
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
    /// Arithmetic of forward passes and weight gradients, in 10⁹ floating-point operations a second.
    pub gigaflops: f64,
    /// MiB that the backend keeps allocated.
    pub memory_mib: f64,
}

/// Repeats counted of every regime.
const REPEATS: usize = 7;
/// A repeat lasts at least about so long, in seconds: far above the clock's and the scheduler's grain.
const REPEAT_SECONDS: f64 = 0.25;
const MAX_STEPS: usize = 4096;

/// Measures one regime on the backend that `make` builds, after a warm-up that is not counted. Each repeat ends with the wait for
/// its last step, read-back of the metrics and evaluation of a small test set included.
pub fn measure(regime: &Regime, make: impl FnOnce(Job) -> Result<Box<dyn Backend>>) -> Result<Measurement> {
    let config = regime.config();
    let dataset = digits::generate_with_counts(digits::SEED, (8 * regime.batch_size).max(1024), 16);
    let mut backend = make(Job { config: &config, dataset: &dataset })?;
    let architecture = config.architecture()?;
    backend.set_parameters(&Parameters::initialize(&architecture, config.seed, config.replicas))?;
    let per_epoch = config.steps_per_epoch(dataset.train.count());
    let mut taken = 0;
    let mut repeat = |count: usize| -> Result<f64> {
        let steps: Vec<Step> = (taken..taken + count)
            .map(|step| Step::new(step % per_epoch * config.batch_size, config.batch_size, &config.adam, step as u64 + 1))
            .collect();
        taken += count;
        let begin = Instant::now();
        backend.begin_epoch(1)?;
        backend.train(&steps, &mut |_| ())?;
        backend.end_epoch()?;
        Ok(begin.elapsed().as_secs_f64())
    };
    // Doubling finds how many steps make a repeat, and warms up on the way.
    let mut steps = 1;
    while repeat(steps)? < REPEAT_SECONDS && steps < MAX_STEPS {
        steps *= 2;
    }
    let mut times = (0..REPEATS).map(|_| repeat(steps)).collect::<Result<Vec<_>>>()?;
    let middle = median(&mut times);
    let mut deviations: Vec<f64> = times.iter().map(|time| (time - middle).abs()).collect();
    let images = (steps * config.batch_size * config.replicas) as f64;
    Ok(Measurement {
        regime: regime.name,
        milliseconds_per_step: 1e3 * middle / steps as f64,
        deviation: 1e3 * median(&mut deviations) / steps as f64,
        repeats: REPEATS,
        steps_per_repeat: steps,
        images_per_second: images / middle,
        gigaflops: images * architecture.training_flops_per_image() / middle * 1e-9,
        memory_mib: backend.memory() as f64 / f64::from(1 << 20),
    })
}

/// The middle of an odd number of values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }
}
