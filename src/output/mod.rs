//! What a run leaves behind: the run directory, weights and checkpoints, networks for other programs, pictures of benchmarks.

pub(crate) mod axis;
pub mod checkpoint;
pub mod description;
pub mod drift_plot;
mod kinds;
pub mod onnx;
pub mod picture;
pub mod run_directory;
pub mod scaling_plot;
pub mod tensorboard;
mod tensors;
pub mod weights;
pub(crate) mod whole_file;
