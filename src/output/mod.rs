//! What a run leaves behind: the run directory, weights and checkpoints, networks for other programs.

#[cfg(feature = "program")]
pub(crate) mod axis;
pub mod checkpoint;
pub mod description;
mod kinds;
#[cfg(feature = "program")]
pub mod learned;
#[cfg(feature = "files")]
pub mod onnx;
#[cfg(feature = "program")]
pub mod picture;
#[cfg(feature = "program")]
pub mod run_directory;
#[cfg(feature = "program")]
pub mod tensorboard;
mod tensors;
pub mod weights;
#[cfg(feature = "files")]
pub mod whole_file;
