//! What can be typed.

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ffcl_gpu::bench::regimes::DEFAULT_GROUPS;
use ffcl_gpu::config::{
    Adam, Augmentation, Guide, HiddenLoss, Method, OutputLoss, Recipe, Representation, Schedule, TrainingConfig,
};
use ffcl_gpu::gpu::adapter::DeviceRequest;
use ffcl_gpu::plan::Plan;
use std::path::{Path, PathBuf};

/// Train two networks that guide each other, without backpropagation, on any GPU.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a pair of networks (or many) and watch them learn.
    #[command(after_help = "Example: ffcl-gpu train --dataset mnist --data-dir data/mnist --epochs 30 --out runs/first")]
    Train(TrainOptions),
    /// Check every kernel, and whole training steps, against the CPU twins on this adapter, now.
    #[command(after_help = "Example: ffcl-gpu verify --device gpu")]
    Verify(VerifyOptions),
    /// Measure throughput.
    #[command(after_help = "Example: ffcl-gpu bench --device gpu --regimes paper,replicas --compare cpu --plot scaling.svg")]
    Bench(BenchOptions),
    /// List the adapters that --device can choose from.
    Devices(DevicesOptions),
}

/// Where to compute.
#[derive(Args, Clone, Debug)]
pub struct DeviceOption {
    /// auto (best GPU, else CPU), cpu, gpu (best adapter, software too), an index from `devices`, or part of a name.
    #[arg(long, default_value = "auto", value_name = "auto|cpu|gpu|INDEX|NAME")]
    pub device: DeviceRequest,
}

/// The data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// Drawn by the program itself; needs no files.
    Digits,
    /// The four IDX files of MNIST, raw or gzipped.
    Mnist,
}

/// How a step is cut into dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanName {
    /// Fused for narrow networks, layered for wide ones.
    #[default]
    Auto,
    /// Three dispatches a step, for layers up to 128 wide.
    Fused,
    /// A dispatch for each layer and kernel.
    Layered,
}

impl PlanName {
    /// The plan, if one is forced.
    pub fn plan(self) -> Option<Plan> {
        match self {
            Self::Auto => None,
            Self::Fused => Some(Plan::Fused),
            Self::Layered => Some(Plan::Layered),
        }
    }
}

/// Options of `train`.
#[derive(Args, Clone, Debug)]
pub struct TrainOptions {
    /// The data to learn.
    #[arg(long, value_enum, default_value = "digits", help_heading = "Data")]
    pub dataset: DatasetName,
    /// Folder with the data set's files (or with a folder of the data set's name).
    // An empty variable is like none, which clap's own parser of paths would refuse.
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from), help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Use only the first N training images.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub limit_train: Option<usize>,
    /// Measure on the last N training images, which are not trained on, instead of the test set.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub hold_out: Option<usize>,
    /// Take the images in the data set's own order.
    #[arg(long, help_heading = "Data")]
    pub no_shuffle: bool,
    /// Scale pixels to mean 0 and deviation 1 of the training set instead of 0 to 1.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Data")]
    standardize: Option<bool>,
    /// Shift each training image by up to N pixels along each axis, anew in each epoch, A's and B's copy independently.
    #[arg(long, value_name = "N", help_heading = "Data")]
    shift: Option<u32>,
    /// Turn it by up to so many degrees either way.
    #[arg(long, value_name = "DEGREES", help_heading = "Data")]
    rotation: Option<f64>,
    /// Resize it by up to this fraction either way.
    #[arg(long, value_name = "FRACTION", help_heading = "Data")]
    scale: Option<f64>,
    /// A and B see the same changes.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Data")]
    shared_view: Option<bool>,

    /// Widths of the network, input first, classes last.
    #[arg(long, value_delimiter = ',', default_value = "784,64,64,10", value_name = "WIDTHS", help_heading = "Model")]
    pub layers: Vec<usize>,
    /// Start from the weights in a safetensors file.
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub init_from: Option<PathBuf>,

    /// A named set of options; those given here win over it. Default: contrastive, or ffcl3 for that method.
    #[arg(long, value_enum, help_heading = "Method")]
    recipe: Option<Recipe>,
    /// How the networks learn.
    #[arg(long, value_enum, help_heading = "Method")]
    method: Option<Method>,
    /// Loss of the output layer.
    #[arg(long, value_enum, help_heading = "Method")]
    output_loss: Option<OutputLoss>,
    /// Loss of the hidden layers.
    #[arg(long, value_enum, help_heading = "Method")]
    hidden_loss: Option<HiddenLoss>,
    /// What the cosine loss compares.
    #[arg(long, value_enum, help_heading = "Method")]
    representation: Option<Representation>,
    /// Subtract the batch's mean from what the cosine loss compares.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Method")]
    centre: Option<bool>,
    /// Whose prototypes guide the hidden layers.
    #[arg(long, value_enum, help_heading = "Method")]
    guide: Option<Guide>,
    /// Width of the projection between a hidden layer and its prototypes; 0 for none.
    #[arg(long, value_name = "WIDTH", help_heading = "Method")]
    projection: Option<usize>,
    /// Divides the cosines to the prototypes.
    #[arg(long, help_heading = "Method")]
    temperature: Option<f64>,
    /// Share of a hidden layer's target that is the partner's answer about the same image instead of the label.
    #[arg(long, value_name = "FRACTION", help_heading = "Method")]
    mutual: Option<f64>,
    /// Bring each row of a hidden layer's output to one length before the next layer reads it.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Method")]
    normalize: Option<bool>,

    /// Passes over the training set.
    #[arg(long, help_heading = "Training")]
    epochs: Option<u32>,
    /// Images in a step; images that fill no whole batch are left out of the epoch.
    #[arg(long, help_heading = "Training")]
    batch_size: Option<usize>,
    /// Learning rate of Adam.
    #[arg(long, help_heading = "Training")]
    learning_rate: Option<f64>,
    /// How it changes over the run.
    #[arg(long, value_enum, help_heading = "Training")]
    schedule: Option<Schedule>,
    /// Seed of the first replica; the next ones count up from it.
    #[arg(long, default_value_t = TrainingConfig::default().seed, help_heading = "Training")]
    pub seed: u64,
    /// Independent pairs of networks, trained side by side.
    #[arg(long, default_value_t = TrainingConfig::default().replicas, help_heading = "Training")]
    pub replicas: usize,
    /// Stop after N steps.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub max_steps: Option<u64>,

    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Write config.json, metrics.jsonl and model.safetensors into this new folder.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Print only errors.
    #[arg(long, short, conflicts_with = "json", help_heading = "Output")]
    pub quiet: bool,
    /// Print one JSON object for each epoch and replica, as in metrics.jsonl.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

