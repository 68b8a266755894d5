//! The signs of failure, each provoked by a run that fails that way; and the look at the layers, device against device.

use crate::adapter::context;
use crate::runs::quick_tiles;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{Adam, Recipe, Schedule, TrainingConfig};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::{Dataset, digits};
use ffcl_gpu::diagnosis::Sign;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::model::Architecture;
use ffcl_gpu::program::Plan;
use ffcl_gpu::train::{Event, ReplicaReport, train};
use std::ops::ControlFlow::Continue;

tests! {
    cpu: the_paper_s_equations_collapse_and_guess, a_run_that_hardly_moves_is_on_a_plateau,
        a_learning_rate_far_too_large_diverges, a_healthy_run_warns_of_nothing;
    gpu: all_backends_see_the_same_layers;
}

fn small(recipe: Recipe, epochs: u32, learning_rate: f64) -> TrainingConfig {
    let adam = Adam { learning_rate, ..Adam::default() };
    TrainingConfig {
        architecture: Architecture::dense(&[784, 32, 16, 10]),
        epochs,
        batch_size: 50,
        adam,
        seed: 2,
        ..recipe.config()
    }
}

/// The signs that a run warns of, in order, and its reports.
fn run(config: &TrainingConfig, dataset: &Dataset, backend: &mut dyn Backend) -> (Vec<Sign>, Vec<ReplicaReport>) {
    backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
    let (mut signs, mut reports) = (Vec::new(), Vec::new());
    let outcome = train(Job { config, dataset }, backend, &mut |event| {
        match event {
            Event::Warning { sign, .. } => signs.push(sign),
            Event::Epoch(epoch) => reports.extend_from_slice(epoch),
            Event::Progress { .. } | Event::Records(_) | Event::Judged { .. } => {}
        }
        Ok(Continue(()))
    });
    outcome.unwrap();
    (signs, reports)
}

fn signs(config: &TrainingConfig) -> Vec<Sign> {
    let dataset = digits::generate_with_counts(0, 2000, 512);
    let mut backend = CpuBackend::<Blocked>::new(Job { config, dataset: &dataset }).unwrap();
    run(config, &dataset, &mut backend).0
}

fn the_paper_s_equations_collapse_and_guess() {
    let found = signs(&small(Recipe::Paper, 12, 1e-3));
    assert!(found.contains(&Sign::Collapse), "{found:?}");
    let found = signs(&small(Recipe::Paper, 6, 1e-4));
    assert!(found.contains(&Sign::NearChance), "{found:?}");
}

fn a_run_that_hardly_moves_is_on_a_plateau() {
    let found = signs(&TrainingConfig { schedule: Schedule::Constant, ..small(Recipe::Contrastive, 8, 1e-9) });
    assert!(found.contains(&Sign::Plateau), "{found:?}");
}

fn a_learning_rate_far_too_large_diverges() {
    let found = signs(&TrainingConfig { dropout: 0.2, ..small(Recipe::Centred, 12, 0.1) });
    assert!(found.contains(&Sign::Diverging), "{found:?}");
}

fn a_healthy_run_warns_of_nothing() {
    assert_eq!(signs(&small(Recipe::Contrastive, 8, 2e-3)), []);
}

/// The same numbers on every backend, but for rounding: after one step each of them is a sum of at most 26,000 terms of one sign,
/// which single-precision sums in any order may miss by a part of 26,000 × 2⁻²⁴ < 2e-3.
fn all_backends_see_the_same_layers() {
    let dataset = digits::generate_with_counts(0, 200, 300);
    for (recipe, plans) in [(Recipe::Contrastive, vec![Plan::Layered]), (Recipe::Paper, vec![Plan::Layered, Plan::Fused])] {
        let config = TrainingConfig { max_steps: Some(1), replicas: 2, ..small(recipe, 1, 1e-3) };
        let job = Job { config: &config, dataset: &dataset };
        let (_, expected) = run(&config, &dataset, &mut CpuBackend::<Blocked>::new(job).unwrap());
        for plan in plans {
            let context = context(&ContextOptions::default());
            let options = GpuOptions { plan: Some(plan), tiles: quick_tiles(&context) };
            let (_, actual) = run(&config, &dataset, &mut GpuBackend::new(job, context, options).unwrap());
            for (actual, expected) in actual.iter().zip(&expected) {
                let numbers = |report: &ReplicaReport| {
                    let layers = &report.diagnosis;
                    [
                        &layers.alignment,
                        &layers.participation_ratio,
                        &layers.dead_units,
                        &layers.weight_norm,
                        &layers.update_norm,
                        &layers.divergence,
                    ]
                    .map(Clone::clone)
                    .concat()
                };
                assert_eq!(numbers(actual).len(), 2 + 2 + 2 + 3 + 3 + 3);
                for (actual, expected) in numbers(actual).iter().zip(numbers(expected)) {
                    assert!((actual - expected).abs() <= 2e-3 * expected.abs(), "{actual} for {expected}, {recipe:?} {plan:?}");
                }
            }
        }
    }
}
