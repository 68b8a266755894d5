//! What is done with bytes that nobody vouches for, a function for each kind of input. The fuzz targets call them with what the
//! fuzzer thinks of, and `tests/hostile_input.rs` with the files in `seeds` and `regressions`.
//!
//! Nothing may panic, overflow or take long; and where bytes can be read, what is read must survive being written and read again.

// Each fuzz target uses one function of all.
#![allow(dead_code)]

use ffcl_gpu::config::{HiddenLoss, PrototypeOptions, Recipe, RunOptions, TrainingConfig};
use ffcl_gpu::cpu::backend;
use ffcl_gpu::dataset::file;
use ffcl_gpu::dataset::gzip::Unpacked;
use ffcl_gpu::dataset::input::Reading;
use ffcl_gpu::dataset::numbers::Sets;
use ffcl_gpu::dataset::options::FileOptions as ReadingOptions;
use ffcl_gpu::dataset::{Dataset, ImageShape, Images, archive, cifar, idx as idx_format, numbered};
use ffcl_gpu::dataset::{npz as npz_format, table as table_format};
use ffcl_gpu::engine::Job;
use ffcl_gpu::model::{Architecture, LayerParameters, Parameters};
use ffcl_gpu::output::checkpoint::{self, Identity};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::run_directory::{self, FileOptions};
use ffcl_gpu::output::weights::{self, Opened, Undescribed};
use ffcl_gpu::report;
use ffcl_gpu::study::{self, grid, request::Study};
use ffcl_gpu::train::{Position, ReplicaReport, RunningEpoch, Trainer, TrainingState};
use ffcl_gpu::trained::TrainedModel;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Preparation;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// What is done with the bytes of one kind.
pub type Input = fn(&[u8]);

/// All kinds, by the names of their fuzz targets.
pub const TARGETS: [(&str, Input); 12] = [
    ("archive", archive),
    ("checkpoint", checkpoint),
    ("cifar", cifar),
    ("idx", idx),
    ("image", image),
    ("npz", arrays),
    ("options", options),
    ("report", report),
    ("study", study),
    ("table", table),
    ("text", text),
    ("weights", weights),
];

/// A file's name, for messages.
fn name() -> &'static Path {
    Path::new("input")
}

/// IDX. The first byte says whether images or labels are expected (bit 0), and whether the rest is to be compressed (bit 1),
/// since the fuzzer cannot guess the checksum of a gzip stream.
pub fn idx(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let compressed;
    let file = if kind & 2 == 0 {
        rest
    } else {
        compressed = gzip(rest);
        &compressed
    };
    if kind & 1 == 0 {
        let Ok((rows, columns, pixels)) = idx_format::parse_images(name(), file) else { return };
        assert!(!pixels.is_empty() && pixels.len().is_multiple_of(rows * columns));
        let written = idx_file(&[pixels.len() / (rows * columns), rows, columns], &pixels);
        assert_eq!(idx_format::parse_images(name(), &written).unwrap(), (rows, columns, pixels));
    } else {
        let Ok(labels) = idx_format::parse_labels(name(), file) else { return };
        assert!(!labels.is_empty());
        assert_eq!(idx_format::parse_labels(name(), &gzip(&idx_file(&[labels.len()], &labels))).unwrap(), labels);
    }
}

/// An IDX file of unsigned bytes.
pub fn idx_file(sizes: &[usize], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|&size| file.extend((size as u32).to_be_bytes()));
    file.extend(values);
    file
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Arrays of NumPy: an archive as it is (0), or two arrays that are packed into one here, since the fuzzer cannot guess its checksums.
pub fn arrays(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let archive = match rest {
        [low, high, arrays @ ..] if kind != 0 => {
            let length = usize::from(u16::from_le_bytes([*low, *high])).min(arrays.len());
            npz(&arrays[..length], &arrays[length..])
        }
        _ => rest.to_vec(),
    };
    if let Ok(sets) = npz_format::parse(name(), &archive) {
        for reading in [Reading::First, Reading::Second] {
            whole_or_refused(sets.clone(), &ReadingOptions { reading, ..ReadingOptions::default() });
        }
    }
}

/// An archive of images and labels.
pub fn npz(images: &[u8], labels: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("x.npy", images), ("y.npy", labels)] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Tables.
pub fn table(bytes: &[u8]) {
    for reading in [Reading::First, Reading::Second] {
        let options = ReadingOptions { reading, ..ReadingOptions::default() };
        if let Ok(sets) = table_format::read(name(), bytes, &options) {
            whole_or_refused(sets, &options);
        }
    }
}

