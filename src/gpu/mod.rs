//! The GPU path: wgpu underneath, the kernels of `shaders/` on top.
//!
//! [`adapter`] finds a device, [`context`] opens it, `faults` turns its failures into errors, [`buffers`] allocates, [`tensors`] holds what a run's programs name, [`bound_dispatch`] is an
//! operation with its buffers, [`choice`] decides between plans, `pace` how much is submitted at once, [`backend`] runs a training
//! with all of these. [`tuning`] chooses tiles by measuring, and `same_bits` checks the choice.

pub mod adapter;
pub mod backend;
pub mod bound_dispatch;
pub mod buffers;
pub mod choice;
pub mod context;
mod faults;
mod pace;
pub mod profile;
pub(crate) mod run_once;
pub mod same_bits;
pub mod span;
pub mod tensors;
pub mod tuning;
