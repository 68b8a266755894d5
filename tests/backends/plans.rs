//! The fused and the layered plan: the same results, and nothing made while an epoch runs.

use crate::adapter::{context, open};
use ffcl_gpu::config::{Method, OutputLoss, Recipe, TrainingConfig};
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, Job, Quantity};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::gpu::same_bits::trains_to_the_same_bits;
use ffcl_gpu::kernels::tiles::{Knob, Tiles};
use ffcl_gpu::layout::Step;
use ffcl_gpu::model::{Architecture, Parameters};
use ffcl_gpu::program::Plan;
use std::ops::ControlFlow::Continue;

tests! {
    gpu: fused_and_layered_give_the_same_bits, the_fused_plan_takes_a_few_dispatches_at_any_depth,
        an_epoch_makes_nothing_and_reads_once, settings_that_compute_other_bits_are_found, memory_is_counted_beforehand, device_memory_stays_flat;
}

fn config() -> TrainingConfig {
    TrainingConfig {
        architecture: Architecture::dense(&[784, 40, 33, 10]),
        batch_size: 20,
        replicas: 3,
        seed: 11,
        ..Recipe::Paper.config()
    }
}

fn backend(config: &TrainingConfig, tiles: Option<Tiles>, plan: Option<Plan>) -> GpuBackend {
    backend_on(context(&ContextOptions::default()), config, tiles, plan)
}

/// A backend on a device of its own, for tests that count what is made or allocated.
fn backend_alone(config: &TrainingConfig, plan: Option<Plan>) -> GpuBackend {
    backend_on(open(&ContextOptions::default()), config, None, plan)
}

fn backend_on(context: Context, config: &TrainingConfig, tiles: Option<Tiles>, plan: Option<Plan>) -> GpuBackend {
    let dataset = digits::generate_with_counts(0, 400, 100);
    let options =
        GpuOptions { tiles: tiles.unwrap_or_else(|| Tiles::for_device(&context.description, context.subgroup_size)), plan };
    let mut backend = GpuBackend::new(Job { config, dataset: &dataset }, context, options).unwrap();
    let start = Parameters::initialize(&config.architecture, config.seed, config.replicas);
    backend.set_parameters(&start).unwrap();
    backend
}

fn steps(config: &TrainingConfig, count: usize) -> Vec<Step> {
    let step = |index: usize| Step::new(index % 20 * config.batch_size, config.batch_size, &config.adam, index as u64 + 1);
    (0..count).map(step).collect()
}

/// What tuning asks before it takes other tiles than those built in: what it may choose passes; the other plan, which splits the sums of this run
/// otherwise, does not.
fn settings_that_compute_other_bits_are_found() {
    let config =
        TrainingConfig { architecture: Architecture::dense(&[784, 40, 33, 10]), batch_size: 150, ..Recipe::Contrastive.config() };
    let dataset = digits::generate_with_counts(0, 200, 10);
    let job = Job { config: &config, dataset: &dataset };
    let mut context = context(&ContextOptions::default());
    let layered = GpuOptions { plan: Some(Plan::Layered), ..GpuOptions::for_device(&context) };
    let last = |knob| layered.tiles.candidates(knob, context.subgroup_size).pop().filter(|&tiles| tiles != layered.tiles);
    let candidates: Vec<Tiles> = Knob::ALL.into_iter().filter_map(last).collect();
    assert!(candidates.len() > 2);
    for tiles in candidates {
        let (again, same) = trains_to_the_same_bits(job, context, [layered, GpuOptions { tiles, ..layered }]).unwrap();
        assert!(same, "{tiles:?}");
        context = again;
    }
    let fused = GpuOptions { plan: Some(Plan::Fused), ..layered };
    assert!(!trains_to_the_same_bits(job, context, [layered, fused]).unwrap().1);
}

/// Where no sum is split, both plans add the same numbers in the same order: parameters and metrics agree to the last bit.
fn fused_and_layered_give_the_same_bits() {
    for output_loss in [OutputLoss::BinaryCrossEntropy, OutputLoss::CrossEntropy] {
        let config = TrainingConfig { output_loss, ..config() };
        let [fused, layered] = [Plan::Fused, Plan::Layered].map(|plan| {
            let mut backend = backend(&config, Some(Tiles::SOFTWARE), Some(plan));
            assert_eq!(backend.plan(), plan);
            backend.begin_epoch(1).unwrap();
            backend.train(&steps(&config, 40), &mut |_| Continue(())).unwrap();
            (backend.end_epoch().unwrap(), backend.parameters().unwrap())
        });
        assert_eq!(fused, layered);
    }
}

