//! Trains a cell: its seeds as replicas of one run, in as few groups as the device can hold.

use super::grid::Cell;
use super::results::{Curve, SeedResult};
use crate::assembly::with_labels_of;
use crate::config::TrainingConfig;
use crate::dataset::Dataset;
use crate::engine::{Backend, Job, Open};
use crate::error::{Error, Result};
use crate::memory;
use crate::train::{Event, Outcome, ReplicaReport, train};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// What all cells of a study share.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The study's title.
    pub title: &'a str,
    /// Training images that are measured on instead of the test set.
    pub hold_out: Option<usize>,
}

/// Trains `seeds` of a cell on its data; `progress` is called with the number of steps done, counted once for each seed.
pub fn train_cell(
    shared: Shared,
    cell: &Cell,
    seeds: &[u64],
    dataset: &Dataset,
    open: &Open,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<SeedResult>> {
    let (dataset, _) = with_labels_of(&cell.training, Cow::Borrowed(dataset))?;
    let mut results = Vec::new();
    let mut most = seeds.len();
    while let Some(&first) = seeds.get(results.len()) {
        let left = &seeds[results.len()..];
        // Replicas have seeds that count up.
        let consecutive = left.iter().zip(first..).take_while(|&(&seed, expected)| seed == expected).count();
        let count = consecutive.min(most);
        let config = TrainingConfig { seed: first, replicas: count, ..cell.training.clone() };
        let job = Job { config: &config, dataset: &dataset };
        match prepare(job, open) {
            Ok(mut backend) => results.extend(train_group(shared, cell, job, backend.as_mut(), progress)?),
            // Too many side by side for memory or a limit of the device; where that is not the reason, one alone fails as well.
            Err(Error::Limit { .. } | Error::Configuration(_) | Error::DeviceMemory { .. } | Error::Gpu { .. }) if count > 1 => {
                most = count.div_ceil(2)
            }
            Err(error) => return Err(error),
        }
    }
    Ok(results)
}

fn prepare(job: Job, open: &Open) -> Result<Box<dyn Backend>> {
    job.config.check()?;
    // One copy to begin with and one to end with, on any device.
    memory::require(2 * job.config.parameter_bytes(), "the weights of this run")?;
    let mut backend = open(job)?;
    backend.set_parameters(&job.config.initial_parameters()?)?;
    Ok(backend)
}

fn train_group(
    shared: Shared,
    cell: &Cell,
    job: Job,
    backend: &mut dyn Backend,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<SeedResult>> {
    let replicas = job.config.replicas;
    let device = backend.device().to_string();
    let mut curves = vec![Curve::default(); replicas];
    let mut counted = 0;
    let outcome = train(job, backend, &mut |event| {
        match event {
            Event::Progress { steps_done, .. } => {
                progress((steps_done - counted) as u64 * replicas as u64);
                counted = steps_done;
            }
            Event::Epoch(reports) => {
                counted = 0;
                for (curve, report) in curves.iter_mut().zip(reports) {
                    curve.test_accuracy_single.push(single(report));
                    curve.test_accuracy_ensemble.push(report.test_accuracy_ensemble);
                    curve.layer_losses.push(report.layer_losses.clone());
                    curve.participation_ratio.push(report.diagnosis.participation_ratio.clone());
                }
            }
            Event::Records(_) | Event::Judged { .. } => {}
            // The signs stand in the results.
            Event::Warning { .. } => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let results =
        outcome.last.iter().zip(curves).map(|(report, curve)| result(shared, cell, job, &outcome, report, curve, &device));
    Ok(results.collect())
}

fn result(
    shared: Shared,
    cell: &Cell,
    job: Job,
    outcome: &Outcome,
    report: &ReplicaReport,
    curve: Curve,
    device: &str,
) -> SeedResult {
    let best = curve.test_accuracy_single.iter().copied().fold(0.0, f64::max);
    let best_epoch = 1 + curve.test_accuracy_single.iter().position(|&accuracy| accuracy == best).unwrap_or_default();
    SeedResult {
        study: shared.title.to_owned(),
        cell: cell.key.clone(),
        seed: job.config.seed + report.replica as u64,
        hold_out: shared.hold_out,
        train_accuracy: report.train_accuracy,
        test_accuracy_a: report.test_accuracy_a,
        test_accuracy_b: report.test_accuracy_b,
        test_accuracy_single: single(report),
        test_accuracy_ensemble: report.test_accuracy_ensemble,
        best_test_accuracy_single: best,
        best_epoch: best_epoch as u32,
        signs: report.signs.clone(),
        curve,
        steps: outcome.steps,
        seconds: outcome.seconds,
        side_by_side: job.config.replicas,
        device: device.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn single(report: &ReplicaReport) -> f64 {
    0.5 * (report.test_accuracy_a + report.test_accuracy_b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Blocked;
    use crate::cpu::backend::CpuBackend;
    use crate::dataset::digits;
    use crate::study::{grid, request::tests::study};
    use std::cell::RefCell;

    /// Also a cell that goes on after some of its seeds were done.
    #[test]
    fn seeds_train_in_groups_that_fit_and_results_do_not_depend_on_the_groups() {
        let text = "title = 'A'\nseeds = 5\ndatasets = ['digits']\n[base]\nepochs = 2\nlayers = [784, 8, 10]\n[variants.a]";
        let dataset = digits::generate_with_counts(digits::SEED, 256, 20);
        let cells = grid::cells(&study(text).unwrap(), std::slice::from_ref(&dataset)).unwrap();
        let shared = Shared { title: "A", hold_out: None };
        let train = |most: usize, seeds: &[u64]| {
            let groups = RefCell::new(Vec::new());
            let open = |job: Job| -> Result<Box<dyn Backend>> {
                if job.config.replicas > most {
                    return Err(Error::Configuration("too many".into()));
                }
                groups.borrow_mut().push(job.config.replicas);
                Ok(Box::new(CpuBackend::<Blocked>::new(job)?))
            };
            let mut steps = 0;
            let results = train_cell(shared, &cells[0], seeds, &dataset, &open, &mut |done| steps += done);
            (results, groups.take(), steps)
        };
        let timeless = |results: Result<Vec<SeedResult>>| -> Vec<_> {
            let clear = |result| SeedResult { seconds: 0.0, side_by_side: 0, ..result };
            results.unwrap().into_iter().map(clear).collect()
        };
        let (whole, groups, steps) = train(5, &[1, 2, 3, 4, 5]);
        assert_eq!((groups, steps), (vec![5], 5 * cells[0].steps));
        let whole = timeless(whole);
        assert_eq!(whole.iter().map(|result| result.seed).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(whole[0].curve.test_accuracy_single.len(), 2);
        let (parts, groups, steps) = train(2, &[1, 2, 3, 4, 5]);
        assert_eq!((groups, steps), (vec![2, 2, 1], 5 * cells[0].steps));
        assert_eq!(timeless(parts), whole);
        let (some, groups, _) = train(5, &[2, 3, 5]);
        assert_eq!(groups, [2, 1]);
        assert_eq!(timeless(some), [1, 2, 4].map(|index: usize| whole[index].clone()));
        assert!(train(0, &[1, 2]).0.unwrap_err().is_usage());
    }
}