/// What a file holds is a data set whose parts fit each other, or none.
fn whole_or_refused(sets: Sets, options: &ReadingOptions) {
    let Ok(data) = file::dataset(name(), sets, options) else { return };
    assert!(!data.said().is_empty());
    for images in [&data.train, &data.test] {
        let numbers = images.features.as_ref().map_or(images.pixels.len(), |features| features.count() * features.width());
        assert!(images.count() > 0 && numbers == images.count() * images.pixels_per_image());
        assert!(images.labels.iter().all(|&label| usize::from(label) < data.classes()));
    }
}

/// Text in any encoding, and gzip streams of any content.
pub fn text(bytes: &[u8]) {
    if let Some(text) = ffcl_gpu::text::decode(bytes) {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(units).collect();
        assert_eq!(ffcl_gpu::text::decode(&wide), Some(text));
    }
    // Something behind a stream is zeros, another stream, or an error.
    let file = [gzip(b"abc"), bytes.to_vec()].concat();
    let mut unpacked = Vec::new();
    if Unpacked::new(&file[..]).read_to_end(&mut unpacked).is_ok() {
        assert!(unpacked.starts_with(b"abc"));
        assert!(bytes.iter().all(|&byte| byte == 0) || bytes.starts_with(&[0x1f]));
    }
}

/// A batch of CIFAR-10: it is what is read, in another order.
pub fn cifar(bytes: &[u8]) {
    let Ok(images) = cifar::parse(name(), bytes) else { return };
    let records = (0..images.count()).flat_map(|index| [&[images.labels[index]], images.image(index)].concat());
    assert!(records.eq(bytes.iter().copied()));
}

/// Archives: by the first byte a tar that is to be compressed, a compressed one, or a zip.
pub fn archive(bytes: &[u8]) {
    const ENTRIES: &[&str] = &["in/a.bin", "in/b.bin"];
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let parent = tempfile::tempdir().unwrap();
    let (file, folder) = (parent.path().join("archive"), parent.path().join("out"));
    std::fs::create_dir(&folder).unwrap();
    let unpacked = match kind % 3 {
        0 => {
            std::fs::write(&file, gzip(rest)).unwrap();
            archive::unpack_tar_gz(&file, ENTRIES, &folder)
        }
        1 => {
            std::fs::write(&file, rest).unwrap();
            archive::unpack_tar_gz(&file, ENTRIES, &folder)
        }
        _ => {
            std::fs::write(&file, rest).unwrap();
            archive::unpack_zip(&file, ENTRIES, &folder)
        }
    };
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(parent.path()), ["archive", "out"]);
    match unpacked {
        Ok(()) => assert_eq!(names(&folder), ["SHA256SUMS", "a.bin", "b.bin"]),
        // Nothing half done.
        Err(_) => assert!(names(&folder).iter().all(|name| name == "a.bin" || name == "b.bin")),
    }
}

/// Pictures, on their way into every kind of model.
pub fn image(bytes: &[u8]) {
    let Ok(picture) = Picture::decode(name(), bytes) else { return };
    for shape in [ImageShape::gray(28, 28), ImageShape { channels: 3, height: 8, width: 5 }] {
        assert_eq!(Preparation::Resize.apply(&picture, shape).unwrap().len(), shape.pixels());
    }
    if let Ok(digit) = Preparation::Digit.apply(&picture, ImageShape::gray(28, 20)) {
        assert_eq!((digit.len(), digit.iter().max()), (560, Some(&255)));
    }
}

/// Weights. The first byte says whether the rest is the file (0), or its header's text and what stands behind the last brace:
/// lengths are put right then.
pub fn weights(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let file = if kind == 0 { rest.to_vec() } else { safetensors(rest) };
    let Ok(Opened { parameters, model, .. }) = weights::parse(name(), &file, Undescribed::Plain) else { return };
    let written = weights::to_bytes(name(), &parameters, &model).unwrap();
    let whole = Opened { parameters: parameters.clone(), model: model.clone(), converted: None };
    assert_eq!(weights::parse(name(), &written, Undescribed::Refuse).unwrap(), whole);
    let trained = TrainedModel::new(parameters, model.clone()).unwrap();
    model.config().check().unwrap();
    let _ = Preparation::of(&model);
    assert_eq!(trained.replica(model.replicas - 1).unwrap().parameters().slots.len(), 2);
}

/// A safetensors file whose header and data are as long as it says.
fn safetensors(text: &[u8]) -> Vec<u8> {
    const MOST: usize = 1 << 16;
    let (header, data) = text.split_at(text.iter().rposition(|&byte| byte == b'}').map_or(0, |last| last + 1));
    let tensors: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap_or_default();
    let ends = tensors.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    let length = ends.max().and_then(|end| usize::try_from(end).ok()).filter(|&end| end <= MOST).unwrap_or(data.len());
    let mut data = data.to_vec();
    data.resize(length, 0);
    [&(header.len() as u64).to_le_bytes(), header, &data].concat()
}