/// As many whatever the depth and the number of replicas; wide layers are left to the layered plan, and to force the
/// other one is an error.
fn the_fused_plan_takes_a_few_dispatches_at_any_depth() {
    for layers in [vec![784, 64, 64, 10], vec![784, 128, 5, 128, 7, 16, 33, 64, 10]] {
        for (recipe, dispatches) in [(Recipe::Paper, 2), (Recipe::Contrastive, 3)] {
            let config = TrainingConfig { architecture: Architecture::dense(&layers), batch_size: 20, ..recipe.config() };
            let backend = backend(&config, None, Some(Plan::Fused));
            assert_eq!((backend.plan(), backend.dispatches_per_step()), (Plan::Fused, Some(dispatches)));
        }
    }
    let wide = TrainingConfig { architecture: Architecture::dense(&[784, 129, 10]), ..config() };
    let backend = backend(&wide, None, None);
    assert_eq!((backend.plan(), backend.dispatches_per_step()), (Plan::Layered, Some(7)));
    let dataset = digits::generate_with_counts(0, 400, 100);
    let context = context(&ContextOptions::default());
    let options = GpuOptions { plan: Some(Plan::Fused), ..GpuOptions::for_device(&context) };
    let error = GpuBackend::new(Job { config: &wide, dataset: &dataset }, context, options).err().unwrap().to_string();
    assert!(error.contains("129") && error.contains("--plan layered"), "{error}");
}

/// The steps of an epoch make no buffer, no pipeline and no bind group, and the host reads nothing; its end reads once.
fn an_epoch_makes_nothing_and_reads_once() {
    for plan in [Plan::Fused, Plan::Layered] {
        // Many steps of little work.
        let config = TrainingConfig { architecture: Architecture::dense(&[784, 8, 10]), batch_size: 4, replicas: 1, ..config() };
        let mut backend = backend_alone(&config, Some(plan));
        let before = backend.context().made.counts();
        assert!(before.iter().take(3).all(|&count| count > 0), "{before:?}");
        backend.begin_epoch(1).unwrap();
        // More than one upload of the steps' table holds.
        backend.train(&steps(&config, 1500), &mut |_| Continue(())).unwrap();
        assert_eq!(backend.context().made.counts(), before);
        backend.end_epoch().unwrap();
        let [buffers, pipelines, bind_groups, reads] = before;
        assert_eq!(backend.context().made.counts(), [buffers, pipelines, bind_groups, reads + 1]);
    }
}

/// What a run takes is known before it is allocated, down to tables and sums, which stay below a mebibyte.
fn memory_is_counted_beforehand() {
    let wide = TrainingConfig { architecture: Architecture::dense(&[784, 500, 300, 10]), batch_size: 100, ..config() };
    for (config, plan) in [
        (config(), Plan::Fused),
        (config(), Plan::Layered),
        (TrainingConfig { batch_size: 20, replicas: 2, ..Recipe::Contrastive.config() }, Plan::Layered),
        (TrainingConfig { batch_size: 20, replicas: 2, ..Recipe::Contrastive.config() }, Plan::Fused),
        (TrainingConfig { method: Method::Backprop, ..wide.clone() }, Plan::Layered),
        (TrainingConfig { batch_size: 20, ..Recipe::Ffcl3.config() }, Plan::Layered),
        (wide, Plan::Layered),
    ] {
        let backend = backend(&config, None, Some(plan));
        let (planned, allocated) = (backend.planned_memory(), backend.memory());
        assert!(planned <= allocated && allocated - planned < 1 << 20, "{planned} bytes planned, {allocated} allocated");
    }
}

/// Epochs after each of which everything is read, as for a checkpoint, leave nothing behind on the device.
fn device_memory_stays_flat() {
    let config = config();
    let mut backend = backend_alone(&config, None);
    let mut allocated = Vec::new();
    for epoch in 1..=6 {
        backend.begin_epoch(epoch).unwrap();
        backend.train(&steps(&config, 20), &mut |_| Continue(())).unwrap();
        backend.end_epoch().unwrap();
        for quantity in [Quantity::Weights, Quantity::FirstMoments, Quantity::SecondMoments, Quantity::EpochStart] {
            backend.read(quantity).unwrap();
        }
        backend.row_sums().unwrap();
        backend.probabilities().unwrap();
        let device = &backend.context().device;
        // What was dropped is freed once the device has nothing left to do.
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let Some(report) = device.generate_allocator_report() else {
            eprintln!("this backend does not tell what is allocated");
            return;
        };
        allocated.push(report.total_allocated_bytes);
    }
    assert!(allocated[1..].iter().all(|&bytes| bytes == allocated[1]), "{allocated:?}");
}
