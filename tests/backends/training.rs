//! Whole training on each backend: against the CPU twins, against itself, and on the smallest adapters that WebGPU allows.

use crate::adapter::context;
use crate::harness::{Device, is_long};
use crate::runs::{few, numbers, open, run, run_gpu, small, small_run_of, smallest_tiles, trusting};
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{
    Augmentation, CosineOptions, Guide, HeadOptions, HiddenLoss, Method, OutputLoss, PrototypeOptions, Recipe, TrainingConfig,
    Trust, TrustRate,
};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::{Dataset, Features, Images, digits};
use ffcl_gpu::diagnosis::Diagnosis;
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::kernels::tiles::Tiles;
use ffcl_gpu::model::Architecture;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::program::{Plan, fusible};
use ffcl_gpu::train::{ReplicaReport, Trainer};
use ffcl_gpu::verify::steps;
use std::ops::ControlFlow::Continue;

tests! {
    cpu: the_fast_cpu_backend_agrees_with_the_twins, the_same_cpu_run_twice_gives_the_same_bits_on_any_number_of_threads;
    gpu: steps_agree_with_the_twins, the_same_run_twice_gives_the_same_bits, small_adapters_train_to_the_same_bits;
    both: features_train_as_the_same_numbers_from_bytes_do, probabilities_agree_with_the_accuracy,
        judges_say_what_an_evaluation_says_and_learn_from_other_images_alone;
}

