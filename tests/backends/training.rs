//! Whole training on the GPU: against the CPU twins, against itself, and on the smallest adapters that WebGPU allows.

use crate::adapter::context;
use crate::harness::Device;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{
    Adam, Augmentation, CosineOptions, FewLabels, Guide, HiddenLoss, Labelled, Method, OutputLoss, PrototypeOptions, Recipe,
    Representation, TrainingConfig, Trust, TrustOptions, TrustRate,
};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::{Dataset, Features, Images, digits};
use ffcl_gpu::diagnosis::Diagnosis;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::kernels::tiles::Tiles;
use ffcl_gpu::model::Parameters;
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::program::{Plan, fusible};
use ffcl_gpu::train::{Advance, Event, ReplicaReport, Trainer, train};
use ffcl_gpu::verify::steps;
use std::ops::ControlFlow::Continue;

tests! {
    cpu: the_fast_cpu_backend_agrees_with_the_twins, the_same_cpu_run_twice_gives_the_same_bits_on_any_number_of_threads,
        divergence_is_an_error, labels_beyond_the_classes_are_refused;
    gpu: steps_agree_with_the_twins, the_same_run_twice_gives_the_same_bits, replicas_are_single_runs,
        small_adapters_train_to_the_same_bits, limits_are_named;
    both: features_train_as_the_same_numbers_from_bytes_do, steps_beyond_the_data_are_refused, replicas_select_as_single_runs,
        replicas_learn_from_the_same_labels, resumed_runs_come_to_the_same_bits,
        probabilities_agree_with_the_accuracy;
}

fn small() -> TrainingConfig {
    TrainingConfig { epochs: 2, ..small_run_of(Recipe::Paper) }
}

fn small_run_of(recipe: Recipe) -> TrainingConfig {
    let recipe = recipe.config();
    TrainingConfig { layers: vec![784, 33, 17, 10], epochs: 3, batch_size: 30, seed: 5, ..recipe }
}

/// Images are selected from the second step on.
fn trusting(trust: Trust, trust_rate: TrustRate) -> TrustOptions {
    TrustOptions { trust, trust_rate, trust_ramp: 1 }
}

/// Most images without labels, and answers soon taken for theirs.
fn few(count: usize, pseudo_threshold: f64) -> FewLabels {
    FewLabels { labelled: Labelled::Drawn { count, seed: 0 }, pseudo_threshold, pseudo_ramp: 1 }
}

/// Trains and returns the parameters and each epoch's reports.
fn run(backend: &mut dyn Backend, job: Job) -> (Parameters, Vec<Vec<ReplicaReport>>) {
    let architecture = job.config.architecture().unwrap();
    backend.set_parameters(&Parameters::initialize(&architecture, job.config.seed, job.config.replicas)).unwrap();
    let mut reports = Vec::new();
    let outcome = train(job, backend, &mut |event| {
        if let Event::Epoch(epoch) = event {
            reports.push(epoch.to_vec());
        }
        Ok(Continue(()))
    });
    (outcome.unwrap().parameters, reports)
}

fn run_gpu(
    config: &TrainingConfig,
    dataset: &Dataset,
    options: &ContextOptions,
    plan: Plan,
) -> (Parameters, Vec<Vec<ReplicaReport>>) {
    let context = context(options);
    let gpu = GpuOptions { plan: Some(plan), ..GpuOptions::for_device(&context) };
    let job = Job { config, dataset };
    run(&mut GpuBackend::new(job, context, gpu).unwrap(), job)
}

/// A backend of the device, for a GPU with the plan that suits it or the one that is given.
fn open(device: Device, plan: Option<Plan>, job: Job) -> Box<dyn Backend> {
    match device {
        Device::Cpu => Box::new(CpuBackend::<Blocked>::new(job).unwrap()),
        Device::Gpu => {
            let context = context(&ContextOptions::default());
            let options = GpuOptions { plan, ..GpuOptions::for_device(&context) };
            Box::new(GpuBackend::new(job, context, options).unwrap())
        }
    }
}

/// Everything but the times.
fn numbers(reports: &[Vec<ReplicaReport>]) -> Vec<Vec<ReplicaReport>> {
    let timeless = |report: &ReplicaReport| ReplicaReport { seconds: 0.0, samples_per_second: 0.0, ..report.clone() };
    reports.iter().map(|epoch| epoch.iter().map(timeless).collect()).collect()
}

