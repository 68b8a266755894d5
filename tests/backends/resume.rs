//! A run that stops and goes on ends with the same bits as one that does not stop.

use crate::harness::Device;
use crate::runs::{few, open, trusting};
use ffcl_gpu::config::{Augmentation, Method, Recipe, TrainingConfig, Trust, TrustRate};
use ffcl_gpu::dataset::{Dataset, digits};
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::model::Architecture;
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::program::{Plan, fusible};
use ffcl_gpu::train::{Advance, ReplicaReport, Trainer};
use std::ops::ControlFlow::Continue;

tests! {
    both: resumed_runs_come_to_the_same_bits;
}

/// A run that stops in the middle of an epoch, at an epoch's end, and in each stage, and goes on on a fresh backend.
fn resumed_equals_uninterrupted(config: &TrainingConfig, dataset: &Dataset, open: &dyn Fn() -> Box<dyn Backend>) {
    let job = Job { config, dataset };
    let begin = || {
        let mut backend = open();
        backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
        backend
    };
    let mut backend = begin();
    let mut straight = Trainer::new(job, backend.as_mut());
    let mut reports = Vec::new();
    let timeless = |report: &ReplicaReport| ReplicaReport { seconds: 0.0, samples_per_second: 0.0, ..report.clone() };
    while straight.epoch(&mut |_| Ok(Continue(()))).unwrap() != Advance::Done {
        reports.push(straight.last().iter().map(timeless).collect::<Vec<_>>());
    }
    let expected = straight.state().unwrap();
    let last: Vec<_> = straight.last().iter().map(timeless).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (model, data) = (ModelDescription::of(job), dataset.checksum());
    let of = Identity { model: &model, seed: config.seed, data: &data };
    let per_epoch = config.steps_per_epoch(dataset.train.count());
    for stop_after in [1, per_epoch, per_epoch + 1, 2 * per_epoch, 2 * per_epoch + 2] {
        let short = TrainingConfig { max_steps: Some(stop_after as u64), ..config.clone() };
        let mut backend = begin();
        let mut trainer = Trainer::new(Job { config: &short, dataset }, backend.as_mut());
        while trainer.epoch(&mut |_| Ok(Continue(()))).unwrap() != Advance::Done {}
        let state = trainer.state().unwrap();
        assert_eq!(state.running.is_some(), stop_after % per_epoch != 0);
        checkpoint::save(&path, &state, of).unwrap();
        let state = checkpoint::load(&path, config, of, per_epoch).unwrap();
        let mut history: Vec<_> = reports[..stop_after / per_epoch].concat();
        let mut backend = open();
        let mut trainer = Trainer::resume(job, backend.as_mut(), &state, &mut history).unwrap();
        while trainer.epoch(&mut |_| Ok(Continue(()))).unwrap() != Advance::Done {}
        assert_eq!(trainer.last().iter().map(timeless).collect::<Vec<_>>(), last, "stopped after {stop_after}");
        let mut end = trainer.state().unwrap();
        end.position.epoch_seconds = expected.position.epoch_seconds;
        assert!(end == expected, "stopped after {stop_after}");
    }
}

fn resumed_runs_come_to_the_same_bits(device: Device) {
    let dataset = digits::generate_with_counts(0, 300, 100);
    let small = |recipe: Recipe| TrainingConfig {
        architecture: Architecture::dense(&[784, 12, 11, 10]),
        epochs: 3,
        batch_size: 50,
        replicas: 2,
        ..recipe.config()
    };
    let moved = Augmentation { shift: 1, ..Augmentation::default() };
    let (estimated, given) = (trusting(Trust::Partner, TrustRate::Auto), trusting(Trust::Own, TrustRate::Given(0.3)));
    for config in [
        small(Recipe::Paper),
        TrainingConfig { augmentation: moved, ..small(Recipe::Contrastive) },
        small(Recipe::Ffcl3),
        TrainingConfig { trust: estimated, augmentation: moved, ..small(Recipe::Contrastive) },
        TrainingConfig { trust: given, method: Method::Backprop, ..small(Recipe::Contrastive) },
        TrainingConfig { few: few(50, 0.3), augmentation: moved, ..small(Recipe::Contrastive) },
    ] {
        let mut dataset = dataset.clone();
        dataset.unlabel(config.few.labelled).unwrap();
        let plans: &[Option<Plan>] = match device {
            Device::Cpu => &[None],
            Device::Gpu if fusible(&config) => &[Some(Plan::Fused), Some(Plan::Layered)],
            Device::Gpu => &[Some(Plan::Layered)],
        };
        for &plan in plans {
            let job = Job { config: &config, dataset: &dataset };
            resumed_equals_uninterrupted(&config, &dataset, &|| open(device, plan, job));
        }
    }
}