fn steps_agree_with_the_twins() {
    let centred = || TrainingConfig { hidden_loss: HiddenLoss::Cosine(CosineOptions { centre: true }), ..small() };
    let prototypes = |guide, projection| {
        let options = PrototypeOptions { guide, projection, ..PrototypeOptions::default() };
        TrainingConfig { hidden_loss: HiddenLoss::Prototypes(options), ..small_run_of(Recipe::Contrastive) }
    };
    let shifted = Augmentation { shift: 1, ..Augmentation::default() };
    let turned = Augmentation { rotation: 10.0, elastic: 2.0, shared: true, ..Augmentation::default() };
    let variants = [
        (TrainingConfig { batch_size: 64, ..small() }, 100),
        (TrainingConfig { architecture: Architecture::dense(&[784, 10]), output_loss: OutputLoss::CrossEntropy, ..small() }, 10),
        (centred(), 10),
        (TrainingConfig { replicas: 2, normalize: true, ..centred() }, 10),
        (
            TrainingConfig {
                architecture: Architecture::dense(&[784, 65, 3, 129, 10]),
                standardize: true,
                batch_size: 1,
                ..small()
            },
            10,
        ),
        (small_run_of(Recipe::Contrastive), 10),
        (TrainingConfig { replicas: 2, ..prototypes(Guide::Own, 0) }, 10),
        (TrainingConfig { method: Method::FrozenPartner, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { method: Method::Independent, ..small() }, 10),
        (TrainingConfig { method: Method::Backprop, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { method: Method::Backprop, ..small() }, 10),
        (TrainingConfig { augmentation: shifted, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { augmentation: shifted, replicas: 2, ..small() }, 10),
        (prototypes(Guide::Own, 32), 10),
        // Here no share of wrong labels is set, so that all images are kept: of losses that all but tie, rounding would decide which is
        // the larger, and no bound holds for what follows. Which ones are left out is compared kernel by kernel, on equal losses.
        (TrainingConfig { trust: trusting(Trust::Partner, TrustRate::Auto), ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { trust: trusting(Trust::CoTeaching, TrustRate::Auto), hidden_loss: HiddenLoss::HEAD, ..small() }, 10),
        (TrainingConfig { trust: trusting(Trust::Own, TrustRate::Auto), method: Method::Backprop, ..small() }, 10),
        // Nor is any answer as sure as that, for the same reason.
        (TrainingConfig { few: few(50, 1.0), replicas: 2, ..small_run_of(Recipe::Contrastive) }, 10),
        (TrainingConfig { few: few(50, 1.0), method: Method::Backprop, ..small() }, 10),
        (
            TrainingConfig {
                hidden_loss: HiddenLoss::Head(HeadOptions { head_rate: 8.0 }),
                replicas: 2,
                ..small_run_of(Recipe::Contrastive)
            },
            10,
        ),
        (TrainingConfig { hidden_loss: HiddenLoss::HEAD, dropout: 0.3, ..small_run_of(Recipe::Contrastive) }, 10),
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
    for (number, (config, longest)) in variants.into_iter().enumerate() {
        // Kernel by kernel all tiles are compared; here each run meets some, of which a software adapter soon compiles the shaders, and once a
        // week all.
        let device = context(&smallest);
        let possible = Tiles::possible(device.subgroup_size);
        let one = possible[number % possible.len()];
        let one = if device.description.is_software() { smallest_tiles(one, &device) } else { one };
        let met = if is_long() { possible } else { vec![one] };
        for tiles in met {
            let fused = fusible(&config) && !config.architecture.hidden().any(|width| width == 129);
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

/// What networks say of the images that their replica leaves out is what they would say of them in a test set; and each replica learns as it
/// does where the images that it leaves out are others.
fn judges_say_what_an_evaluation_says_and_learn_from_other_images_alone(device: Device) {
    let mut dataset = digits::generate_with_counts(0, 300, 10);
    dataset.test = dataset.train.clone();
    dataset.fold(3, 3, 5).unwrap();
    let folds = dataset.folds.clone().unwrap();
    let augmentation = Augmentation { shift: 1, ..Augmentation::default() };
    let small = TrainingConfig {
        architecture: Architecture::dense(&[784, 12, 10]),
        epochs: 1,
        batch_size: 32,
        replicas: 3,
        ..Recipe::Contrastive.config()
    };
    let heads = TrainingConfig { hidden_loss: HiddenLoss::HEAD, augmentation, dropout: 0.3, ..small.clone() };
    let trusting = TrainingConfig { trust: trusting(Trust::Partner, TrustRate::Auto), ..small.clone() };
    for config in [small, heads, trusting] {
        let train = |dataset: &Dataset| {
            let job = Job { config: &config, dataset };
            let mut backend = open(device, None, job);
            let (parameters, _) = run(backend.as_mut(), job);
            (parameters, backend.judge().unwrap(), backend.probabilities().unwrap())
        };
        let (parameters, judged, evaluated) = train(&dataset);
        assert_eq!((judged.len(), judged[0].len()), (1, 6));
        for slot in 0..6 {
            let left_out = folds.left_out(slot / 2);
            assert_eq!(judged[0][slot].len(), 10 * left_out.len());
            for (&image, row) in left_out.iter().zip(judged[0][slot].chunks_exact(10)) {
                let expected = &evaluated[slot][10 * image as usize..][..10];
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                // A head says something else than the output.
                if config.hidden_loss != HiddenLoss::HEAD {
                    let apart = row.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
                    assert!(apart < 1e-5, "image {image} of slot {slot}: {apart}");
                }
            }
        }
        // The first replica does not see those that it leaves out.
        let mut other = dataset.clone();
        for &image in folds.left_out(0) {
            other.train.pixels[784 * image as usize..][..784].fill(9);
            other.train.labels[image as usize] = 3;
        }
        let (others, _, _) = train(&other);
        assert!(parameters.slots[..2] == others.slots[..2] && parameters.slots[2..] != others.slots[2..]);
    }
}

/// The outputs that predictions come from count the same right answers as the evaluation of an epoch.
fn probabilities_agree_with_the_accuracy(device: Device) {
    let dataset = digits::generate_with_counts(0, 300, 1100);
    let config = TrainingConfig {
        architecture: Architecture::dense(&[784, 12, 10]),
        epochs: 1,
        replicas: 2,
        ..Recipe::Contrastive.config()
    };
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
