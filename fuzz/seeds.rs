//! Small good inputs for each fuzz target, made by the program's own writers, from which mutations begin.

use super::inputs::{gzip, idx_file, npz};
use ffcl_gpu::config::{Recipe, RunOptions};
use ffcl_gpu::dataset::{ImageShape, Origin, numbered};
use ffcl_gpu::diagnosis::Diagnosis;
use ffcl_gpu::evaluation::{Answers, Evaluation};
use ffcl_gpu::model::{Architecture, Parameters};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::weights;
use ffcl_gpu::report::TestAnswers;
use ffcl_gpu::study::{grid::CellKey, results::Curve, results::SeedResult};
use ffcl_gpu::train::ReplicaReport;
use image::{DynamicImage, ImageFormat};
use std::io::{Cursor, Write};
use std::path::Path;

/// The seeds of a target.
pub fn of(target: &str) -> Seeds {
    match target {
        "archive" => archives(),
        "checkpoint" => checkpoints(),
        "cifar" => vec![("record", cifar(1)), ("last-label", cifar(9))],
        "idx" => idx(),
        "image" => images(),
        "npz" => arrays(),
        "options" => options(),
        "report" => reports(),
        "study" => studies(),
        "table" => vec![("kaggle", b"label,pixel0,pixel1\n3,0,255\n0,1,2\n".to_vec()), ("bare", b"1,7\n0,8.0\n".to_vec())],
        "text" => vec![("mark", b"\xef\xbb\xbfepochs = 1\n".to_vec()), ("wide", b"\xff\xfea\0=\x001\0".to_vec())],
        "weights" => models(),
        _ => Vec::new(),
    }
}

/// Names and bytes.
pub type Seeds = Vec<(&'static str, Vec<u8>)>;

/// Bytes without any sense.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u32).map(|index| (index.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
}

fn behind(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

fn idx() -> Seeds {
    let (images, labels) = (idx_file(&[3, 5, 4], &noise(60)), idx_file(&[3], &[0, 1, 2]));
    vec![
        ("images", behind(0, &images)),
        ("images-compressed-here", behind(2, &images)),
        ("images-gzip", behind(0, &gzip(&images))),
        ("labels", behind(1, &labels)),
        ("labels-compressed-here", behind(3, &labels)),
    ]
}

/// Two arrays, the first one's length in front; and an archive of both.
fn arrays() -> Seeds {
    let array = |kind: &str, shape: &str, data: &[u8]| {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    };
    let pair = |images: &[u8], labels: &[u8]| {
        let length = (images.len() as u16).to_le_bytes();
        behind(1, &[&length, images, labels].concat())
    };
    let (images, labels) = (array("|u1", "(3, 2, 2)", &noise(12)), array("<i8", "(3,)", &[0; 24]));
    let floats: Vec<u8> = (0..12u8).flat_map(|number| (f32::from(number) / 16.0).to_le_bytes()).collect();
    let fractions = array("<f4", "(3, 4)", &floats);
    vec![
        ("archive", behind(0, &npz(&images, &labels))),
        ("bytes", pair(&images, &labels)),
        ("colours", pair(&array("|u1", "(2, 1, 2, 3)", &noise(12)), &array("|u1", "(2, 1)", &[1, 0]))),
        ("fractions", pair(&fractions, &labels)),
    ]
}

fn cifar(label: u8) -> Vec<u8> {
    behind(label, &noise(3072))
}

fn archives() -> Seeds {
    let names = ["in/a.bin", "in/b.bin", "other"];
    let mut tar = tar::Builder::new(Vec::new());
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &b"abc"[..]).unwrap();
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"abc").unwrap();
    }
    // Without the zeros at the end, which only make it long.
    let tar = tar.into_inner().unwrap();
    let tar = &tar[..6 * 512];
    vec![("tar", behind(0, tar)), ("tar-gz", behind(1, &gzip(tar))), ("zip", behind(2, &zip.finish().unwrap().into_inner()))]
}

