//! Kernels one by one on the processor, at the size of the paper's first layer, and whole steps on the best adapter.
//!
//! `cargo bench` runs all; `cargo bench -- weight_update` one. For throughput of whole runs there is `ffcl-gpu bench`, and
//! `ffcl-gpu bench --profile` times each dispatch by the GPU's own clock.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffcl_gpu::config::{OutputLoss, TrainingConfig};
use ffcl_gpu::cpu::cosine_gradient::Compared;
use ffcl_gpu::cpu::{Blocked, cosine_gradient, forward, gather, output_gradient, weight_update};
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::layout::{Layer, Shard, Step, Views};
use ffcl_gpu::model::Parameters;
use ffcl_gpu::program::Plan;
use ffcl_gpu::random::{Generator, Stream};
use std::ops::ControlFlow::Continue;
use std::time::Instant;

fn random(length: usize) -> Vec<f32> {
    let mut generator = Generator::new(1, Stream::Check, 0);
    (0..length).map(|_| generator.normal()).collect()
}

fn twins(criterion: &mut Criterion) {
    let config = TrainingConfig::default();
    let layers = Layer::all(&config.architecture().expect("the default is a network"), config.batch_size, Views::Replica);
    let (layer, last) = (&layers[0], &layers[2]);
    let step = Step::new(0, config.batch_size, &config.adam, 1);
    let mut group = criterion.benchmark_group("cpu");
    group.throughput(Throughput::Elements(config.batch_size as u64));

    let images = digits::generate_with_counts(digits::SEED, 256, 1).train;
    let shard = Shard::new(&images, 0, images.count(), config.batch_size, Views::Replica);
    let (records, order) = (shard.records(&images), (0..images.count() as u32).collect::<Vec<_>>());
    let table = std::array::from_fn(|value| value as f32 / 255.0);
    let (mut inputs, mut labels) = (vec![0.0; layer.input_len()], vec![0; config.batch_size]);
    group.bench_function("gather", |bencher| {
        bencher.iter(|| gather::gather(&shard, &step, 0, &records, &order, &table, &mut inputs, &mut labels));
    });

    let mut weights = random(layer.weight_len());
    let (mut outputs, mut products) = (vec![0.0; layer.output_len()], vec![0.0; layer.delta_len()]);
    group.bench_function("forward", |bencher| {
        bencher.iter(|| forward::forward::<Blocked>(layer, &inputs, &weights, &mut outputs, &mut products));
    });

    let (partner, mut deltas, mut metrics) =
        (random(layer.output_len()), vec![0.0; layer.delta_len()], vec![0.0; layer.metrics_len()]);
    let [own, partner] = [&outputs, &partner].map(|rows| Compared { rows, means: None });
    group.bench_function("cosine_gradient", |bencher| {
        bencher.iter(|| cosine_gradient::cosine_gradient::<Blocked>(layer, true, own, partner, &mut deltas, &mut metrics));
    });

    let (logits, mut last_deltas) = (random(last.output_len()), vec![0.0; last.delta_len()]);
    group.bench_function("output_gradient", |bencher| {
        let loss = OutputLoss::BinaryCrossEntropy;
        bencher.iter(|| {
            output_gradient::output_gradient::<Blocked>(last, loss, true, &logits, None, &labels, &mut last_deltas, &mut metrics);
        });
    });

    let (mut first, mut second) = (vec![0.0; layer.weight_len()], vec![0.0; layer.weight_len()]);
    let mut gradients = vec![0.0; weight_update::scratch_len(layer)];
    group.bench_function("weight_update", |bencher| {
        bencher.iter(|| {
            let state = (&mut weights, &mut first, &mut second);
            weight_update::weight_update::<Blocked>(layer, &step, &inputs, &deltas, state.0, state.1, state.2, &mut gradients);
        });
    });
    group.finish();
}

fn steps(criterion: &mut Criterion) {
    let Ok(Choice::Gpu(adapter, _)) = choose(&DeviceRequest::Gpu) else { return };
    let config = TrainingConfig::default();
    let dataset = digits::generate_with_counts(digits::SEED, 1024, 16);
    let mut group = criterion.benchmark_group("gpu step");
    group.throughput(Throughput::Elements(config.batch_size as u64)).sample_size(10);
    for plan in [Plan::Fused, Plan::Layered] {
        let context = Context::open(&adapter, &ContextOptions::default()).expect("the adapter was just found");
        let options = GpuOptions { plan: Some(plan), ..GpuOptions::for_device(&context) };
        let mut backend = GpuBackend::new(Job { config: &config, dataset: &dataset }, context, options).expect("it is small");
        let start = Parameters::initialize(&config.architecture().expect("the default is a network"), 0, 1);
        backend.set_parameters(&start).expect("the device works");
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

criterion_group!(benches, twins, steps);
criterion_main!(benches);
