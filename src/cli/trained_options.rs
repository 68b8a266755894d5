//! What can be typed about trained models.

use super::data_options::{DataDirOption, ReadingOptions, Source};
use super::device_options::DeviceOption;
use clap::{Args, ValueEnum};
use ffcl_gpu::dataset::{Dataset, DatasetName, Origin};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::model::Network;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::trained::TrainedModel;
use std::path::PathBuf;

/// A trained model.
#[derive(Args, Clone, Debug)]
pub struct ModelOption {
    /// A run's folder, or a safetensors file such as its model.safetensors.
    #[arg(value_name = "DIR|FILE.safetensors")]
    pub model: PathBuf,
    /// Only this pair of networks, counted from 0. Default: all pairs together.
    #[arg(long, value_name = "R")]
    pub replica: Option<usize>,
}

impl ModelOption {
    /// Reads it.
    pub fn open(&self) -> Result<TrainedModel> {
        let model = TrainedModel::open(&self.model)?;
        match self.replica {
            Some(replica) => model.replica(replica),
            None => Ok(model),
        }
    }
}

/// Test images to measure on.
#[derive(Args, Clone, Debug)]
pub struct TestOptions {
    /// The data to measure on. Default: what the model was trained on.
    #[arg(long, value_name = "NAME|DIR")]
    dataset: Option<Source>,
    #[command(flatten)]
    data_dir: DataDirOption,
    #[command(flatten)]
    reading: ReadingOptions,
}

impl TestOptions {
    /// Reads the data for a model; images of a folder get its size, its colours and its share of
    /// test images unless others are asked for.
    pub fn load(&self, model: &ModelDescription) -> Result<Dataset> {
        let source = match &self.dataset {
            Some(source) => source.clone(),
            None => Source::Known(trained_on(model)?),
        };
        let reading = match &source {
            Source::Folder(folder) if !model.is_foreign() => self.reading.or_like(model, folder),
            _ => self.reading.clone(),
        };
        reading.load(&source, self.data_dir.path(), false)
    }
}

/// The known data set that a model was trained on.
fn trained_on(model: &ModelDescription) -> Result<DatasetName> {
    let name = &model.dataset;
    match (model.origin, DatasetName::from_str(name, false)) {
        (Origin::Known, Ok(known)) => Ok(known),
        (Origin::Known, Err(_)) => {
            let message = format!("the model's data set is '{name}', which has no place of its own; give --dataset");
            Err(Error::Configuration(message))
        }
        (Origin::Folder { .. }, _) => {
            let message =
                format!("the model was trained on a folder '{name}', and does not say where that is; give --dataset DIR");
            Err(Error::Configuration(message))
        }
    }
}

/// Options of `evaluate`.
#[derive(Args, Clone, Debug)]
pub struct EvaluateOptions {
    #[command(flatten)]
    pub model: ModelOption,
    #[command(flatten)]
    pub data: TestOptions,
    #[command(flatten)]
    pub device: DeviceOption,
    /// Print one JSON object with everything.
    #[arg(long)]
    pub json: bool,
}

/// What `predict --help` says about pictures.
pub const PREDICT_HELP: &str = "\
Example: ffcl-gpu predict runs/first photo.jpg scan.png

Pictures may be PNG, JPEG, BMP, GIF, PNM, TIFF or WebP, of any size; what is transparent lies on white.
Models of digits and letters (digits, mnist, kmnist, emnist-…, and 28×28 of unknown origin) get each digit that is found in a
picture, from left to right, as MNIST was made:
  1. grey, by luminance; shadows are evened out, ruled lines, frames, table edges and specks left out;
  2. ink becomes bright, paper 0, whichever of them is darker in the picture;
  3. the box around a digit's ink is scaled, averaging over areas, until its longer side takes 20/28 of the frame;
  4. its centre of mass goes to the middle pixel of the frame (row and column 14 of 28, from 0).
A picture without a digit has no answer, and the exit code is 1.
All other models, and all with --raw, get the picture brought to their size, and to grey if they read grey: as in training on a folder.";

/// Options of `predict`.
#[derive(Args, Clone, Debug)]
pub struct PredictOptions {
    #[command(flatten)]
    pub model: ModelOption,
    /// Pictures, or folders of them; - reads one from standard input.
    #[arg(value_name = "IMAGE|DIR", required = true)]
    pub images: Vec<PathBuf>,
    /// Only bring pictures to the model's size: neither look for a digit nor invert.
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub device: DeviceOption,
    /// Print one JSON object for each picture.
    #[arg(long)]
    pub json: bool,
    /// Draw the picture with a box around each digit, and its answer.
    #[arg(long, value_name = "OUT.png")]
    pub annotate: Option<PathBuf>,
}

/// Options of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportOptions {
    #[command(flatten)]
    pub model: ModelOption,
    /// The file to write: input `pixels` [batch, pixels] from 0 to 1, outputs `logits` and `probabilities` [batch, classes].
    #[arg(value_name = "FILE.onnx")]
    pub file: PathBuf,
    /// The networks that go into it; together `logits` is the logarithm of the mean of their probabilities.
    #[arg(long, value_enum, default_value = "ensemble")]
    pub network: Network,
}
