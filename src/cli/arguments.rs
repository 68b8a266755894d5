//! What can be typed.

use super::data_options::{DataOptions, absolute, given};
use super::trained_options::{EvaluateOptions, ExportOptions, PREDICT_HELP, PredictOptions};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ffcl_gpu::bench::regimes::DEFAULT_GROUPS;
use ffcl_gpu::config::{RunOptions, TrainingConfig};
use ffcl_gpu::dataset::{Dataset, DatasetName};
use ffcl_gpu::gpu::adapter::DeviceRequest;
use ffcl_gpu::plan::Plan;
use ffcl_gpu::study::grid::Shard;
use serde::Serialize;
use std::num::NonZeroU32;
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
    Train(Box<TrainOptions>),
    /// Train everything that a file compares, with several seeds each, and report on it.
    #[command(after_help = "Example: ffcl-gpu study studies/guidance.toml --out runs/guidance --data-dir data/mnist")]
    Study(StudyOptions),
    /// Fetch data sets, list them, or check those that are here.
    #[command(subcommand)]
    Data(DataCommand),
    /// Measure a trained model on a data set's test images.
    #[command(after_help = "Example: ffcl-gpu evaluate runs/first --data-dir data/mnist")]
    Evaluate(EvaluateOptions),
    /// Ask a trained model what pictures show.
    #[command(after_help = "Example: ffcl-gpu predict runs/first photo.jpg scan.png", after_long_help = PREDICT_HELP)]
    Predict(PredictOptions),
    /// Write a trained model as an ONNX file.
    #[command(after_help = "Example: ffcl-gpu export runs/first digits.onnx")]
    Export(ExportOptions),
    /// Check every kernel, and whole training steps, against the CPU twins on this adapter, now.
    #[command(after_help = "Example: ffcl-gpu verify --device gpu")]
    Verify(VerifyOptions),
    /// Measure throughput.
    #[command(after_help = "Example: ffcl-gpu bench --device gpu --regimes paper,replicas --compare cpu --plot scaling.svg")]
    Bench(BenchOptions),
    /// Write a run's report.html anew, or a page that compares several runs.
    #[command(after_help = "Example: ffcl-gpu report runs/first runs/second --out comparison.html")]
    Report(RunReportOptions),
    /// List the adapters that --device can choose from.
    Devices(DevicesOptions),
    /// Print a script that completes commands and options in a shell.
    #[command(after_help = "Example: ffcl-gpu completions bash > ~/.local/share/bash-completion/completions/ffcl-gpu")]
    Completions(CompletionsOptions),
    /// Print the manual page, of this program or of one of its commands.
    #[command(after_help = "Example: ffcl-gpu man > ~/.local/share/man/man1/ffcl-gpu.1")]
    Man(ManOptions),
}

/// Where to compute.
#[derive(Args, Clone, Debug, Serialize)]
pub struct DeviceOption {
    /// auto (best GPU, else CPU), cpu, gpu (best adapter, software too), an index from `devices`, or part of a name.
    #[arg(long, default_value = "auto", value_name = "auto|cpu|gpu|INDEX|NAME")]
    #[serde(serialize_with = "serialize_as_text")]
    pub device: DeviceRequest,
}

fn serialize_as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// How a step is cut into dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PlanName {
    /// Fused where it is possible, layered elsewhere and on software adapters.
    #[default]
    Auto,
    /// Three dispatches a step, for the plain cosine loss (--recipe paper) and layers up to 128 wide.
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

