//! The operations of a training step one by one on the processor, and whole steps on the best adapter, by the default recipe and the paper's.
//!
//! `cargo bench` runs all; `cargo bench -- weight_update` one kernel. For throughput of whole runs there is `ffcl-gpu bench`, and
//! `ffcl-gpu bench --profile` times each dispatch by the GPU's own clock.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{Recipe, TrainingConfig};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::layout::Step;
use ffcl_gpu::program::Plan;
use std::ops::ControlFlow::Continue;
use std::time::Instant;

fn operations(criterion: &mut Criterion) {
    for recipe in [Recipe::Contrastive, Recipe::Paper] {
        let config = recipe.config();
        let dataset = digits::generate_with_counts(digits::SEED, 1024, 16);
        let mut backend = CpuBackend::<Blocked>::new(Job { config: &config, dataset: &dataset }).expect("it is small");
        backend.set_parameters(&config.initial_parameters().expect("the recipe is a run")).expect("main memory works");
        let mut group = criterion.benchmark_group(format!("cpu {recipe:?}"));
        group.throughput(Throughput::Elements(config.batch_size as u64));
        // Once as a whole, so that every tensor holds what it would.
        backend.begin_epoch(1).expect("main memory works");
        let step = Step::new(0, config.batch_size, &config.adam, 1).in_epoch(1);
        backend.train(&[step], &mut |_| Continue(())).expect("main memory works");
        for (number, kernel) in backend.operations().into_iter().enumerate() {
            group.bench_function(BenchmarkId::new(kernel.name(), number), |bencher| {
                bencher.iter(|| backend.run_operation(number, &step));
            });
        }
        group.finish();
    }
}

fn steps(criterion: &mut Criterion) {
    let Ok(Choice::Gpu(adapter, _)) = choose(&DeviceRequest::Gpu) else { return };
    let config: TrainingConfig = Recipe::Paper.config();
    let dataset = digits::generate_with_counts(digits::SEED, 1024, 16);
    let mut group = criterion.benchmark_group("gpu step");
    group.throughput(Throughput::Elements(config.batch_size as u64)).sample_size(10);
    for plan in [Plan::Fused, Plan::Layered] {
        let context = Context::open(&adapter, &ContextOptions::default()).expect("the adapter was just found");
        let options = GpuOptions { plan: Some(plan), ..GpuOptions::for_device(&context) };
        let mut backend = GpuBackend::new(Job { config: &config, dataset: &dataset }, context, options).expect("it is small");
        backend.set_parameters(&config.initial_parameters().expect("the recipe is a run")).expect("the device works");
        group.bench_function(plan.to_string(), |bencher| {
            bencher.iter_custom(|count| {
                let steps: Vec<Step> = (0..count)
                    .map(|step| Step::new(step as usize % 16 * config.batch_size, config.batch_size, &config.adam, step + 1))
                    .collect();
                let begin = Instant::now();
                backend.begin_epoch(1).expect("the device works");
                backend.train(&steps, &mut |_| Continue(())).expect("the device works");
                backend.end_epoch().expect("the device works");
                begin.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, operations, steps);
criterion_main!(benches);