fn steps_agree_with_the_twins() {
    let cosine = |representation, centre| TrainingConfig {
        hidden_loss: HiddenLoss::Cosine(CosineOptions { representation, centre }),
        ..small()
    };
    let prototypes = |guide, projection, mutual| {
        let options = PrototypeOptions { guide, projection, mutual, ..PrototypeOptions::default() };
        TrainingConfig { hidden_loss: HiddenLoss::Prototypes(options), ..small_run_of(Recipe::Contrastive) }
    };
    let shifted = Augmentation { shift: 1, ..Augmentation::default() };
    let turned = Augmentation { rotation: 10.0, shared: true, ..Augmentation::default() };
    let variants = [
        (TrainingConfig { batch_size: 64, ..small() }, 100),
        (TrainingConfig { layers: vec![784, 10], output_loss: OutputLoss::CrossEntropy, ..small() }, 10),
        (TrainingConfig { replicas: 2, ..cosine(Representation::PreActivation, false) }, 10),
        (cosine(Representation::Activation, true), 10),
        (cosine(Representation::PreActivation, true), 10),
        (TrainingConfig { layers: vec![784, 65, 3, 129, 10], standardize: true, batch_size: 1, ..small() }, 10),
        (small_run_of(Recipe::Contrastive), 10),
        (TrainingConfig { replicas: 2, ..prototypes(Guide::Own, 0, 0.0) }, 10),
        (TrainingConfig { method: Method::FrozenPartner, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { method: Method::Independent, ..small() }, 10),
        (TrainingConfig { method: Method::Backprop, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { method: Method::Backprop, ..small() }, 10),
        (TrainingConfig { augmentation: shifted, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { augmentation: shifted, replicas: 2, ..small() }, 10),
        (prototypes(Guide::Partner, 32, 0.3), 10),
        (prototypes(Guide::Own, 32, 0.3), 10),
        // Here no share of wrong labels is set, so that all images are kept: of losses that all but tie, rounding would decide which is
        // the larger, and no bound holds for what follows. Which ones are left out is compared kernel by kernel, on equal losses.
        (TrainingConfig { trust: trusting(Trust::Partner, TrustRate::Auto), ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { trust: trusting(Trust::Own, TrustRate::Auto), method: Method::Backprop, ..small() }, 10),
        // Nor is any answer as sure as that, for the same reason.
        (TrainingConfig { few: few(50, 1.0), replicas: 2, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { few: few(50, 1.0), method: Method::Backprop, ..small() }, 10),
        (TrainingConfig { hidden_loss: HiddenLoss::Head, replicas: 2, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { hidden_loss: HiddenLoss::Head, dropout: 0.3, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { method: Method::Backprop, dropout: 0.3, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { hidden_loss: HiddenLoss::Instances(PrototypeOptions::default()), ..small() }, 10),
        (TrainingConfig { augmentation: turned, ..small_run_of(Recipe::Contrastive) }, 10),
        // Epochs 1 and 10, which the steps are taken in: of the first stage; of the first and the second; of the first and the
        // third.
        (TrainingConfig { epochs: 30, replicas: 2, ..small_run_of(Recipe::Ffcl3) }, 10),
        (TrainingConfig { epochs: 15, ..small_run_of(Recipe::Ffcl3) }, 10),
        (TrainingConfig { epochs: 3, ..small_run_of(Recipe::Ffcl3) }, 10),
        (TrainingConfig { hidden_loss: HiddenLoss::Pairs, augmentation: shifted, normalize: true, ..small() }, 10),
    ];
    // All of them within what the smallest adapter that WebGPU allows has, and with wgpu's own checks in the shaders.
    let smallest = ContextOptions { limits: Some(wgpu::Limits::defaults()), shader_checks: Some(true) };
    for (config, longest) in variants {
        for tiles in Tiles::possible(context(&smallest).subgroup_size) {
            let fused = fusible(&config) && !config.layers.contains(&129);
            for plan in [Plan::Layered].into_iter().chain(fused.then_some(Plan::Fused)) {
                let options = GpuOptions { tiles, plan: Some(plan) };
                let rows =
                    steps::check(&config, longest, &|job| Ok(Box::new(GpuBackend::new(job, context(&smallest), options)?)));
                for row in rows.unwrap() {
                    assert!(row.passed, "{config:?}\n{options:?}\n{row:#?}");
                }
            }
        }
    }
}

/// The fast CPU backend is held to the same bound as a GPU.
fn the_fast_cpu_backend_agrees_with_the_twins() {
    let config = TrainingConfig { replicas: 2, ..small() };
    for row in steps::check(&config, 100, &|job| Ok(Box::new(CpuBackend::<Blocked>::new(job)?))).unwrap() {
        assert!(row.passed, "{row:#?}");
    }
}

fn the_same_run_twice_gives_the_same_bits() {
    let dataset = digits::generate_with_counts(0, 1000, 200);
    let config = TrainingConfig { replicas: 2, ..small() };
    for plan in [Plan::Fused, Plan::Layered] {
        let (parameters, reports) = run_gpu(&config, &dataset, &ContextOptions::default(), plan);
        let (again, reports_again) = run_gpu(&config, &dataset, &ContextOptions::default(), plan);
        assert_eq!(parameters, again);
        assert_eq!(numbers(&reports), numbers(&reports_again));
    }
}

fn the_same_cpu_run_twice_gives_the_same_bits_on_any_number_of_threads() {
    let dataset = digits::generate_with_counts(0, 1000, 200);
    let config = TrainingConfig { replicas: 2, ..small() };
    let job = Job { config: &config, dataset: &dataset };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&mut CpuBackend::<Blocked>::new(job).unwrap(), job).0)
    };
    assert_eq!(on(1), on(3));
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

/// Each replica goes by what it expects itself. The labels are partly wrong, so that there is something to find; an estimate needs some epochs
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

/// WebGPU's default limits are enough, and data in many shards trains to the same bits as data in one.
fn small_adapters_train_to_the_same_bits() {
    let dataset = digits::generate_with_counts(0, 1000, 300);
    let config = small();
    let defaults = wgpu::Limits::defaults();
    // 256 KiB hold 332 images of 197 words: four shards to learn from, one to test on.
    let sharded = wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::defaults() };
    for (plan, limits) in [(Plan::Fused, defaults.clone()), (Plan::Layered, defaults), (Plan::Layered, sharded)] {
        let (parameters, reports) = run_gpu(&config, &dataset, &ContextOptions::default(), plan);
        let options = ContextOptions { limits: Some(limits), ..ContextOptions::default() };
        let (same, same_reports) = run_gpu(&config, &dataset, &options, plan);
        assert_eq!(parameters, same);
        // Small buffers hold a smaller sample to look at the layers by.
        let without = |reports: &[Vec<ReplicaReport>]| {
            let plain =
                |report: &ReplicaReport| ReplicaReport { diagnosis: Diagnosis::default(), signs: vec![], ..report.clone() };
            numbers(reports).iter().map(|epoch| epoch.iter().map(plain).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(without(&reports), without(&same_reports));
    }
}

/// The numbers that bytes become, given as features, in one shard and in many: the same bits. And each by its own mean and deviation: those
/// of numbers that were standardised before.
fn features_train_as_the_same_numbers_from_bytes_do(device: Device) {
    let bytes = digits::generate_with_counts(0, 300, 100);
    let as_features = |change: &dyn Fn(usize, f32) -> f32| {
        let of = |images: &Images| {
            let number = |(place, &byte): (usize, &u8)| change(place % 784, (f64::from(byte) / 255.0) as f32);
            let features = Features::of(images.pixels.iter().enumerate().map(number).collect(), 784);
            Images { pixels: Vec::new(), features: Some(features), ..images.clone() }
        };
        Dataset { train: of(&bytes.train), test: of(&bytes.test), ..bytes.clone() }
    };
    let features = as_features(&|_, number| number);
    let trained = |config: &TrainingConfig, dataset: &Dataset| {
        let job = Job { config, dataset };
        let (parameters, reports) = run(open(device, None, job).as_mut(), job);
        (parameters, numbers(&reports))
    };
    for config in [small(), small_run_of(Recipe::Contrastive)] {
        assert_eq!(trained(&config, &features), trained(&config, &bytes));
    }
    let config = TrainingConfig { standardize: true, ..small() };
    let statistics = features.train.features.as_ref().unwrap().statistics().clone();
    let before =
        as_features(&|place, number| ((f64::from(number) - statistics.mean[place]) / statistics.deviation[place]) as f32);
    assert_eq!(trained(&config, &features), trained(&small(), &before));
    assert_eq!(ModelDescription::of(Job { config: &config, dataset: &features }).features, Some(statistics));
    if matches!(device, Device::Gpu) {
        // 83 rows of 785 words.
        let limits = wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::defaults() };
        let sharded = ContextOptions { limits: Some(limits), ..ContextOptions::default() };
        let one = |options| run_gpu(&config, &features, options, Plan::Layered).0;
        assert_eq!(one(&sharded), one(&ContextOptions::default()));
    }
}

/// What does not fit is refused by name, before anything is dispatched.
fn limits_are_named() {
    let dataset = digits::generate_with_counts(0, 300, 100);
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::defaults() };
    let options = ContextOptions { limits: Some(limits), ..ContextOptions::default() };
    let context = context(&options);
    let config = TrainingConfig { layers: vec![784, 64, 10], ..small() };
    let layered = GpuOptions::for_device(&context);
    let error = GpuBackend::new(Job { config: &config, dataset: &dataset }, context, layered).err().unwrap().to_string();
    assert!(error.contains("weights of layer 1") && error.contains("max_storage_buffer_binding_size = 262144"), "{error}");
}

/// Adam's steps are bounded by the learning rate, so huge rates make huge weights and then numbers that are none; the run says so.
fn divergence_is_an_error() {
    let dataset = digits::generate_with_counts(0, 300, 100);
    let config = TrainingConfig { adam: Adam { learning_rate: 1e37, ..Adam::default() }, ..small() };
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = CpuBackend::<Blocked>::new(job).unwrap();
    backend.set_parameters(&Parameters::initialize(&config.architecture().unwrap(), 0, 1)).unwrap();
    let error = train(job, &mut backend, &mut |_| Ok(Continue(()))).unwrap_err().to_string();
    assert!(error.contains("smaller --learning-rate"), "{error}");
}

/// Steps that reach past the data never get to a kernel, which would read past its buffers.
fn steps_beyond_the_data_are_refused(device: Device) {
    use ffcl_gpu::layout::Step;
    let dataset = digits::generate_with_counts(0, 100, 20);
    let config = small();
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = open(device, None, job);
    for (first_row, row_count) in [(71, 30), (0, 0), (0, 31), (usize::MAX, 30)] {
        let step = Step::new(first_row, row_count, &config.adam, 1);
        assert!(backend.train(&[step], &mut |_| Continue(())).is_err(), "{first_row} {row_count}");
    }
    assert!(backend.train(&[Step::new(70, 30, &config.adam, 1)], &mut |_| Continue(())).is_ok());
}

/// A data set built by hand is not trusted either.
fn labels_beyond_the_classes_are_refused() {
    let mut dataset = digits::generate_with_counts(0, 100, 20);
    dataset.test.labels[7] = 10;
    let config = small();
    let error = CpuBackend::<Blocked>::new(Job { config: &config, dataset: &dataset }).err().unwrap().to_string();
    assert!(error.contains("label 10 of test image 7"), "{error}");
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
        layers: vec![784, 12, 11, 10],
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

/// The outputs that predictions come from count the same right answers as the evaluation of an epoch.
fn probabilities_agree_with_the_accuracy(device: Device) {
    let dataset = digits::generate_with_counts(0, 300, 1100);
    let config = TrainingConfig { layers: vec![784, 12, 10], epochs: 1, replicas: 2, ..Recipe::Contrastive.config() };
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = open(device, None, job);
    backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
    let mut trainer = Trainer::new(job, backend.as_mut());
    trainer.epoch(&mut |_| Ok(Continue(()))).unwrap();
    let probabilities = trainer.probabilities().unwrap();
    for report in trainer.last() {
        for (model, accuracy) in [report.test_accuracy_a, report.test_accuracy_b].into_iter().enumerate() {
            let rows = probabilities[2 * report.replica + model].chunks_exact(10);
            let right = rows.zip(&dataset.test.labels).filter(|(row, label)| {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{sum}");
                let best = (1..10).fold(0, |best, class| if row[class] > row[best] { class } else { best });
                best == usize::from(**label)
            });
            assert_eq!(right.count() as f64 / 1100.0, accuracy);
        }
    }
}
