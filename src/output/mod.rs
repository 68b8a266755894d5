//! What a run leaves behind: the run directory, weights and checkpoints, networks for other programs.

pub(crate) mod axis;
pub mod checkpoint;
pub mod description;
mod kinds;
pub mod onnx;
pub mod picture;
pub mod run_directory;
pub mod tensorboard;
mod tensors;
pub mod weights;
pub(crate) mod whole_file;
