//! What can be typed behind `ffcl-gpu data`.

use super::data_options::DataDirOption;
use clap::{Args, Subcommand};
use ffcl_gpu::dataset::DatasetName;

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
    #[command(flatten)]
    pub data_dir: DataDirOption,
    /// Fetch from here instead: the address before the files' own names. Several are tried in turn.
    #[arg(long, value_name = "URL")]
    pub mirror: Vec<String>,
}

/// Options of `data list`.
#[derive(Args, Clone, Debug)]
pub struct ListOptions {
    #[command(flatten)]
    pub data_dir: DataDirOption,
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
    #[command(flatten)]
    pub data_dir: DataDirOption,
}