/// Numbers out of bytes; zeros when they are used up.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let count = N.min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        let mut bytes = [0; N];
        bytes[..count].copy_from_slice(taken);
        bytes
    }

    fn small(&mut self) -> usize {
        usize::from(self.bytes::<1>()[0])
    }

    /// Small ones, and by a marker any.
    fn any(&mut self) -> u64 {
        match self.small() {
            255 => u64::from_le_bytes(self.bytes()),
            small => small as u64,
        }
    }

    fn fraction(&mut self) -> f32 {
        match self.small() {
            255 => f32::from_le_bytes(self.bytes()),
            small => small as f32 / 64.0 - 1.0,
        }
    }

    fn layer(&mut self, inputs: usize, outputs: usize, is_biased: bool) -> LayerParameters {
        let weight = (0..inputs * outputs).map(|_| self.fraction()).collect();
        LayerParameters::dense(weight, (0..outputs).map(|_| if is_biased { self.fraction() } else { 0.0 }).collect())
    }

    fn parameters(&mut self, widths: &[usize], replicas: usize, projection: usize) -> Parameters {
        let hidden = &widths[1..widths.len() - 1];
        let projected = if projection > 0 { hidden } else { &[] };
        Parameters {
            slots: (0..2 * replicas)
                .map(|_| widths.windows(2).map(|pair| self.layer(pair[0], pair[1], true)).collect())
                .collect(),
            projections: (0..2 * replicas)
                .map(|_| projected.iter().map(|&width| self.layer(width, projection, false)).collect())
                .collect(),
        }
    }
}

/// Ten images of two by two pixels, of two classes.
fn tiny_dataset() -> Dataset {
    let images = |count: u8| Images {
        pixels: (0..4 * count).map(|pixel| pixel.wrapping_mul(37)).collect(),
        labels: (0..count).map(|image| image % 2).collect(),
        shape: ImageShape::gray(2, 2),
        features: None,
    };
    Dataset::of("tiny", images(7), images(3), numbered(2))
}

/// Checkpoints. No mutation has the right checksum: the bytes say what is in a checkpoint, which is then written; the run that
/// takes it up may be another one, with any history. Bytes that begin with 0 are a file as it is.
pub fn checkpoint(bytes: &[u8]) {
    let dataset = tiny_dataset();
    let hidden_loss = HiddenLoss::Prototypes(PrototypeOptions { projection: 2, ..PrototypeOptions::default() });
    let config = TrainingConfig {
        architecture: Architecture::dense(&[4, 3, 2]),
        batch_size: 3,
        epochs: 3,
        hidden_loss,
        ..Recipe::Contrastive.config()
    };
    let mut numbers = Numbers(bytes);
    let kind = numbers.small();
    let job = Job { config: &config, dataset: &dataset };
    let model = ModelDescription::of(job);
    let of = Identity { model: &model, seed: config.seed, data: "data" };
    let per_epoch = config.steps_per_epoch(dataset.train.count());
    if kind == 0 {
        let _ = checkpoint::parse(name(), numbers.0, &config, of, per_epoch);
        return;
    }
    let position = Position {
        epoch: numbers.any() as u32,
        epoch_steps: numbers.any() as usize,
        steps: numbers.any(),
        epoch_seconds: f64::from(numbers.fraction()),
    };
    let max_steps = Some(numbers.any()).filter(|&most| most > 0);
    let widths = if kind & 2 == 0 { vec![4, 3, 2] } else { vec![4, 1 + numbers.small() % 4, 2] };
    let projection = if kind & 4 == 0 { 2 } else { numbers.small() % 4 };
    let replicas = if kind & 8 == 0 { 1 } else { 2 };
    let sums = if kind & 16 == 0 { 18 } else { numbers.small() };
    let history_epochs = if kind & 32 == 0 { None } else { Some(numbers.small() % 8) };
    let state = TrainingState {
        trust: None,
        position,
        parameters: numbers.parameters(&widths, replicas, projection),
        first_moments: numbers.parameters(&widths, replicas, projection),
        second_moments: numbers.parameters(&widths, replicas, projection),
        running: (kind & 64 == 0).then(|| RunningEpoch {
            start: numbers.parameters(&widths, replicas, 0),
            row_sums: (0..sums).map(|_| numbers.fraction()).collect(),
        }),
    };
    let file = checkpoint::to_bytes(name(), &state, of).unwrap();
    let config = TrainingConfig { max_steps, ..config };
    let Ok(read) = checkpoint::parse(name(), &file, &config, of, per_epoch) else { return };
    let same_shapes = widths == config.architecture.widths() && projection == 2 && replicas == 1;
    let is_number = |state: &TrainingState| state.running.iter().flat_map(|running| &running.row_sums).all(|sum| !sum.is_nan());
    if same_shapes && is_number(&state) {
        assert_eq!(read, state);
    }
    // It goes on from there.
    let whole = u32::from(position.is_inside_epoch(per_epoch) && !position.is_end_of(&config, per_epoch));
    let epochs = history_epochs.unwrap_or((position.epoch - whole).min(8) as usize);
    let mut history: Vec<ReplicaReport> = (0..epochs)
        .map(|epoch| ReplicaReport {
            epoch: if kind & 128 == 0 { epoch as u32 + 1 } else { numbers.small() as u32 },
            replica: 0,
            layer_losses: vec![1.0; if kind & 128 == 0 { 2 } else { numbers.small() % 4 }],
            train_accuracy: 0.5,
            test_accuracy_a: 0.5,
            test_accuracy_b: 0.5,
            test_accuracy_ensemble: 0.5,
            diagnosis: ffcl_gpu::diagnosis::Diagnosis {
                alignment: vec![0.5; if kind & 128 == 0 { 1 } else { numbers.small() % 3 }],
                participation_ratio: vec![1.5],
                dead_units: vec![0.0],
                weight_norm: vec![1.0; 2],
                update_norm: vec![1.0; 2],
                divergence: vec![1.0; 2],
            },
            signs: Vec::new(),
            trust: None,
            seconds: 1.0,
            samples_per_second: 1.0,
        })
        .collect();
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = backend::open(job).unwrap();
    if let Ok(mut trainer) = Trainer::resume(job, backend.as_mut(), &read, &mut history) {
        let _ = trainer.epoch(&mut |_| Ok(ControlFlow::Continue(())));
    }
}

