//! What a training run is, as data: every option and every default stands here and nowhere else.

mod adam;
mod audit;
mod augmentation;
mod check;
mod few;
mod fit;
mod hidden_loss;
mod method;
mod options;
mod output_loss;
mod recipe;
mod removed;
mod trust;
mod widths;
mod words;

pub use adam::{Adam, Schedule};
pub use augmentation::Augmentation;
pub use few::{FewLabels, Labelled};
pub use fit::{DataShape, Extent, Fitted, Idle};
pub use hidden_loss::{CosineOptions, Guide, HeadOptions, HiddenLoss, HiddenLossKind, PrototypeOptions};
pub use method::{Method, Stage};
pub use options::{OptionFacts, RunOptions};
pub use output_loss::OutputLoss;
pub use recipe::Recipe;
pub use removed::take_removed;
pub use trust::{Drawn, LabelNoise, Trust, TrustOptions, TrustRate};
pub use widths::Widths;

use crate::error::Result;
use crate::model::{Architecture, Parameters};
use serde::{Deserialize, Serialize};

/// A whole training run, apart from the data set and the device: begin with [`Recipe::config`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default = "options::common")]
pub struct TrainingConfig {
    /// The networks' shape; in files as `--layers` has it.
    #[serde(rename = "layers", with = "widths::written")]
    pub architecture: Architecture,
    /// Passes over the training set.
    pub epochs: u32,
    /// Images in a step. An epoch has `images / batch_size` steps, rounded down.
    pub batch_size: usize,
    /// The optimiser.
    pub adam: Adam,
    /// How its learning rate changes.
    pub schedule: Schedule,
    /// Seed of replica 0; replica r has `seed + r`.
    pub seed: u64,
    /// Independent pairs of models, trained side by side.
    pub replicas: usize,
    /// A fresh order each epoch, or the data set's own.
    pub shuffle: bool,
    /// Stop after so many steps.
    pub max_steps: Option<u64>,
    /// How the networks learn.
    pub method: Method,
    /// Loss of the output layer.
    pub output_loss: OutputLoss,
    /// Loss of the hidden layers.
    #[serde(flatten)]
    pub hidden_loss: HiddenLoss,
    /// Bring each row of a hidden layer's output to the length √width before the next layer reads it.
    pub normalize: bool,
    /// Share of each hidden layer's units that a step leaves out, by chance.
    pub dropout: f64,
    /// Random changes of the training images.
    pub augmentation: Augmentation,
    /// Scale pixels, or each feature, to mean 0 and deviation 1 of the training set.
    pub standardize: bool,
    /// Which images are learned from.
    #[serde(flatten)]
    pub trust: TrustOptions,
    /// What is done about images without labels.
    #[serde(flatten)]
    pub few: FewLabels,
    /// Labels of training images that are made wrong.
    pub label_noise: LabelNoise,
}

impl TrainingConfig {
    /// The parameters that the run begins with.
    pub fn initial_parameters(&self) -> Result<Parameters> {
        self.check()?;
        let parameters = Parameters::initialize(&self.architecture, self.seed, self.replicas);
        Ok(match self.projection() {
            Some(width) => parameters.with_projections(&self.architecture, width, self.seed),
            None => parameters,
        })
    }

    /// Bytes of all parameters that the host holds.
    pub fn parameter_bytes(&self) -> u128 {
        let hidden: u128 = self.architecture.hidden().map(|width| width as u128).sum();
        let projections = 4 * hidden * self.projection().unwrap_or(0) as u128;
        2 * self.replicas as u128 * (self.architecture.parameter_bytes() + projections)
    }

    /// Width of the projections behind hidden layers, where there are some. A head is one, to the classes.
    pub fn projection(&self) -> Option<usize> {
        match self.hidden_loss {
            HiddenLoss::Prototypes(options) | HiddenLoss::Instances(options) if self.has_hidden_losses() => {
                Some(options.projection).filter(|&width| width > 0)
            }
            HiddenLoss::Head(_) if self.has_hidden_losses() => Some(self.architecture.classes()),
            _ => None,
        }
    }

    /// Steps of one epoch over `images` images: whole batches only.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        images / self.batch_size
    }
}