/// Options of `train`. Written as a file, they repeat the run; names are those of the command line.
#[derive(Args, Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrainOptions {
    /// Take options from a TOML file, or from the config.json of a run; those given here win.
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
    /// Take the images in the data set's own order.
    #[arg(long, help_heading = "Data")]
    pub no_shuffle: bool,

    #[command(flatten)]
    #[serde(flatten)]
    pub run: RunOptions,
    /// Start from the weights in a safetensors file.
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub init_from: Option<PathBuf>,

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
    #[serde(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Write the run into this new folder instead of runs/<date>-<dataset>-<seed>.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Write nothing.
    #[arg(long, conflicts_with = "out", help_heading = "Output")]
    #[serde(skip)]
    pub no_out: bool,
    /// Write a checkpoint after every N epochs; at the end there is always one.
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, help_heading = "Output")]
    pub checkpoint_every: NonZeroU32,
    /// Write event files for TensorBoard, too.
    #[arg(long, conflicts_with = "no_out", help_heading = "Output")]
    pub tensorboard: bool,
    /// Write no report.html and no curves.png at the end.
    #[arg(long, help_heading = "Output")]
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
    /// The options that repeat the run `config`, whatever the defaults of another version are: every one that a recipe governs is
    /// named, and paths do not depend on the current folder.
    pub fn complete(&self, config: &TrainingConfig) -> Self {
        Self {
            data: self.data.complete(),
            run: RunOptions { recipe: self.run.recipe, ..RunOptions::of(config) },
            init_from: self.init_from.as_deref().map(absolute),
            ..self.clone()
        }
    }

    /// The run that was asked for, for checks that need no data.
    pub fn config(&self) -> TrainingConfig {
        self.with(self.run.config())
    }

    /// The run that was asked for, on this data.
    pub fn fitted_to(&self, dataset: &Dataset) -> TrainingConfig {
        self.with(self.run.fitted_to(dataset.train.pixels_per_image(), dataset.classes()))
    }

    fn with(&self, run: TrainingConfig) -> TrainingConfig {
        TrainingConfig { seed: self.seed, replicas: self.replicas, shuffle: !self.no_shuffle, max_steps: self.max_steps, ..run }
    }
}

/// Options of `study`: a file, or a command about a study's folder.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct StudyOptions {
    #[command(subcommand)]
    pub command: Option<StudyCommand>,
    /// What to compare.
    // Required but where a command is given.
    #[arg(value_name = "FILE.toml", required = true)]
    pub file: Option<PathBuf>,
    /// Results go into this folder; what it already holds of the study is not trained again.
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// Folder with the data sets' files (or with folders of their names).
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Train only every n-th cell, from the i-th: one of n machines that share the folder.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,
    /// List the cells and what is left of them, and train nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print only errors.
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Print one JSON object for each cell and seed, as in results.jsonl.
    #[arg(long)]
    pub json: bool,
}

/// What can be done with a study's folder.
#[derive(Clone, Debug, Subcommand)]
pub enum StudyCommand {
    /// Write report.md, results.csv and pictures of what a study has so far.
    #[command(after_help = "Example: ffcl-gpu study report runs/guidance")]
    Report(ReportOptions),
}

/// Options of `study report`.
#[derive(Args, Clone, Debug)]
pub struct ReportOptions {
    /// The study's folder.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Write the report into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl StudyOptions {
    /// The folder of the data sets' files, if one was given.
    pub fn data_dir(&self) -> Option<&Path> {
        given(self.data_dir.as_ref())
    }
}

/// What can be done about data sets.
#[derive(Clone, Debug, Subcommand)]
pub enum DataCommand {
    /// Download data sets, checked, into --data-dir or into the cache, where `train` finds them.
    #[command(after_help = "Example: ffcl-gpu data fetch mnist cifar10")]
    Fetch(FetchOptions),
    /// List the data sets that are known, and where they are.
    #[command(after_help = "Example: ffcl-gpu data list --json")]
    List(ListOptions),
    /// Check the files that are here by their checksums.
    #[command(after_help = "Example: ffcl-gpu data verify mnist")]
    Verify(VerifyDataOptions),
}

/// Options of `data fetch`.
#[derive(Args, Clone, Debug)]
pub struct FetchOptions {
    /// What to fetch.
    #[arg(value_enum, value_name = "NAME", required = true)]
    pub names: Vec<DatasetName>,
    /// Put the files into a folder of the data set's name in this one, instead of the cache.
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub data_dir: Option<PathBuf>,
    /// Fetch from here instead: the address before the files' own names. Several are tried in turn.
    #[arg(long, value_name = "URL")]
    pub mirror: Vec<String>,
}

/// Options of `data list`.
#[derive(Args, Clone, Debug)]
pub struct ListOptions {
    /// Look into this folder first.
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object for each data set.
    #[arg(long)]
    pub json: bool,
}

/// Options of `data verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyDataOptions {
    /// What to check; all that are here if none is named.
    #[arg(value_enum, value_name = "NAME")]
    pub names: Vec<DatasetName>,
    /// Look into this folder first.
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub data_dir: Option<PathBuf>,
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

/// Options of `report`.
#[derive(Args, Clone, Debug)]
pub struct RunReportOptions {
    /// Folders of runs.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Write the comparison of several runs here. Default: comparison.html.
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
}

/// Options of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Options of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManOptions {
    /// A command, such as train.
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffcl_gpu::config::Recipe;

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
