//! What can be typed about trained models.

use super::data_options::NumberOptions;
use super::device_options::DeviceOption;
use super::terminal::report;
use super::test_set::TestOptions;
use clap::Args;
use ffcl_gpu::error::Result;
use ffcl_gpu::model::Network;
use ffcl_gpu::output::weights::Undescribed;
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
    /// Read a file without a description as plain networks: pixels from 0 to 1, no normalised layers, numbered classes.
    #[arg(long)]
    pub plain: bool,
}

impl ModelOption {
    /// Reads it.
    pub fn open(&self) -> Result<TrainedModel> {
        let undescribed = if self.plain { Undescribed::Plain } else { Undescribed::Refuse };
        let model = TrainedModel::open_as(&self.model, undescribed)?;
        if let Some(from) = model.converted() {
            report(&format!("note: the weights of {} are {from}; they are converted to F32", self.model.display()));
        }
        match self.replica {
            Some(replica) => model.replica(replica),
            None => Ok(model),
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

/// The text of `predict --help` about pictures.
pub const PREDICT_HELP: &str = "\
Example: ffcl-gpu predict runs/first photo.jpg scan.png

Pictures may be PNG, JPEG, BMP, GIF, PNM, TIFF or WebP, of any size; what is transparent lies on white.
Models of digits and letters (digits, mnist, kmnist, emnist-…, own images that are framed as MNIST's are, 28×28 of unknown origin,
and all with --find-digits) get each digit that is found in a
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
    /// Pictures, or folders of them; - reads one from standard input. Or .npz and .csv files, whose rows are classified.
    #[arg(value_name = "IMAGE|DIR|FILE", required = true)]
    pub images: Vec<PathBuf>,
    /// Only resize pictures to the model's size, without finding digits or inverting.
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub device: DeviceOption,
    /// The column of a table that holds labels and is ignored. Default: the column that the model learned from, if the table has it.
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    #[command(flatten)]
    pub numbers: NumberOptions,
    /// Print one JSON object for each picture, or for each row.
    #[arg(long)]
    pub json: bool,
    /// Draw the picture with a box around each digit, and its answer, as an SVG.
    #[arg(long, value_name = "OUT.svg")]
    pub annotate: Option<PathBuf>,
}

/// Options of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportOptions {
    #[command(flatten)]
    pub model: ModelOption,
    /// The file to write: input `pixels` [batch, pixels] from 0 to 1, or `features` [batch, features], outputs `logits` and `probabilities` [batch, classes].
    #[arg(value_name = "FILE.onnx")]
    pub file: PathBuf,
    /// The networks that go into it; together `logits` is the logarithm of the mean of their probabilities.
    #[arg(long, value_enum, default_value = "ensemble")]
    pub network: Network,
}
