//! Runs of every shape, their programs, and their layers.

use super::{hold, variant};
use ffcl_gpu::Error;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{
    Adam, Augmentation, CosineOptions, FewLabels, Guide, HeadOptions, HiddenLoss, HiddenLossKind, LabelNoise, Method, OutputLoss,
    PrototypeOptions, Recipe, Schedule, TrainingConfig, TrustOptions,
};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::{Dataset, ImageShape, Images, numbered};
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::kernels::{Pack, Tensor};
use ffcl_gpu::layout::Linear;
use ffcl_gpu::model::{Architecture, LayerParameters, Map};
use ffcl_gpu::program::{Plan, Programs};
use ffcl_gpu::train::train;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

/// Images that can be learnt from, and a run that may fit them or not.
fn run() -> impl Strategy<Value = (Dataset, TrainingConfig)> {
    let data = (1usize..=4, 1usize..=3, prop_oneof![Just(1usize), Just(3)], 1usize..=5, 1usize..=14, 1usize..=6, any::<u64>());
    let dataset = data.prop_map(|(height, width, channels, classes, train, test, seed)| {
        let shape = ImageShape { channels, height, width };
        let byte = move |index: usize| (seed.wrapping_add(index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        let images = |count: usize| Images {
            pixels: (0..count * shape.pixels()).map(byte).collect(),
            labels: (0..count).map(|index| byte(index) % classes as u8).collect(),
            shape,
            features: None,
        };
        let (train, test) = (images(train), images(test));
        Dataset::of("tiny", train, test, numbered(classes))
    });
    let mostly = |usual: bool| prop::bool::weighted(if usual { 0.97 } else { 0.03 });
    let shape = (vec(1usize..=12, 0..4), mostly(true), mostly(true), mostly(false));
    let size = (prop_oneof![20 => 1usize..=8, 1 => Just(0), 1 => Just(1 << 25)], prop_oneof![20 => 1usize..=3, 1 => Just(0)]);
    let length = (prop_oneof![20 => 1u32..=4, 1 => Just(0)], option::weighted(0.3, 0u64..=6), any::<u64>(), any::<bool>());
    let method = (
        variant::<Recipe>(),
        variant::<Method>(),
        variant::<OutputLoss>(),
        variant::<HiddenLossKind>(),
        variant::<Guide>(),
        variant::<Schedule>(),
    );
    let flags = (prop::bool::weighted(0.3), any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.5));
    let numbers = (
        prop_oneof![10 => 0usize..=5, 1 => Just(1 << 20)],
        prop_oneof![10 => select(vec![1e-3, 0.1, 1e3]), 1 => select(vec![0.0, -1.0, 1e9, f64::NAN])],
        prop_oneof![6 => Just(0.0), 4 => 0.0..1.0, 1 => select(vec![1.0, f64::NAN])],
        prop_oneof![10 => select(vec![1e-4, 1e-2, 10.0]), 1 => select(vec![1e30, 0.0, -1.0, 1e-60, f64::NAN])],
        prop_oneof![9 => select(vec![1.0, 4.0, 0.5]), 1 => select(vec![0.0, -1.0, 1e9, f64::NAN])],
    );
    let moves = (
        prop_oneof![5 => 0u32..=3, 1 => select(vec![64, 65])],
        prop_oneof![5 => 0.0..=180.0, 1 => select(vec![-1.0, f64::NAN])],
        prop_oneof![5 => 0.0..=0.5, 1 => select(vec![0.6, f64::NAN])],
    );
    let options = (shape, size, length, method, flags, numbers, moves);
    (dataset, options).prop_map(|(dataset, (shape, size, length, method, flags, numbers, moves))| {
        let (hidden, input_fits, classes_fit, empty) = shape;
        let (recipe, method, output_loss, hidden_loss, guide, schedule) = method;
        let (centre, normalize, standardize, shared, moving) = flags;
        let first = dataset.train.pixels_per_image() + usize::from(!input_fits);
        let last = dataset.classes() + usize::from(!classes_fit);
        let layers = if empty { hidden } else { [vec![first], hidden, vec![last]].concat() };
        let recipe = recipe.config();
        let (projection, temperature, head_rate) = (numbers.0, numbers.1, numbers.4);
        let prototypes = PrototypeOptions { guide, projection, temperature };
        let hidden_loss = HiddenLoss::new(hidden_loss, CosineOptions { centre }, prototypes, HeadOptions { head_rate });
        let config = TrainingConfig {
            architecture: Architecture::dense(&layers),
            epochs: length.0,
            batch_size: size.0,
            adam: Adam { learning_rate: numbers.3, ..recipe.adam },
            schedule,
            seed: length.2,
            replicas: size.1,
            shuffle: length.3,
            max_steps: length.1,
            method,
            output_loss,
            hidden_loss,
            normalize,
            dropout: if shared { numbers.2 } else { 0.0 },
            augmentation: if moving {
                Augmentation { shift: moves.0, rotation: moves.1, scale: moves.2, elastic: moves.2, flip: centre, shared }
            } else {
                Augmentation::default()
            },
            standardize,
            trust: TrustOptions::default(),
            few: FewLabels::default(),
            label_noise: LabelNoise::None,
        };
        (dataset, config)
    })
}

#[test]
fn every_run_is_refused_or_trained() {
    let trained = std::cell::Cell::new(0);
    hold(3000, run(), |(dataset, config)| {
        let job = Job { config: &config, dataset: &dataset };
        let parameters = config.initial_parameters();
        let backend = CpuBackend::<Blocked>::new(job);
        let (parameters, mut backend) = match (parameters, backend) {
            (Ok(parameters), Ok(backend)) => (parameters, backend),
            // What is refused without the data is refused with it.
            (_, Err(Error::Configuration(_))) => return,
            (parameters, backend) => panic!("{:?}, {:?}", parameters.err(), backend.err()),
        };
        backend.set_parameters(&parameters).unwrap();
        match train(job, &mut backend, &mut |_| Ok(ControlFlow::Continue(()))) {
            Ok(outcome) => {
                let shares = |report: &ffcl_gpu::train::ReplicaReport| {
                    [report.train_accuracy, report.test_accuracy_a, report.test_accuracy_b, report.test_accuracy_ensemble]
                };
                assert_eq!(outcome.last.len(), config.replicas);
                assert!(outcome.last.iter().flat_map(shares).all(|share| (0.0..=1.0).contains(&share)));
                assert!(outcome.steps > 0 && outcome.parameters.find_non_finite().is_none());
                trained.set(trained.get() + 1);
            }
            Err(Error::NotFinite(_)) => {}
            Err(error) => panic!("{error}"),
        }
        for slot in backend.probabilities().unwrap() {
            assert_eq!(slot.len(), dataset.test.count() * dataset.classes());
        }
    });
    // Else this would say little.
    assert!(trained.get() > 100, "{}", trained.get());
}

#[test]
fn tensors_that_share_a_buffer_do_not_touch_each_other() {
    let shape = (vec(1usize..=40, 2..6), 1usize..=9, 1usize..=4, select(vec![0u32, 1]));
    hold(300, shape, |(layers, batch_size, replicas, shift)| {
        let augmentation = Augmentation { shift, ..Augmentation::default() };
        let config = TrainingConfig {
            architecture: Architecture::dense(&layers),
            batch_size,
            replicas,
            augmentation,
            ..Recipe::Paper.config()
        };
        let programs = Programs::on_blank_images(&config, Plan::Fused).unwrap();
        let mut packs: HashMap<Pack, Vec<Range<usize>>> = HashMap::new();
        for (index, spec) in (0..).zip(&programs.tensors) {
            if let Some((pack, first)) = spec.pack {
                // Bindings to parts of buffers begin at multiples of 256 bytes.
                assert_eq!(first % 64, 0);
                packs.entry(pack).or_default().push(first..first + spec.words * programs.copies(Tensor(index)));
            }
        }
        assert!(packs.len() >= 5, "{packs:?}");
        for (pack, mut regions) in packs {
            regions.sort_by_key(|region| region.start);
            assert!(regions.windows(2).all(|pair| pair[0].end <= pair[1].start), "{pack:?} {regions:?}");
            assert_eq!(regions.last().map(|region| region.end), Some(programs.pack_words(pack)));
        }
    });
}

#[test]
fn every_layer_keeps_its_numbers_in_its_rows() {
    hold(150, (1usize..=70, 1usize..=70, 1usize..=9), |(inputs, outputs, batch_size)| {
        let layer = Linear::new(inputs, outputs, batch_size);
        assert!(layer.input_stride() >= inputs && layer.output_stride() >= outputs);
        assert!(layer.weight_rows() > layer.input_stride());
        let number = |index: usize| 1.0 + index as f32;
        let bias = (0..outputs).map(|output| -number(output)).collect();
        let parameters = LayerParameters::dense((0..inputs * outputs).map(number).collect(), bias);
        let packed = layer.pack(Map::vector(inputs), &parameters);
        assert_eq!(packed.len(), layer.weight_len());
        assert_eq!(packed.iter().filter(|&&value| value != 0.0).count(), parameters.number_count());
        assert_eq!(layer.unpack(Map::vector(inputs), &packed), parameters);
    });
}
