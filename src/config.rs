//! What a training run is, as data: every option and every default stands here and nowhere else.

use crate::error::{Error, Result};
use crate::model::Architecture;
use serde::{Deserialize, Serialize};

/// The loss of the output layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLoss {
    /// Binary cross-entropy on the softmax output, mean over batch and classes (the paper).
    #[default]
    BinaryCrossEntropy,
    /// Softmax cross-entropy, mean over the batch.
    CrossEntropy,
}

/// The vectors that the cosine embedding loss of the hidden layers compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Representation {
    /// `h = relu(z)`.
    #[default]
    Activation,
    /// `z`, before the ReLU.
    PreActivation,
}

/// The optimiser (Kingma and Ba, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 1e-4, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// A whole training run, apart from the data set and the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingConfig {
    /// Layer widths, input first, classes last.
    pub layers: Vec<usize>,
    /// Passes over the training set.
    pub epochs: u32,
    /// Images in a step. An epoch has `images / batch_size` steps, rounded down.
    pub batch_size: usize,
    /// The optimiser.
    pub adam: Adam,
    /// Seed of replica 0; replica r has `seed + r`.
    pub seed: u64,
    /// Independent pairs of models, trained side by side.
    pub replicas: usize,
    /// A fresh order each epoch, or the data set's own.
    pub shuffle: bool,
    /// Stop after so many steps.
    pub max_steps: Option<u64>,
    /// Loss of the output layer.
    pub output_loss: OutputLoss,
    /// What the hidden layers' loss compares.
    pub representation: Representation,
    /// Subtract the batch's mean from what the hidden layers' loss compares. The mean counts as a constant.
    #[serde(default)]
    pub centre: bool,
    /// Scale pixels to mean 0 and deviation 1 of the training set.
    pub standardize: bool,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            layers: vec![784, 64, 64, 10],
            epochs: 30,
            batch_size: 64,
            adam: Adam::default(),
            seed: 0,
            replicas: 1,
            shuffle: true,
            max_steps: None,
            output_loss: OutputLoss::default(),
            representation: Representation::default(),
            centre: false,
            standardize: false,
        }
    }
}

/// A named set of options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recipe {
    /// The method as the paper's equations state it. It collapses.
    #[default]
    Paper,
    /// The same with batch-centred vectors in the hidden layers' loss, which keeps it from collapsing.
    Centred,
}

impl Recipe {
    /// The recipe as a run, with everything that it does not speak of at its default.
    pub fn config(self) -> TrainingConfig {
        let paper = TrainingConfig::default();
        match self {
            Self::Paper => paper,
            Self::Centred => TrainingConfig { centre: true, ..paper },
        }
    }
}

/// Above this, sizes are surely mistakes; below it, no product of two of them overflows 64 bits.
const MAX_SIZE: usize = 1 << 24;

impl TrainingConfig {
    /// The networks' shape, after every check that needs no data.
    pub fn architecture(&self) -> Result<Architecture> {
        let fail = |message: String| Err(Error::Configuration(message));
        if self.epochs == 0 {
            return fail("--epochs 0 trains nothing; give 1 or more".into());
        }
        if self.batch_size == 0 || self.batch_size > MAX_SIZE {
            return fail(format!("--batch-size {} is out of range; give 1 to {MAX_SIZE}", self.batch_size));
        }
        if self.replicas == 0 || self.replicas > 1 << 15 {
            return fail(format!("--replicas {} is out of range; give 1 to {}", self.replicas, 1 << 15));
        }
        if self.max_steps == Some(0) {
            return fail("--max-steps 0 trains nothing; give 1 or more, or leave it out".into());
        }
        // Kernels get it as f32, in which it must be neither 0 nor infinite.
        let rate = self.adam.learning_rate as f32;
        if !(rate.is_finite() && rate > 0.0) {
            return fail(format!("--learning-rate {:e} must be a positive number such as 1e-4", self.adam.learning_rate));
        }
        Architecture::new(self.layers.clone())
    }

    /// Checks the run against a data set of `images` training images with `pixels` numbers each and `classes` classes.
    pub fn check_against(&self, images: usize, pixels: usize, classes: usize) -> Result<()> {
        let fail = |message: String| Err(Error::Configuration(message));
        let (first, last) = (self.layers.first().copied().unwrap_or(0), self.layers.last().copied().unwrap_or(0));
        if first != pixels {
            return fail(format!(
                "--layers begins with {first}, but an image of this data set has {pixels} pixels; begin it with {pixels}"
            ));
        }
        if last != classes {
            return fail(format!("--layers ends with {last}, but this data set has {classes} classes; end it with {classes}"));
        }
        if self.batch_size > images {
            return fail(format!(
                "--batch-size {} is larger than the training set of {images} images; give at most {images}",
                self.batch_size
            ));
        }
        Ok(())
    }

    /// Steps of one epoch over `images` images: whole batches only.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        images / self.batch_size
    }
}
