//! Training of two networks that guide each other, without backpropagation, in hand-written compute shaders.
//!
//! Data flows one way: configuration ([`config`]) → data set ([`dataset`]) → backend ([`engine`]: [`gpu`] or [`cpu`]) →
//! metrics ([`train`]) → files ([`output`]); [`study`] compares many runs, and [`trained`] asks what came out. `ARCHITECTURE.md` has the
//! map.
//!
//! Load data, build a trainer, step through epochs with a callback, read the weights, predict:
//!
//! ```
//! use ffcl_gpu::config::{Recipe, TrainingConfig};
//! use ffcl_gpu::{cpu::backend::open, dataset::digits, engine::Job, model::Network, output::description::ModelDescription};
//! use ffcl_gpu::{train::{Advance, Event, Trainer}, trained::TrainedModel};
//! use std::ops::ControlFlow::Continue;
//!
//! # fn main() -> ffcl_gpu::Result<()> {
//! let dataset = digits::generate_with_counts(digits::SEED, 6000, 200);
//! let config = TrainingConfig { epochs: 4, ..Recipe::default().config() };
//! let job = Job { config: &config, dataset: &dataset };
//!
//! let mut backend = open(job)?;
//! backend.set_parameters(&config.initial_parameters()?)?;
//! let mut trainer = Trainer::new(job, backend.as_mut());
//!
//! let mut observe = |event: Event| {
//!     if let Event::Epoch(reports) = event {
//!         println!("epoch {}: {}", reports[0].epoch, reports[0].test_accuracy_ensemble);
//!     }
//!     Ok(Continue(()))
//! };
//! while trainer.epoch(&mut observe)? == Advance::Epoch {}
//!
//! let parameters = trainer.parameters()?;
//! assert_eq!(parameters.slots[0][0].shape, [64, 784]); // A's first layer
//!
//! let model = TrainedModel::new(parameters, ModelDescription::of(job))?;
//! let answers = model.answers(&dataset.test, &open)?;
//! let (class, probability) = answers.top(Network::Ensemble, 0, 1)[0];
//! println!("the first image shows a {class} ({probability})");
//! # let right = (0..200).filter(|&image| answers.answer(Network::Ensemble, image) == usize::from(dataset.test.labels[image])).count();
//! # assert!(right > 150 && class < 10 && probability <= 1.0, "{right}");
//! # Ok(())
//! # }
//! ```

// Whatever a user gives is answered with an error, never with a panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo))]

pub mod arithmetic;
pub mod assembly;
#[cfg(feature = "program")]
pub mod audit;
#[cfg(feature = "program")]
pub mod bench;
#[cfg(feature = "program")]
mod bounded_file;
pub mod checksum;
pub mod config;
pub mod cpu;
pub mod dataset;
#[cfg(feature = "images")]
pub mod decode;
pub mod diagnosis;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod gpu;
#[cfg(feature = "program")]
pub mod home;
pub mod kernels;
pub mod layout;
pub mod memory;
pub mod model;
pub mod output;
mod parallel;
pub mod program;
pub mod random;
#[cfg(feature = "program")]
pub mod report;
#[cfg(feature = "program")]
pub mod study;
#[cfg(feature = "program")]
pub mod suggestion;
#[cfg(feature = "program")]
pub mod text;
pub mod train;
pub mod trained;
pub mod verify;
pub mod waiting;

pub use error::{Error, Result};
