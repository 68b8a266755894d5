//! What a run leaves behind: the run directory and the weights file.

pub mod run_directory;
pub mod weights;
mod whole_file;
