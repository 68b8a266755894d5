//! Training of two networks that guide each other, without backpropagation, in hand-written compute shaders.
//!
//! Data flows one way: configuration ([`config`]) → data set ([`dataset`]) → backend ([`engine`]: [`gpu`] or [`cpu`]) →
//! metrics ([`train`]) → files ([`output`]); [`study`] compares many runs. `ARCHITECTURE.md` has the map.

pub mod bench;
pub mod config;
pub mod cpu;
pub mod dataset;
pub mod diagnosis;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod gpu;
pub mod layout;
pub mod memory;
pub mod model;
pub mod output;
pub mod plan;
pub mod random;
pub mod study;
pub mod suggestion;
pub mod train;
pub mod trained;
pub mod verify;

pub use error::{Error, Result};