/// Options, from TOML or from a run's record.
pub fn options(bytes: &[u8]) {
    let Ok(FileOptions { values: map, .. }) = run_directory::parse_options(name(), bytes, "") else { return };
    let Ok(options) = serde_json::from_value::<RunOptions>(Value::Object(map)) else { return };
    let json = serde_json::to_vec(&options).unwrap();
    assert_eq!(serde_json::from_slice::<RunOptions>(&json).unwrap(), options);
    let Ok(config) = options.fitted_to(4, 2) else { return };
    if config.check().is_ok() {
        let _ = config.check_against(100, 4, 2);
        assert_eq!(RunOptions::of(&config).fitted_to(4, 2).unwrap(), config);
    }
}

/// A run's folder as a report reads it: `config.json`, `metrics.jsonl`, `evaluation.json`, with zeros between them.
pub fn report(bytes: &[u8]) {
    let parts: Vec<&[u8]> = bytes.splitn(3, |&byte| byte == 0).collect();
    let folder = tempfile::tempdir().unwrap();
    for (file, part) in ["config.json", "metrics.jsonl", "evaluation.json"].iter().zip(&parts) {
        std::fs::write(folder.path().join(file), part).unwrap();
    }
    let metrics = parts.get(1).copied().unwrap_or_default();
    if let Ok((reports, length)) = run_directory::parse_history(name(), metrics, u32::MAX) {
        let line = |report: &ReplicaReport| [serde_json::to_vec(report).unwrap(), b"\n".to_vec()].concat();
        let lines: Vec<u8> = reports.iter().flat_map(line).collect();
        assert!(length <= metrics.len() as u64);
        assert_eq!(run_directory::parse_history(name(), &lines[..], u32::MAX).unwrap().0, reports);
    }
    if report::write(folder.path()).is_ok() {
        let page = folder.path().join("comparison.html");
        report::compare(&[folder.path().to_owned(), folder.path().to_owned()], &page).unwrap();
    }
}

/// Studies: by the first byte the file that asks for one, or `study.json` and `results.jsonl` with a zero between them.
pub fn study(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    if kind == 0 {
        let Ok(study) = Study::parse(name(), rest) else { return };
        let datasets = vec![tiny_dataset(); study.datasets.len()];
        let _ = grid::cells(&study, &datasets);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (file, part) in ["study.json", "results.jsonl"].iter().zip(rest.splitn(2, |&byte| byte == 0)) {
        std::fs::write(folder.path().join(file), part).unwrap();
    }
    let _ = study::report::write(folder.path(), &folder.path().join("out"));
}
