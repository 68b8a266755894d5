//! Replica r of a run is a run of its own.

use crate::harness::Device;
use crate::runs::{few, numbers, open, run_gpu, small, small_run_of, trusting};
use ffcl_gpu::config::{Method, Recipe, TrainingConfig, Trust, TrustRate};
use ffcl_gpu::dataset::{Dataset, digits};
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::program::Plan;
use ffcl_gpu::train::{Advance, ReplicaReport, Trainer};
use std::ops::ControlFlow::Continue;

tests! {
    gpu: replicas_are_single_runs;
    both: replicas_select_as_single_runs, replicas_learn_from_the_same_labels;
}

/// Replica r of one run is, bit for bit, a run of its own with seed + r.
fn replicas_are_single_runs() {
    let dataset = digits::generate_with_counts(0, 600, 200);
    let config = TrainingConfig { replicas: 4, ..small() };
    for (plan, replica) in [Plan::Fused, Plan::Layered].into_iter().flat_map(|plan| [0, 3].map(|replica| (plan, replica))) {
        let (parameters, reports) = run_gpu(&config, &dataset, &ContextOptions::default(), plan);
        let single = TrainingConfig { replicas: 1, seed: config.seed + replica as u64, ..config.clone() };
        let (alone, alone_reports) = run_gpu(&single, &dataset, &ContextOptions::default(), plan);
        assert_eq!(parameters.slots[2 * replica..2 * replica + 2], alone.slots[..], "replica {replica}");
        for (epoch, alone) in numbers(&reports).iter().zip(numbers(&alone_reports)) {
            assert_eq!(epoch[replica], ReplicaReport { replica, ..alone[0].clone() });
        }
    }
}

/// Each replica uses its own estimate. The labels are partly wrong, so that there is something to find; an estimate needs some epochs
/// on so few images.
fn replicas_select_as_single_runs(device: Device) {
    let mut dataset = digits::generate_with_counts(0, 600, 200);
    let truth = dataset.make_wrong(&"pair:0.3".parse().unwrap()).unwrap();
    for rate in [TrustRate::Auto, TrustRate::Given(0.3)] {
        let trust = trusting(Trust::Partner, rate);
        let config = TrainingConfig { trust, replicas: 3, ..small_run_of(Recipe::Contrastive) };
        let run = |config: &TrainingConfig| {
            let job = Job { config, dataset: &dataset };
            let mut backend = open(device, None, job);
            backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
            let mut trainer = Trainer::new(job, backend.as_mut()).with_truth(truth.as_deref());
            while trainer.epoch(&mut |_| Ok(Continue(()))).unwrap() != Advance::Done {}
            (trainer.last().to_vec(), trainer.finish().unwrap().parameters)
        };
        let (reports, parameters) = run(&config);
        for replica in [0, 2] {
            let single = TrainingConfig { replicas: 1, seed: config.seed + replica as u64, ..config.clone() };
            let (alone, alone_parameters) = run(&single);
            assert_eq!(parameters.slots[2 * replica..2 * replica + 2], alone_parameters.slots[..], "replica {replica}");
            assert_eq!(reports[replica].trust, alone[0].trust);
            let trust = reports[replica].trust.as_ref().unwrap();
            assert_eq!((trust.layers.len(), trust.kept_true.len(), trust.wrong_found.len()), (3, 3, 3));
            assert!(rate == TrustRate::Auto || trust.wrong_found.iter().all(|&share| share > 0.0), "{trust:?}");
        }
    }
}

/// Replicas share the labels that there are, and draw their batches as single runs do. What stood in the place of a missing label is not
/// looked at; what the partner answers is.
fn replicas_learn_from_the_same_labels(device: Device) {
    for (method, threshold) in [(Method::Local, 0.3), (Method::Backprop, 0.3), (Method::Local, 1.0)] {
        let method_config = TrainingConfig { method, ..small_run_of(Recipe::Contrastive) };
        let config = TrainingConfig { few: few(60, threshold), replicas: 3, ..method_config };
        let mut dataset = digits::generate_with_counts(0, 600, 200);
        dataset.unlabel(config.few.labelled).unwrap();
        let run = |config: &TrainingConfig, dataset: &Dataset| {
            let job = Job { config, dataset };
            let mut backend = open(device, None, job);
            backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
            let mut trainer = Trainer::new(job, backend.as_mut());
            while trainer.epoch(&mut |_| Ok(Continue(()))).unwrap() != Advance::Done {}
            (trainer.last().to_vec(), trainer.finish().unwrap().parameters)
        };
        let (reports, parameters) = run(&config, &dataset);
        for image in dataset.unlabelled.clone() {
            dataset.train.labels[image as usize] = 3;
        }
        for replica in [0, 2] {
            let single = TrainingConfig { replicas: 1, seed: config.seed + replica as u64, ..config.clone() };
            let (alone, alone_parameters) = run(&single, &dataset);
            assert_eq!(parameters.slots[2 * replica..2 * replica + 2], alone_parameters.slots[..], "replica {replica}");
            assert_eq!(reports[replica].train_accuracy, alone[0].train_accuracy);
            // Counted are the first halves of 20 batches of 30, for two networks.
            let right = alone[0].train_accuracy * 600.0;
            assert!((right - right.round()).abs() < 1e-9 && right > 60.0, "{right}");
        }
        let other = TrainingConfig { few: few(60, 0.99999), ..config };
        assert_eq!(run(&other, &dataset).1 == parameters, threshold == 1.0);
    }
}
