//! What can be typed.

use super::audit::AuditOptions;
use super::data_command::DataCommand;
use super::data_options::{DataDirOption, DataOptions};
use super::device_options::{DeviceOption, PlanName};
use super::train_options::TrainOptions;
use super::trained_options::{EvaluateOptions, ExportOptions, PREDICT_HELP, PredictOptions};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ffcl_gpu::bench::regimes::{BenchRecipe, DEFAULT_GROUPS, DEFAULT_RECIPES};
use ffcl_gpu::config::{Recipe, RunOptions};
use ffcl_gpu::study::grid::Shard;
use std::path::PathBuf;

/// Train two networks that guide each other, without backpropagation, on GPUs or the processor.
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
    /// Train a pair of networks, or many pairs side by side.
    #[command(
        after_help = "Example: ffcl-gpu train --dataset mnist --data-dir data/mnist --epochs 30 --out runs/first\n\n-h shows the options that most runs need, --help all of them."
    )]
    Train(Box<TrainOptions>),
    /// Train all variants of a study file, with several seeds each, and report on them.
    #[command(after_help = "Example: ffcl-gpu study studies/guidance.toml --out runs/guidance --data-dir data/mnist")]
    Study(StudyOptions),
    /// Look for wrong labels in a data set: a table, a page with pictures, and a cleaned copy.
    #[command(
        after_help = "Example: ffcl-gpu audit photos --image-size 32 --out photos-audit --write-clean photos-clean\n\n-h shows the options that most runs need, --help all of them."
    )]
    Audit(Box<AuditOptions>),
    /// Fetch data sets, list them, or check those that are here.
    #[command(subcommand)]
    Data(DataCommand),
    /// Measure a trained model on a data set's test images.
    #[command(after_help = "Example: ffcl-gpu evaluate runs/first --data-dir data/mnist")]
    Evaluate(EvaluateOptions),
    /// Classify pictures with a trained model.
    #[command(after_help = "Example: ffcl-gpu predict runs/first photo.jpg scan.png", after_long_help = PREDICT_HELP)]
    Predict(PredictOptions),
    /// Write a trained model as an ONNX file.
    #[command(after_help = "Example: ffcl-gpu export runs/first digits.onnx")]
    Export(ExportOptions),
    /// Check every kernel, and whole training steps, on this adapter against their CPU versions.
    #[command(after_help = "Example: ffcl-gpu verify --device gpu")]
    Verify(VerifyOptions),
    /// Measure throughput.
    #[command(after_help = "Example: ffcl-gpu bench --device gpu --regimes small,replicas --compare cpu --plot scaling.svg")]
    Bench(BenchOptions),
    /// Write a run's report.html anew, or a page that compares several runs.
    #[command(after_help = "Example: ffcl-gpu report runs/first runs/second --out comparison.html")]
    Report(RunReportOptions),
    /// Show the dispatches of a training step, with what each reads and writes, or the shader of one.
    #[command(
        after_help = "Example: ffcl-gpu program --recipe paper --fused\n\n-h shows the options that most runs need, --help all of them."
    )]
    Program(Box<ProgramOptions>),
    /// Time the candidate shapes of a GPU's kernels for a kind of run, and keep the fastest for runs like it.
    #[command(
        after_help = "Example: ffcl-gpu tune --device gpu --layers 784,256,256,10\n\n-h shows the options that most runs need, --help all of them."
    )]
    Tune(Box<TuneOptions>),
    /// List the adapters that --device can choose from.
    Devices(DevicesOptions),
    /// Print a script that completes commands and options in a shell.
    #[command(after_help = "Example: ffcl-gpu completions bash > ~/.local/share/bash-completion/completions/ffcl-gpu")]
    Completions(CompletionsOptions),
}

/// Options of `study`: a file, or a command about a study's folder.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct StudyOptions {
    #[command(subcommand)]
    pub command: Option<StudyCommand>,
    /// The study file.
    // Required but where a command is given.
    #[arg(value_name = "FILE.toml", required = true)]
    pub file: Option<PathBuf>,
    /// Folder of the results; cells that are already in it are not trained again.
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub data_dir: DataDirOption,
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Train only every n-th cell, from the i-th, for n machines that share the folder.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,
    /// List the cells and how many are left, and train nothing.
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

/// Options of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    #[command(flatten)]
    pub device: DeviceOption,
    /// Compare a whole epoch instead, and draw the drift of the weights and the drift that rounding predicts, as an SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub drift: Option<PathBuf>,
    /// The recipe that --drift trains by.
    #[arg(long, value_enum, default_value_t = Recipe::Contrastive, requires = "drift")]
    pub recipe: Recipe,
    #[command(flatten)]
    pub data: DataOptions,
    /// Test every tile shape on software adapters, too (compiling takes minutes).
    #[arg(long, conflicts_with = "drift")]
    pub every_tile: bool,
    /// Print one JSON object for each row.
    #[arg(long)]
    pub json: bool,
}

/// Options of `program`.
#[derive(Args, Clone, Debug)]
pub struct ProgramOptions {
    #[command(flatten)]
    pub options: RunOptions,
    /// Show the fused plan, for runs that have one.
    #[arg(long)]
    pub fused: bool,
    /// Print the whole WGSL of a dispatch, by its number in the list, with the tiles of a GPU.
    #[arg(long, value_name = "NUMBER")]
    pub wgsl: Option<usize>,
}

/// Options of `tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneOptions {
    #[command(flatten)]
    pub options: RunOptions,
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a step is cut into dispatches.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Print one JSON object for each candidate.
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
    /// Recipes by which the networks learn.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RECIPES", default_values = DEFAULT_RECIPES)]
    pub recipe: Vec<BenchRecipe>,
    /// What to measure: names such as replicas-8, or groups: small, replicas, wide, huge, batch, images, depth, wide-depth, width, epoch, or all.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_values = DEFAULT_GROUPS)]
    pub regimes: Vec<String>,
    /// Measure these backends, too, taking turns.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BACKENDS")]
    pub compare: Vec<Compared>,
    /// Time each dispatch of a step by the device's clock instead.
    #[arg(long, conflicts_with_all = ["compare", "plot"])]
    pub profile: bool,
    /// Draw throughput against the parameter that varies within each group.
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
        let config = options.run.check(options.extent(), options.idle()).unwrap();
        assert_eq!(config, Recipe::default().config());
    }
}
