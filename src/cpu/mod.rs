//! The CPU path: a readable twin of every kernel, and a backend that trains with them.
//!
//! A twin has the name, the inputs and the outputs of its kernel in `shaders/`. It is the specification which the kernel is
//! held against, and what a machine without a GPU runs. [`Arithmetic`] chooses how it computes.

pub mod accuracy;
pub mod arithmetic;
pub mod backend;
pub mod batch_mean;
pub mod class_prototypes;
pub mod cosine_gradient;
pub mod covariance;
mod executor;
pub mod forward;
pub mod gather;
pub mod input_gradient;
pub mod matmul;
pub mod normalize;
pub mod normalize_gradient;
pub mod output_gradient;
pub mod pair_gradient;
pub mod pairs;
pub mod reduction;
pub mod shuffle;
pub mod softmax;
pub mod weight_norms;
pub mod weight_update;

pub use arithmetic::{Arithmetic, Blocked, Double, Real, Single};
