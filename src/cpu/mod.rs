//! The CPU path: the programs of a run, carried out by the kernels' twins.
//!
//! [`executor`] holds the tensors and runs operations on all cores, [`backend`] trains with it.

pub mod backend;
pub mod executor;
