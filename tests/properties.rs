//! What must hold for every run and every shape, tried on some hundred that nobody thought of: always the same ones.

use clap::ValueEnum;
use ffcl_gpu::Error;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{
    Adam, Augmentation, CosineOptions, Drawn, Guide, HiddenLoss, HiddenLossKind, LabelNoise, Method, OutputLoss,
    PrototypeOptions, Recipe, Representation, RunOptions, Schedule, TrainingConfig, Trust, TrustOptions, TrustRate, Widths,
};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::file::{self, Share};
use ffcl_gpu::dataset::{Dataset, ImageShape, Images, Origin, idx, npz, numbered, table};
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::kernels::{Pack, Tensor};
use ffcl_gpu::layout::Linear;
use ffcl_gpu::model::{LayerParameters, Parameters};
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::weights::{self, Opened, Undescribed};
use ffcl_gpu::program::{Plan, Programs};
use ffcl_gpu::train::{Position, RunningEpoch, TrainingState, train};
use flate2::{Compression, write::GzEncoder};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::fmt::Debug;
use std::io::Write;
use std::ops::{ControlFlow, Range};
use std::path::Path;

/// Tries a property on as many values, the same in every run.
fn hold<T: Debug>(cases: u32, values: impl Strategy<Value = T>, property: impl Fn(T)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tried = runner.run(&values, |value| {
        property(value);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// One of an enumeration's values.
fn variant<T: ValueEnum + Clone + Debug + 'static>() -> impl Strategy<Value = T> {
    select(T::value_variants())
}

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
        let class_names = numbered(classes);
        Dataset { name: "tiny".into(), train, test, class_names, statistics: None, origin: Origin::Known, held_out: None }
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
        variant::<Representation>(),
        variant::<Guide>(),
        variant::<Schedule>(),
    );
    let flags = (prop::bool::weighted(0.3), any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.5));
    let numbers = (
        prop_oneof![10 => 0usize..=5, 1 => Just(1 << 20)],
        prop_oneof![10 => select(vec![1e-3, 0.1, 1e3]), 1 => select(vec![0.0, -1.0, 1e9, f64::NAN])],
        prop_oneof![6 => Just(0.0), 4 => 0.0..1.0, 1 => select(vec![1.0, f64::NAN])],
        prop_oneof![10 => select(vec![1e-4, 1e-2, 10.0]), 1 => select(vec![1e30, 0.0, -1.0, 1e-60, f64::NAN])],
    );
    let moves = (
        prop_oneof![5 => 0u32..=3, 1 => select(vec![64, 65])],
        prop_oneof![5 => 0.0..=180.0, 1 => select(vec![-1.0, f64::NAN])],
        prop_oneof![5 => 0.0..=0.5, 1 => select(vec![0.6, f64::NAN])],
    );
    let options = (shape, size, length, method, flags, numbers, moves);
    (dataset, options).prop_map(|(dataset, (shape, size, length, method, flags, numbers, moves))| {
        let (hidden, input_fits, classes_fit, empty) = shape;
        let (recipe, method, output_loss, hidden_loss, representation, guide, schedule) = method;
        let (centre, normalize, standardize, shared, moving) = flags;
        let first = dataset.train.pixels_per_image() + usize::from(!input_fits);
        let last = dataset.classes() + usize::from(!classes_fit);
        let layers = if empty { hidden } else { [vec![first], hidden, vec![last]].concat() };
        let recipe = recipe.config();
        let (projection, temperature, mutual) = (numbers.0, numbers.1, numbers.2);
        let prototypes = PrototypeOptions { guide, projection, temperature, mutual };
        let hidden_loss = HiddenLoss::new(hidden_loss, CosineOptions { representation, centre }, prototypes);
        let config = TrainingConfig {
            layers,
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
                Augmentation { shift: moves.0, rotation: moves.1, scale: moves.2, flip: centre, shared }
            } else {
                Augmentation::default()
            },
            standardize,
            trust: TrustOptions::default(),
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
        let config = TrainingConfig { layers, batch_size, replicas, augmentation, ..Recipe::Paper.config() };
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
        let parameters = LayerParameters {
            weight: (0..inputs * outputs).map(number).collect(),
            bias: (0..outputs).map(|output| -number(output)).collect(),
        };
        let packed = layer.pack(&parameters);
        assert_eq!(packed.len(), layer.weight_len());
        assert_eq!(packed.iter().filter(|&&value| value != 0.0).count(), parameters.number_count());
        assert_eq!(layer.unpack(&packed), parameters);
    });
}

/// Finite numbers of every size.
fn number() -> impl Strategy<Value = f32> {
    prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO
}

