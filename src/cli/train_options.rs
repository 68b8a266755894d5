//! What can be typed about a run.

use super::data_options::{DataOptions, absolute};
use super::device_options::{DeviceOption, PlanName};
use clap::Args;
use ffcl_gpu::config::{Extent, Idle, LabelNoise, RunOptions};
use serde::Serialize;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Options of `train`. Written as a file, they repeat the run; names are those of the command line.
#[derive(Args, Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrainOptions {
    /// Take options from a TOML file, or from the config.json of a run; options given here win.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Go on with the run in this folder, from its last checkpoint; --epochs and --max-steps may be raised.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,

    #[command(flatten)]
    #[serde(flatten)]
    pub data: DataOptions,
    /// Train on the images in the data set's own order, without shuffling.
    #[arg(long, hide_short_help = true, help_heading = "Data")]
    pub no_shuffle: bool,

    #[command(flatten)]
    #[serde(flatten)]
    pub run: RunOptions,
    /// The names of the options that a person typed: on the command line, or in a file that is not the record of a run.
    #[arg(skip)]
    #[serde(skip)]
    pub typed: Vec<String>,
    /// Start from the weights in a safetensors file.
    #[arg(long, hide_short_help = true, value_name = "FILE", help_heading = "Model")]
    pub init_from: Option<PathBuf>,

    /// Seed of the first replica; the next ones count up from it.
    #[arg(long, default_value_t = 0, help_heading = "Training")]
    pub seed: u64,
    /// Independent pairs of networks, trained side by side.
    #[arg(long, default_value_t = 1, help_heading = "Training")]
    pub replicas: usize,
    /// Stop after N steps.
    #[arg(long, hide_short_help = true, value_name = "N", help_heading = "Training")]
    pub max_steps: Option<u64>,

    #[command(flatten)]
    #[serde(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, hide_short_help = true, help_heading = "Device", value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// If the device is lost, open it again and go on from the last checkpoint, up to N times.
    #[arg(long, hide_short_help = true, help_heading = "Device", value_name = "N", default_value_t = 0)]
    pub retry_on_device_loss: u32,
    /// Write the run into this new folder instead of runs/<date>-<dataset>-<seed>.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Write nothing.
    #[arg(long, hide_short_help = true, conflicts_with = "out", help_heading = "Output")]
    #[serde(skip)]
    pub no_out: bool,
    /// Write a checkpoint after every N epochs; at the end there is always one.
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = NonZeroU32::MIN, help_heading = "Output")]
    pub checkpoint_every: NonZeroU32,
    /// Write event files for TensorBoard, too.
    #[arg(long, hide_short_help = true, conflicts_with = "no_out", help_heading = "Output")]
    pub tensorboard: bool,
    /// Write no report.html and no curves.svg at the end.
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub no_report: bool,
    /// Print only errors.
    #[arg(long, short, conflicts_with = "json", help_heading = "Output")]
    #[serde(skip)]
    pub quiet: bool,
    /// Print one JSON object for each epoch and replica, as in metrics.jsonl.
    #[arg(long, help_heading = "Output")]
    #[serde(skip)]
    pub json: bool,
}

impl TrainOptions {
    /// Options of this structure that may change when a run goes on: they do not change what was trained so far.
    pub const MAY_CHANGE: [&str; 12] = [
        "resume",
        "max-steps",
        "device",
        "tune",
        "plan",
        "data-dir",
        "checkpoint-every",
        "tensorboard",
        "quiet",
        "json",
        "no-report",
        "help",
    ];

    /// The options that repeat this run, whatever the defaults of another version are: `run` has every option of its table, and paths do
    /// not depend on the current folder.
    pub fn complete(&self, run: &RunOptions) -> Self {
        Self {
            data: self.data.complete(),
            run: RunOptions {
                recipe: self.run.recipe,
                label_noise: run.label_noise.as_ref().map(|noise| match noise {
                    LabelNoise::File(path) => LabelNoise::File(absolute(path)),
                    noise => noise.clone(),
                }),
                ..run.clone()
            },
            init_from: self.init_from.as_deref().map(absolute),
            ..self.clone()
        }
    }

    /// What was asked beside the table of options.
    pub fn extent(&self) -> Extent {
        Extent { seed: self.seed, replicas: self.replicas, shuffle: !self.no_shuffle, max_steps: self.max_steps }
    }

    /// What a person wrote must change something.
    pub fn idle(&self) -> Idle<'_> {
        Idle::Refused(&self.typed)
    }
}
