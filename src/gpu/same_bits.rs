//! Whether two sets of tiles train a run to the same bits, as all of them must.

use super::backend::{GpuBackend, GpuOptions};
use super::context::Context;
use crate::dataset::{Dataset, Features, Images};
use crate::engine::{Backend, EpochMetrics, Job};
use crate::error::Result;
use crate::layout::{Step, labelled_rows};
use crate::model::Parameters;
use crate::random::{Generator, Stream};
use std::ops::ControlFlow::Continue;

/// Trains a job's networks for a few steps with each of two settings, on a batch of noise.
pub fn trains_to_the_same_bits(job: Job, context: Context, settings: [GpuOptions; 2]) -> Result<(Context, bool)> {
    let noise = noise(job);
    let job = Job { dataset: &noise, ..job };
    let (context, expected) = outcome(job, context, settings[0])?;
    let (context, found) = outcome(job, context, settings[1])?;
    Ok((context, found == expected))
}

/// The parameters after a step in each third of the run, which the stages of `ffcl3` are; and the numbers of those epochs.
fn outcome(job: Job, context: Context, options: GpuOptions) -> Result<(Context, (Parameters, Vec<EpochMetrics>))> {
    let config = job.config;
    let mut backend = GpuBackend::new(job, context, options)?;
    backend.set_parameters(&config.initial_parameters()?)?;
    let mut metrics = Vec::new();
    for (time, third) in (1..=3).enumerate() {
        let epoch = (config.epochs * third / 3).max(1);
        backend.begin_epoch(epoch)?;
        let step = Step::new(0, config.batch_size, &config.adam, time as u64 + 1).in_epoch(epoch);
        backend.train(&[step], &mut |_| Continue(()))?;
        metrics.push(backend.end_epoch()?);
    }
    let parameters = backend.parameters()?;
    Ok((backend.into_context(), (parameters, metrics)))
}

/// As many images of noise as a batch has, of the job's shape and kind. Each class is among the labels as often as another.
fn noise(job: Job) -> Dataset {
    let (count, given) = (job.config.batch_size, &job.dataset.train);
    let (width, classes) = (given.pixels_per_image(), job.dataset.classes());
    let mut generator = Generator::new(job.config.seed, Stream::Check, 0);
    let labels = (0..count).map(|image| (image % classes) as u8).collect();
    let images = if given.has_features() {
        let numbers = (0..count * width).map(|_| generator.normal()).collect();
        Images { pixels: Vec::new(), labels, shape: given.shape, features: Some(Features::of(numbers, width)) }
    } else {
        let pixels = (0..count * width).map(|_| generator.below(256) as u8).collect();
        Images { pixels, labels, shape: given.shape, features: None }
    };
    let without = if job.dataset.unlabelled.is_empty() { count } else { labelled_rows(count) };
    let unlabelled = (without as u32..count as u32).collect();
    let class_names = job.dataset.class_names.clone();
    Dataset { origin: job.dataset.origin, unlabelled, ..Dataset::of("noise", images.clone(), images, class_names) }
}
