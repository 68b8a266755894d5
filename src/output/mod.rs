//! What a run leaves behind: the run directory, the weights file, pictures of benchmarks.

pub mod run_directory;
pub mod scaling_plot;
pub mod weights;
mod whole_file;
