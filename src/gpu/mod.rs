//! The GPU path: wgpu underneath, the kernels of `shaders/` on top.
//!
//! [`adapter`] finds a device, [`context`] opens it and turns its failures into errors, [`kernels`] is the table of kernels,
//! [`tiles`] their shapes, [`buffers`] what stays allocated, [`backend`] runs a training with all of these.

pub mod adapter;
pub mod backend;
pub mod buffers;
pub mod context;
pub mod kernels;
pub(crate) mod run_once;
pub mod tiles;