/// Networks of any shape.
fn parameters(widths: Vec<usize>, replicas: usize, projection: usize) -> impl Strategy<Value = Parameters> {
    let layer = |inputs: usize, outputs: usize, biased: bool| {
        let bias = if biased { vec(number(), outputs).boxed() } else { Just(vec![0.0; outputs]).boxed() };
        (vec(number(), inputs * outputs), bias).prop_map(|(weight, bias)| LayerParameters { weight, bias })
    };
    let network: Vec<_> = widths.windows(2).map(|pair| layer(pair[0], pair[1], true)).collect();
    let hidden = if projection > 0 { &widths[1..widths.len() - 1] } else { &[] };
    let projections: Vec<_> = hidden.iter().map(|&width| layer(width, projection, false)).collect();
    (vec(network, 2 * replicas), vec(projections, 2 * replicas))
        .prop_map(|(slots, projections)| Parameters { slots, projections })
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

#[test]
fn weights_survive_their_file() {
    let shapes = (vec(1usize..=6, 2..5), 1usize..=2);
    let models = shapes.prop_flat_map(|(widths, replicas)| {
        let classes = vec(text(), widths[widths.len() - 1]);
        let origin =
            prop_oneof![Just(Origin::Known), option::of(0.0..1.0).prop_map(|test_fraction| Origin::Folder { test_fraction })];
        let held_out = option::of(1usize..9);
        let rest = (any::<bool>(), prop::num::f64::NORMAL, 1e-300..1e300, classes, text(), origin, held_out);
        (Just(widths.clone()), parameters(widths, replicas, 0), rest)
    });
    hold(150, models, |(widths, parameters, (normalize, mean, deviation, classes, dataset, origin, held_out))| {
        let replicas = parameters.slots.len() / 2;
        let image = ImageShape::gray(1, widths[0]);
        let layers = widths;
        let model = ModelDescription {
            layers,
            replicas,
            normalize,
            mean,
            deviation,
            features: None,
            image,
            classes,
            dataset,
            origin,
            held_out,
        };
        let bytes = weights::to_bytes(Path::new("model"), &parameters, &model).unwrap();
        let parse = |bytes: &[u8]| weights::parse(Path::new("model"), bytes, Undescribed::Refuse);
        let whole = Opened { parameters, model, converted: None };
        assert_eq!(parse(&bytes).unwrap(), whole);
        // Loaded and saved again by who knows nothing of metadata: the same model.
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let again = safetensors::serialize(tensors.tensors(), None).unwrap();
        assert_eq!(parse(&again).unwrap(), whole);
        for length in [0, 7, bytes.len() / 2, bytes.len() - 1] {
            assert!(parse(&bytes[..length]).is_err());
        }
    });
}

#[test]
fn checkpoints_survive_their_file() {
    let shapes = (1usize..=5, vec(1usize..=5, 0..3), 1usize..=3, 1usize..=2, 0usize..=3);
    let states = shapes.prop_flat_map(|(input, hidden, classes, replicas, projection)| {
        let widths = [vec![input], hidden, vec![classes]].concat();
        let hidden_loss = HiddenLoss::Prototypes(PrototypeOptions { projection, ..PrototypeOptions::default() });
        let config =
            TrainingConfig { layers: widths.clone(), replicas, hidden_loss, batch_size: 2, ..Recipe::Contrastive.config() };
        let all = || parameters(widths.clone(), replicas, projection);
        let sums = vec(number(), 2 * replicas * widths.len() * 2);
        let position = (1u32..=9, 0usize..=4, prop::num::f64::NORMAL);
        (Just(config), position, [all(), all(), all()], parameters(widths.clone(), replicas, 0), sums, any::<u8>())
    });
    hold(80, states, |(config, (epoch, epoch_steps, epoch_seconds), [parameters, first, second], start, row_sums, place)| {
        const STEPS: usize = 4;
        let steps = u64::from(epoch - 1) * STEPS as u64 + epoch_steps as u64;
        let position = Position { epoch, epoch_steps, steps, epoch_seconds };
        let running = position.is_inside_epoch(STEPS).then_some(RunningEpoch { start, row_sums });
        let state = TrainingState { position, parameters, first_moments: first, second_moments: second, running, trust: None };
        let model = ModelDescription {
            layers: config.layers.clone(),
            replicas: config.replicas,
            normalize: config.normalize,
            mean: 0.0,
            deviation: 1.0,
            features: None,
            image: ImageShape::gray(1, config.layers[0]),
            classes: numbered(config.layers[config.layers.len() - 1]),
            dataset: "tiny".into(),
            origin: Origin::Known,
            held_out: None,
        };
        let (of, name) = (Identity { model: &model, seed: config.seed, data: "data" }, Path::new("checkpoint"));
        let mut bytes = checkpoint::to_bytes(name, &state, of).unwrap();
        assert_eq!(checkpoint::parse(name, &bytes, &config, of, STEPS).unwrap(), state);
        // A position that no run comes to.
        let impossible = TrainingState { position: Position { steps: steps + 1, ..position }, ..state };
        let other = checkpoint::to_bytes(name, &impossible, of).unwrap();
        assert!(checkpoint::parse(name, &other, &config, of, STEPS).unwrap_err().to_string().contains("another run"));
        // One bit of the tensors, which stand at the end.
        let last = bytes.len() - 1 - usize::from(place) % 16;
        bytes[last] ^= 1;
        assert!(checkpoint::parse(name, &bytes, &config, of, STEPS).unwrap_err().to_string().contains("checksum"));
    });
}

#[test]
fn idx_files_are_read_whole_or_refused() {
    let images = (1usize..=6, 1usize..=6, 1usize..=6).prop_flat_map(|(count, rows, columns)| {
        (Just([count, rows, columns]), vec(any::<u8>(), count * rows * columns), any::<bool>(), any::<usize>())
    });
    hold(300, images, |(sizes, pixels, compressed, cut)| {
        let header = sizes.iter().flat_map(|&size| (size as u32).to_be_bytes());
        let file: Vec<u8> = [0, 0, 8, 3].into_iter().chain(header).chain(pixels.iter().copied()).collect();
        let packed = |file: &[u8]| {
            if !compressed {
                return file.to_vec();
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(file).unwrap();
            encoder.finish().unwrap()
        };
        let read = |file: &[u8]| idx::parse_images(Path::new("images"), &packed(file));
        assert_eq!(read(&file).unwrap(), (sizes[1], sizes[2], pixels));
        assert!(read(&file[..cut % file.len()]).is_err());
        assert!(read(&[&file[..], &[0]].concat()).is_err());
        let whole = packed(&file);
        assert!(idx::parse_images(Path::new("images"), &whole[..cut % whole.len()]).is_err());
    });
}

/// Every option given or not.
fn options() -> impl Strategy<Value = RunOptions> {
    let finite = || prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let widths = prop_oneof![
        vec(any::<usize>(), 0..4).prop_map(Widths::from),
        vec(any::<usize>(), 0..4).prop_map(|hidden| Widths::around(&hidden))
    ];
    let data = (
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(finite()),
        option::of(finite()),
        option::of(any::<bool>()),
        option::of(widths),
        option::of(vec(any::<usize>(), 0..4)),
    );
    let method = (
        option::of(variant()),
        option::of(variant()),
        option::of(variant()),
        option::of(variant()),
        option::of(variant()),
        option::of(any::<bool>()),
        option::of(variant()),
    );
    // Mostly in range.
    let numbers = (
        option::of(prop_oneof![6 => 0usize..=64, 1 => any::<usize>()]),
        option::of(prop_oneof![6 => 1e-3..=1e3, 1 => finite()]),
        option::of(prop_oneof![6 => 0.0..1.0, 1 => finite()]),
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(any::<usize>()),
        option::of(finite()),
        option::of(variant()),
    );
    let noise = prop_oneof![
        Just(LabelNoise::None),
        (0.0..=1.0, any::<u64>()).prop_map(|(share, seed)| LabelNoise::Pair(Drawn { share, seed })),
        (0.0..=1.0, any::<u64>()).prop_map(|(share, seed)| LabelNoise::Sym(Drawn { share, seed })),
        Just(LabelNoise::File("labels.txt".into())),
    ];
    let rate = prop_oneof![Just(TrustRate::Auto), finite().prop_map(TrustRate::Given)];
    let trust = (option::of(noise), option::of(variant::<Trust>()), option::of(rate), option::of(any::<u32>()));
    (data, method, numbers, trust).prop_map(|(data, method, numbers, trust)| {
        let (label_noise, trust, trust_rate, trust_ramp) = trust;
        let (standardize, shift, rotation, scale, shared_view, layers, hidden) = data;
        let (recipe, method, output_loss, hidden_loss, representation, centre, guide) = method;
        let (projection, temperature, mutual, normalize, epochs, batch_size, learning_rate, schedule) = numbers;
        RunOptions {
            standardize,
            shift,
            rotation,
            scale,
            flip: centre,
            shared_view,
            layers,
            hidden,
            recipe,
            method,
            output_loss,
            hidden_loss,
            representation,
            centre,
            guide,
            projection,
            temperature,
            mutual,
            normalize,
            dropout: scale,
            epochs,
            batch_size,
            learning_rate,
            schedule,
            label_noise,
            trust,
            trust_rate,
            trust_ramp,
        }
    })
}

#[test]
fn options_survive_their_file_and_what_they_come_to_repeats_itself() {
    let accepted = std::cell::Cell::new(0);
    hold(400, options(), |options| {
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<RunOptions>(&json).unwrap(), options);
        assert_eq!(options.over(&RunOptions::default()), options);
        let config = match options.fitted_to(12, 3) {
            Ok(config) => config,
            Err(Error::Configuration(message)) => return assert!(!message.contains('\n'), "{message}"),
            Err(error) => panic!("{error}"),
        };
        accepted.set(accepted.get() + 1);
        assert_eq!(RunOptions::of(&config).fitted_to(12, 3).unwrap(), config);
        assert_eq!(options.complete(12, 3).fitted_to(12, 3).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainingConfig>(&json).unwrap(), config);
        match config.architecture() {
            Ok(architecture) => assert_eq!(architecture.widths(), config.layers),
            Err(Error::Configuration(message)) => assert!(!message.contains('\n'), "{message}"),
            Err(error) => panic!("{error}"),
        }
    });
    // Else this would say little.
    assert!(accepted.get() > 50, "{}", accepted.get());
}

/// An `.npz` archive of images and labels, each array of a type of its own.
fn arrays(count: usize, pixels: &[u8], labels: &[u8], kinds: [&str; 2]) -> Vec<u8> {
    let array = |kind: &str, shape: String, bytes: &[u8]| {
        let numbers: Vec<u8> = match kind {
            "|u1" => bytes.to_vec(),
            "<i8" => bytes.iter().flat_map(|&byte| i64::from(byte).to_le_bytes()).collect(),
            ">i2" => bytes.iter().flat_map(|&byte| i16::from(byte).to_be_bytes()).collect(),
            _ => bytes.iter().flat_map(|&byte| f64::from(byte).to_le_bytes()).collect(),
        };
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &numbers].concat()
    };
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let size = pixels.len() / count;
    for (name, bytes) in [
        ("x.npy", array(kinds[0], format!("({count}, {size})"), pixels)),
        ("y.npy", array(kinds[1], format!("({count},)"), labels)),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn arrays_and_tables_are_the_same_data() {
    let kinds = select(vec!["|u1", "<i8", ">i2", "<f8"]);
    let data = (2usize..12, 1usize..10).prop_flat_map(|(count, size)| (vec(any::<u8>(), count * size), vec(0u8..5, count)));
    hold(100, (data, [kinds.clone(), kinds], any::<u16>()), |((mut pixels, labels), kinds, cut)| {
        let count = labels.len();
        // Else fractions could be meant.
        pixels[0] = 2;
        let share = Share { asked: None, default: 0.3 };
        let of = |sets| file::dataset(Path::new("data"), sets, share, false);
        let archive = arrays(count, &pixels, &labels, kinds);
        let one = of(npz::parse(Path::new("data"), &archive).unwrap());
        let size = pixels.len() / count;
        let row = |(label, image): (&u8, &[u8])| {
            let cells: Vec<String> = [&[*label], image].concat().iter().map(u8::to_string).collect();
            format!("{}\n", cells.join(","))
        };
        let text: String = labels.iter().zip(pixels.chunks(size)).map(row).collect();
        let other = of(table::read(Path::new("data"), text.as_bytes(), None).unwrap());
        match (one, other) {
            (Ok(one), Ok(other)) => {
                assert_eq!((&one.train, &one.test), (&other.train, &other.test));
                assert_eq!(one.train.count() + one.test.count(), count);
                assert!(one.train.labels.iter().chain(&one.test.labels).all(|&label| usize::from(label) < one.classes()));
            }
            (one, other) => assert_eq!(one.unwrap_err().to_string(), other.unwrap_err().to_string()),
        }
        assert!(npz::parse(Path::new("data"), &archive[..usize::from(cut) % archive.len()]).is_err());
    });
}

#[test]
fn every_text_is_read_in_every_encoding() {
    hold(200, text(), |text| {
        let wide = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        let marked = [
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", &wide(u16::to_le_bytes)[..]].concat(),
            [b"\xfe\xff", &wide(u16::to_be_bytes)[..]].concat(),
        ];
        for bytes in marked {
            assert_eq!(ffcl_gpu::text::decode(&bytes).as_deref(), Some(&text[..]));
        }
    });
}
