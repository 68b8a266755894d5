//! The GPU path: wgpu underneath, the kernels of `shaders/` on top.
//!
//! [`adapter`] finds a device, [`context`] opens it, `faults` turns its failures into errors, [`kernels`] is the table of
//! kernels, [`tiles`] their shapes; [`buffers`], [`tensor`] and [`resident`] are what stays allocated, `estimate` counts them
//! beforehand, [`prepared`] is a dispatch with its buffers, [`choice`] decides between plans, `pace` how much is submitted at
//! once, [`backend`] runs a training with all of these.

pub mod adapter;
pub mod backend;
pub mod buffers;
pub mod choice;
pub mod context;
mod estimate;
mod faults;
pub mod kernels;
pub mod order;
mod pace;
pub mod prepared;
pub mod profile;
pub mod resident;
pub(crate) mod run_once;
mod steps;
pub mod tensor;
pub mod tiles;