/// What the target makes of them is written there.
fn checkpoints() -> Seeds {
    let numbers = noise(120);
    let position =
        |kind: u8, epoch: u8, epoch_steps: u8, steps: u8| [&[kind, epoch, epoch_steps, steps, 64, 0][..], &numbers].concat();
    vec![
        ("between-epochs", position(64 | 1, 2, 2, 4)),
        ("inside-an-epoch", position(1, 2, 1, 3)),
        ("other-shapes", position(1 | 2 | 4 | 8 | 16, 2, 1, 3)),
        ("other-history", position(1 | 32 | 128, 2, 1, 3)),
    ]
}

fn images() -> Seeds {
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_raw(9, 7, noise(63)).unwrap());
    let colours = DynamicImage::ImageRgba8(image::RgbaImage::from_raw(5, 4, noise(80)).unwrap());
    let file = |image: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    vec![
        ("bmp", file(&colours, ImageFormat::Bmp)),
        ("gif", file(&colours, ImageFormat::Gif)),
        ("jpeg", file(&grey, ImageFormat::Jpeg)),
        ("png", file(&colours, ImageFormat::Png)),
        ("png-grey", file(&grey, ImageFormat::Png)),
        ("pnm", file(&grey, ImageFormat::Pnm)),
        ("tiff", file(&colours, ImageFormat::Tiff)),
        ("webp", file(&colours, ImageFormat::WebP)),
    ]
}

fn model(replicas: usize, architecture: &Architecture) -> (Parameters, ModelDescription) {
    let description = ModelDescription {
        architecture: architecture.clone(),
        replicas,
        normalize: true,
        mean: 0.25,
        deviation: 0.5,
        features: None,
        image: ImageShape::gray(2, 2),
        classes: numbered(2),
        dataset: "digits".into(),
        origin: Origin::Known,
        held_out: None,
        input: None,
    };
    (Parameters::initialize(architecture, 1, replicas), description)
}

fn models() -> Seeds {
    let name = Path::new("seed");
    let [one, two] = [1, 2].map(|replicas| {
        let architecture = Architecture::dense(&[4, 3, 2]);
        let (parameters, description) = model(replicas, &architecture);
        weights::to_bytes(name, &parameters, &description).unwrap()
    });
    let foreign = r#"{"r0.a.layers.0.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"r0.a.layers.0.bias":{"dtype":"F32","shape":[2],"data_offsets":[32,40]},"r0.b.layers.0.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[40,72]},"r0.b.layers.0.bias":{"dtype":"F32","shape":[2],"data_offsets":[72,80]}}"#;
    vec![
        ("file", behind(0, &one)),
        ("foreign", behind(1, foreign.as_bytes())),
        ("replicas", behind(0, &two)),
        ("text", behind(1, &one[8..])),
    ]
}

fn options() -> Seeds {
    let every = toml::to_string(&RunOptions::of(&Recipe::Contrastive.config())).unwrap();
    let some = "recipe = 'paper'\nhidden = [5, 4]\ncentre = true\nmethod = 'ffcl3'\nepochs = 0\n";
    let record = serde_json::json!({ "version": "0", "options": RunOptions::of(&Recipe::Ffcl3.config()), "dataset": "digits" });
    vec![("every", every.into()), ("some", some.into()), ("record", record.to_string().into())]
}

fn line(epoch: u32, replica: usize) -> Vec<u8> {
    let value = f64::from(epoch) / 8.0;
    let report = ReplicaReport {
        epoch,
        replica,
        layer_losses: vec![value, value],
        train_accuracy: value,
        test_accuracy_a: value,
        test_accuracy_b: value,
        test_accuracy_ensemble: value,
        diagnosis: Diagnosis {
            alignment: vec![value],
            participation_ratio: vec![1.0 + value],
            dead_units: vec![0.0],
            weight_norm: vec![value; 2],
            update_norm: vec![value; 2],
            divergence: vec![value; 2],
        },
        signs: vec![ffcl_gpu::diagnosis::Sign::Collapse],
        trust: None,
        seconds: 1.5,
        samples_per_second: 100.0,
    };
    [serde_json::to_vec(&report).unwrap(), b"\n".to_vec()].concat()
}

