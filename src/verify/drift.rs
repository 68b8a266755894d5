//! A whole epoch: how far a device's weights drift from the f64 twin's, beside how far rounding alone drives f32 twins from it.
//!
//! All begin with the same weights and see the same batches. Rounding errors grow on the way, since each step starts from weights
//! that are off already, and by leaps where an activation so near to zero that rounding decides its sign passes an image's
//! gradient on in one training and not in the other. When the first leap comes is chance, so one twin would say little about it;
//! several do, which begin up to a unit in the last place apart. Whether a device drifts for no other reason is what the farthest
//! of them says, within [`FACTOR`].

use super::Row;
use super::steps::{FACTOR, STORAGE};
use crate::arithmetic::{Blocked, Double, Single};
use crate::cpu::backend::CpuBackend;
use crate::engine::{Backend, Job, Open};
use crate::error::Result;
use crate::layout::Step;
use crate::model::{LayerParameters, Parameters};
use crate::random::{Generator, Stream};
use serde::Serialize;
use std::ops::ControlFlow::Continue;

/// Trainings in f32 that show what rounding can do.
const TWINS: usize = 8;

/// How far all weights of a network are from the f64 twin's after a number of steps, in the Euclidean norm.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Steps taken.
    pub step: usize,
    /// How far the twin's weights are from those that it began with; of the network where that is least.
    pub movement: f64,
    /// Of the device, the network that is farthest.
    pub device: f64,
    /// The same of the f32 twins, the farthest of them.
    pub single: f64,
    /// What the device may come to.
    pub bound: f64,
}

/// Takes the steps of the job's first epoch on a device, which `open` makes, and with all twins; compares after 1, 2, 4, … steps
/// and at the end, and tells `observe`.
pub fn measure(job: Job, open: &Open, observe: &mut dyn FnMut(&Point) -> Result<()>) -> Result<(Row, Vec<Point>)> {
    let config = job.config;
    let start = config.initial_parameters()?;
    // The device, the f64 twin, the f32 twin; and faster ones, of other orders of summation, from starts that are slightly off.
    let mut backends: Vec<Box<dyn Backend>> =
        vec![open(job)?, Box::new(CpuBackend::<Double>::new(job)?), Box::new(CpuBackend::<Single>::new(job)?)];
    for _ in 1..TWINS {
        backends.push(Box::new(CpuBackend::<Blocked>::new(job)?));
    }
    for (index, backend) in backends.iter_mut().enumerate() {
        if index < 3 {
            backend.set_parameters(&start)?;
        } else {
            backend.set_parameters(&rounded(&start, index))?;
        }
        backend.begin_epoch(1)?;
    }
    let last = config.steps_per_epoch(job.dataset.train.count());
    let all_steps = u64::from(config.epochs) * last as u64;
    let step = |index: usize| {
        let adam = config.adam_at(index as u64, all_steps);
        Step::new(index * config.batch_size, config.batch_size, &adam, index as u64 + 1).in_epoch(1)
    };
    let (mut row, mut points, mut done) = (Row::new("weights during an epoch"), Vec::new(), 0);
    while done < last {
        let target = (2 * done).clamp(1, last);
        let steps: Vec<Step> = (done..target).map(step).collect();
        for backend in &mut backends {
            backend.train(&steps, &mut |_| Continue(()))?;
        }
        let (device, double) = (backends[0].parameters()?, backends[1].parameters()?);
        let slots = || 0..start.slots.len();
        let farthest = |one: &Parameters| slots().map(|slot| distance(one, &double, slot)).fold(0.0, f64::max);
        let largest = slots().map(|slot| norm(&double, slot)).fold(0.0, f64::max);
        let mut single = 0.0f64;
        for twin in &mut backends[2..] {
            single = single.max(farthest(&twin.parameters()?));
        }
        let point = Point {
            step: target,
            movement: slots().map(|slot| distance(&start, &double, slot)).fold(f64::INFINITY, f64::min),
            device: farthest(&device),
            single,
            bound: FACTOR * single + target as f64 * STORAGE * largest,
        };
        row.compare(point.device, point.bound, || format!("step {target}"));
        observe(&point)?;
        points.push(point);
        done = target;
    }
    row.cases = 1;
    Ok((row, points))
}

/// `parameters`, of which every number is up to a unit in the last place another one.
fn rounded(parameters: &Parameters, index: usize) -> Parameters {
    let mut generator = Generator::new(0, Stream::Check, (index as u64) << 32);
    let mut rounded = parameters.clone();
    for LayerParameters { weight, bias, .. } in rounded.slots.iter_mut().chain(&mut rounded.projections).flatten() {
        for value in weight.iter_mut().chain(bias) {
            *value *= 1.0 + f32::EPSILON * generator.uniform(-1.0, 1.0);
        }
    }
    rounded
}

/// All numbers of a network.
fn numbers(parameters: &Parameters, slot: usize) -> impl Iterator<Item = f64> {
    let layers = parameters.slots[slot].iter().chain(parameters.projections[slot].iter());
    layers.flat_map(|LayerParameters { weight, bias, .. }| weight.iter().chain(bias)).map(|&value| f64::from(value))
}

fn distance(one: &Parameters, other: &Parameters, slot: usize) -> f64 {
    numbers(one, slot).zip(numbers(other, slot)).map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
}

fn norm(parameters: &Parameters, slot: usize) -> f64 {
    numbers(parameters, slot).map(|value| value * value).sum::<f64>().sqrt()
}
