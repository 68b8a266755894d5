//! What a run leaves behind: the run directory, the weights file, pictures of benchmarks.

pub(crate) mod picture;
pub mod run_directory;
pub mod scaling_plot;
pub mod weights;
pub(crate) mod whole_file;