fn reports() -> Seeds {
    let config = serde_json::json!({
        "version": "0", "options": { "layers": [4, 3, 2], "epochs": 2, "seed": 1, "method": "local" }, "dataset": "digits",
        "train_images": 10, "test_images": 4, "device": { "name": "a device", "backend": "cpu" },
    });
    let config = config.to_string().into_bytes();
    let answers = Answers::new(&[vec![0.9, 0.1, 0.2, 0.8], vec![0.7, 0.3, 0.4, 0.6]], 2);
    let answers = TestAnswers {
        evaluation: Evaluation::new(&answers, &[1, 1]).unwrap(),
        classes: numbered(2),
        image: ImageShape::gray(2, 2),
        mistakes: vec!["AQIDBA==".into()],
    };
    let answers = serde_json::to_vec(&answers).unwrap();
    let one = [&config[..], &[0], &line(1, 0)].concat();
    let lines = [line(1, 0), line(1, 1), line(2, 0), line(2, 1)].concat();
    vec![("ended", [&config[..], &[0], &lines, &[0], &answers].concat()), ("one-epoch", one)]
}

fn studies() -> Seeds {
    let request = "title = 'A'\nbaseline = 'b'\nseeds = 2\ndatasets = ['digits']\ntrain-sizes = [5, 7]\nlayers = [['auto', 3, 2], [4, 2]]\n[base]\nbatch-size = 2\n[variants.b]\n[variants.a]\nguide = 'own'\n";
    let by_steps = "title = 'A'\nseeds = 1\nsteps = 100\nhold-out = 2\n[variants.a]\nbatch-size = 3\nhidden = [3]\n";
    let cell = |variant: &str| CellKey {
        dataset: "digits".into(),
        layers: vec![4, 2],
        train_images: 7,
        variant: variant.into(),
        fingerprint: "1".into(),
    };
    let manifest = |first_seed: u64, seeds: u64| {
        let cell = |variant: &str| {
            let mut value = serde_json::to_value(cell(variant)).unwrap();
            value["steps"] = 2.into();
            value["training"] = serde_json::json!({});
            value
        };
        serde_json::json!({
            "title": "A", "baseline": "b", "hold_out": null, "first_seed": first_seed, "seeds": seeds, "cells": [cell("b"), cell("a")],
        })
    };
    let result = |variant: &str, seed: u64| {
        let accuracy = seed as f64 / 4.0;
        let result = SeedResult {
            study: "A".into(),
            cell: cell(variant),
            seed,
            hold_out: None,
            train_accuracy: accuracy,
            test_accuracy_a: accuracy,
            test_accuracy_b: accuracy,
            test_accuracy_single: accuracy,
            test_accuracy_ensemble: accuracy,
            best_test_accuracy_single: accuracy,
            best_epoch: 1,
            signs: Vec::new(),
            curve: Curve {
                test_accuracy_single: vec![accuracy / 2.0, accuracy],
                test_accuracy_ensemble: vec![accuracy / 2.0, accuracy],
                layer_losses: vec![vec![1.0]; 2],
                participation_ratio: vec![Vec::new(); 2],
            },
            steps: 2,
            seconds: 1.0,
            side_by_side: 2,
            device: "a device".into(),
            version: "0".into(),
        };
        format!("{}\n", serde_json::json!(result))
    };
    let results: String = ["b", "a"].iter().flat_map(|variant| [1, 2].map(|seed| result(variant, seed))).collect();
    vec![
        ("by-steps", behind(0, by_steps.as_bytes())),
        ("request", behind(0, request.as_bytes())),
        ("results", [&[1][..], manifest(1, 2).to_string().as_bytes(), &[0], results.as_bytes()].concat()),
    ]
}
