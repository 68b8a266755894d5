//! What is written and read again: weights, checkpoints, data, texts.

use super::hold;
use ffcl_gpu::config::{HiddenLoss, PrototypeOptions, Recipe, TrainingConfig};
use ffcl_gpu::dataset::file::{self, FileOptions, Share};
use ffcl_gpu::dataset::input::Reading;
use ffcl_gpu::dataset::{ImageShape, Origin, idx, npz, numbered, table};
use ffcl_gpu::model::{Architecture, LayerParameters, Parameters};
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::weights::{self, Opened, Undescribed};
use ffcl_gpu::train::{Position, RunningEpoch, TrainingState};
use flate2::{Compression, write::GzEncoder};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use safetensors::SafeTensors;
use std::io::Write;
use std::path::Path;

/// Finite numbers of every size.
fn number() -> impl Strategy<Value = f32> {
    prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO
}

/// Networks of any shape.
fn parameters(widths: Vec<usize>, replicas: usize, projection: usize) -> impl Strategy<Value = Parameters> {
    let layer = |inputs: usize, outputs: usize, biased: bool| {
        let bias = if biased { vec(number(), outputs).boxed() } else { Just(vec![0.0; outputs]).boxed() };
        (vec(number(), inputs * outputs), bias).prop_map(|(weight, bias)| LayerParameters::dense(weight, bias))
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
        let architecture = Architecture::dense(&widths);
        let model = ModelDescription {
            architecture,
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
            input: None,
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
        let config = TrainingConfig {
            architecture: Architecture::dense(&widths),
            replicas,
            hidden_loss,
            batch_size: 2,
            ..Recipe::Contrastive.config()
        };
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
            architecture: config.architecture.clone(),
            replicas: config.replicas,
            normalize: config.normalize,
            mean: 0.0,
            deviation: 1.0,
            features: None,
            image: ImageShape::gray(1, config.architecture.inputs()),
            classes: numbered(config.architecture.classes()),
            dataset: "tiny".into(),
            origin: Origin::Known,
            held_out: None,
            input: None,
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
        let archive = arrays(count, &pixels, &labels, kinds);
        let size = pixels.len() / count;
        let row = |(label, image): (&u8, &[u8])| {
            let cells: Vec<String> = [&[*label], image].concat().iter().map(u8::to_string).collect();
            format!("{}\n", cells.join(","))
        };
        let text: String = labels.iter().zip(pixels.chunks(size)).map(row).collect();
        let share = Share { asked: None, default: 0.3 };
        let first = FileOptions { share, reading: Reading::First, ..FileOptions::default() };
        let second = FileOptions { share, label_column: Some("first".into()), header: Some(false), ..FileOptions::default() };
        for options in [first, second] {
            let of = |sets| file::dataset(Path::new("data"), sets, &options);
            let one = of(npz::parse(Path::new("data"), &archive).unwrap());
            let other = of(table::read(Path::new("data"), text.as_bytes(), &options).unwrap());
            match (one, other) {
                (Ok(one), Ok(other)) => {
                    assert_eq!((&one.train, &one.test), (&other.train, &other.test));
                    assert_eq!(one.train.count() + one.test.count(), count);
                    assert!(one.train.labels.iter().chain(&one.test.labels).all(|&label| usize::from(label) < one.classes()));
                }
                (one, other) => assert_eq!(one.unwrap_err().to_string(), other.unwrap_err().to_string()),
            }
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