impl TrainOptions {
    /// The folder of the data set's files, if one was given.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// The run that was asked for: the recipe, with the options that were given.
    pub fn config(&self) -> TrainingConfig {
        let recipe = self.recipe.unwrap_or_else(|| Recipe::of(self.method.unwrap_or_default())).config();
        TrainingConfig {
            layers: self.layers.clone(),
            epochs: self.epochs.unwrap_or(recipe.epochs),
            batch_size: self.batch_size.unwrap_or(recipe.batch_size),
            adam: Adam { learning_rate: self.learning_rate.unwrap_or(recipe.adam.learning_rate), ..recipe.adam },
            schedule: self.schedule.unwrap_or(recipe.schedule),
            seed: self.seed,
            replicas: self.replicas,
            shuffle: !self.no_shuffle,
            max_steps: self.max_steps,
            method: self.method.unwrap_or(recipe.method),
            output_loss: self.output_loss.unwrap_or(recipe.output_loss),
            hidden_loss: self.hidden_loss.unwrap_or(recipe.hidden_loss),
            representation: self.representation.unwrap_or(recipe.representation),
            centre: self.centre.unwrap_or(recipe.centre),
            guide: self.guide.unwrap_or(recipe.guide),
            projection: self.projection.unwrap_or(recipe.projection),
            temperature: self.temperature.unwrap_or(recipe.temperature),
            mutual: self.mutual.unwrap_or(recipe.mutual),
            normalize: self.normalize.unwrap_or(recipe.normalize),
            augmentation: Augmentation {
                shift: self.shift.unwrap_or(recipe.augmentation.shift),
                rotation: self.rotation.unwrap_or(recipe.augmentation.rotation),
                scale: self.scale.unwrap_or(recipe.augmentation.scale),
                shared: self.shared_view.unwrap_or(recipe.augmentation.shared),
            },
            standardize: self.standardize.unwrap_or(recipe.standardize),
        }
    }
}

/// Options of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    #[command(flatten)]
    pub device: DeviceOption,
    /// Print one JSON object for each row.
    #[arg(long)]
    pub json: bool,
}

/// A backend to run beside the one that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compared {
    /// The CPU backend.
    Cpu,
    /// The same adapter with the fused plan.
    Fused,
    /// The same adapter with the layered plan.
    Layered,
}

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// What to measure: names such as replicas-8, or groups: paper, replicas, wide, huge, batch, images, depth, width, or all.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_values = DEFAULT_GROUPS)]
    pub regimes: Vec<String>,
    /// Run these beside it, repeat by repeat.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BACKENDS")]
    pub compare: Vec<Compared>,
    /// Time each dispatch of a step by the device's clock instead.
    #[arg(long, conflicts_with_all = ["compare", "plot"])]
    pub profile: bool,
    /// Draw throughput against what varies within the groups measured.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Print one JSON object for each line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `devices`.
#[derive(Args, Clone, Debug)]
pub struct DevicesOptions {
    /// Print one JSON object for each adapter.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_defaults_are_the_librarys() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let Command::Train(options) = Arguments::parse_from(["ffcl-gpu", "train"]).command else {
            unreachable!("train was given")
        };
        assert_eq!(options.config(), Recipe::default().config());
    }
}
