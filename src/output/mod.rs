//! What a run leaves behind: the run directory, weights and checkpoints, networks for other programs, pictures of benchmarks.

pub mod checkpoint;
pub mod description;
pub mod onnx;
pub(crate) mod picture;
pub mod run_directory;
pub mod scaling_plot;
mod tensors;
pub mod weights;
pub(crate) mod whole_file;
