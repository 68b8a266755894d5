//! What a training run is, as data: every option and every default stands here and nowhere else.

mod options;
mod recipe;
mod widths;

pub use options::RunOptions;
pub use recipe::Recipe;
pub use widths::Widths;

use crate::error::{Error, Result};
use crate::model::{Architecture, Parameters};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The loss of the output layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLoss {
    /// Binary cross-entropy on the softmax output, mean over batch and classes (the paper).
    #[default]
    BinaryCrossEntropy,
    /// Softmax cross-entropy, mean over the batch.
    CrossEntropy,
}

/// How the two networks of a pair learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Every layer by its own loss, guided by the partner.
    #[default]
    Local,
    /// The same, but B never moves.
    FrozenPartner,
    /// No guidance: the output layers learn, hidden layers stay as they began.
    Independent,
    /// Each network end to end, by the output's loss.
    Backprop,
    /// The original in three stages (arXiv 2305.02927): hidden layers by their losses; the last hidden layer's loss through all
    /// layers below it; the output's loss through all layers.
    Ffcl3,
}

/// The loss of the hidden layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenLoss {
    /// `1 − cos` between a representation and the partner's of the same image (the paper).
    #[default]
    Cosine,
    /// Cross-entropy over the cosines to the classes' prototypes, which are means of the guide's representations.
    Prototypes,
    /// Within each network, `1 − cos` to a random image of the same class and `max(0, cos − 0.5)` to one of another class
    /// (arXiv 2305.02927).
    Pairs,
}

/// Whose prototypes guide a hidden layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Guide {
    /// The other network's.
    #[default]
    Partner,
    /// Its own: the control.
    Own,
}

/// How the learning rate changes over the steps of a run, or of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// `½ (1 + cos(π t / T))` of it at step t (from 0) of T.
    Cosine,
}

/// Random changes of each training image, new in each epoch. A moved image is sampled bilinearly and filled with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Largest shift, in whole pixels along each axis.
    pub shift: u32,
    /// Largest rotation, in degrees either way.
    pub rotation: f64,
    /// Largest change of size, as a fraction either way.
    pub scale: f64,
    /// A and B see the same change; else each its own.
    pub shared: bool,
}

impl Augmentation {
    /// Whether images change at all.
    pub fn is_active(&self) -> bool {
        self.shift > 0 || self.rotation > 0.0 || self.scale > 0.0
    }
}

/// What a stretch of a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Every layer by its own loss; the output layer too unless the run has stages.
    Local,
    /// The last hidden layer's loss, through all layers below it.
    Encoder,
    /// The output's loss, through all layers.
    EndToEnd,
}

/// The vectors that the cosine embedding loss of the hidden layers compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
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
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Layer widths, input first, classes last.
    pub layers: Vec<usize>,
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
    pub hidden_loss: HiddenLoss,
    /// What the cosine loss compares.
    pub representation: Representation,
    /// Subtract the batch's mean from what the cosine loss compares. The mean counts as a constant.
    pub centre: bool,
    /// Whose prototypes guide the hidden layers.
    pub guide: Guide,
    /// Width of the linear projection between a hidden layer and its prototypes, trained with the layer and dropped at test time; 0
    /// for none.
    pub projection: usize,
    /// Divides the cosines to the prototypes.
    pub temperature: f64,
    /// Share of a hidden layer's target that is not the label but what the partner's layer answers about the same image: its
    /// softmax over the prototypes that guide it.
    pub mutual: f64,
    /// Bring each row of a hidden layer's output to the length √width before the next layer reads it.
    pub normalize: bool,
    /// Random changes of the training images.
    pub augmentation: Augmentation,
    /// Scale pixels to mean 0 and deviation 1 of the training set.
    pub standardize: bool,
}

/// The paper's run: what every recipe changes something of.
impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            layers: vec![784, 64, 64, 10],
            epochs: 30,
            batch_size: 64,
            adam: Adam::default(),
            schedule: Schedule::default(),
            seed: 0,
            replicas: 1,
            shuffle: true,
            max_steps: None,
            method: Method::default(),
            output_loss: OutputLoss::default(),
            hidden_loss: HiddenLoss::default(),
            representation: Representation::default(),
            centre: false,
            guide: Guide::default(),
            projection: 0,
            temperature: 0.1,
            mutual: 0.0,
            normalize: false,
            augmentation: Augmentation::default(),
            standardize: false,
        }
    }
}

/// Above this, sizes are surely mistakes; below it, no product of two of them overflows 64 bits.
const MAX_SIZE: usize = 1 << 24;
/// Above this the pairs of a batch, whose work grows with its square, would take longer than everything else.
const MAX_PAIRED_BATCH: usize = 1 << 14;
/// A projection wider than any layer may be is a mistake.
const MAX_PROJECTION: usize = 1 << 16;

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
        // Below this, exponents of the prototypes' softmax leave the range of f32.
        if !(self.temperature >= 1e-3 && self.temperature <= 1e3) {
            return fail(format!("--temperature {} is out of range; give 0.001 to 1000, such as 0.1", self.temperature));
        }
        if self.projection > MAX_PROJECTION {
            return fail(format!("--projection {} is too wide; give 1 to {MAX_PROJECTION}, or 0 for none", self.projection));
        }
        if !(0.0..1.0).contains(&self.mutual) {
            return fail(format!("--mutual {} is out of range; give 0 to less than 1, such as 0.3", self.mutual));
        }
        if self.mutual > 0.0 && self.hidden_loss != HiddenLoss::Prototypes {
            return fail(
                "--mutual belongs to --hidden-loss prototypes; add that (or --recipe contrastive), or leave it out".into(),
            );
        }
        let moves = &self.augmentation;
        if moves.shift > 64 || !(0.0..=180.0).contains(&moves.rotation) || !(0.0..=0.5).contains(&moves.scale) {
            return fail("--shift must be 0 to 64 pixels, --rotation 0 to 180 degrees, --scale 0 to 0.5".into());
        }
        let cosine = self.hidden_loss == HiddenLoss::Cosine;
        for (given, option) in
            [(self.centre, "--centre"), (self.representation == Representation::PreActivation, "--representation pre-activation")]
        {
            if given && !cosine {
                return fail(format!(
                    "{option} belongs to --hidden-loss cosine; add that (or --recipe paper), or leave {option} out"
                ));
            }
        }
        if self.hidden_loss == HiddenLoss::Pairs && self.batch_size > MAX_PAIRED_BATCH {
            return fail(format!(
                "--batch-size {} is too large for --hidden-loss pairs, where every row looks at every other; give at most {MAX_PAIRED_BATCH}",
                self.batch_size
            ));
        }
        if self.method == Method::Ffcl3 && (self.epochs < 3 || self.layers.len() < 3) {
            return fail(
                "--method ffcl3 has three stages and needs a hidden layer; give --epochs 3 or more, and three widths".into(),
            );
        }
        Architecture::new(self.layers.clone())
    }

    /// The parameters that the run begins with.
    pub fn initial_parameters(&self) -> Result<Parameters> {
        let architecture = self.architecture()?;
        let parameters = Parameters::initialize(&architecture, self.seed, self.replicas);
        Ok(if self.has_projections() {
            parameters.with_projections(&architecture, self.projection, self.seed)
        } else {
            parameters
        })
    }

    /// The run as its evaluation sees it: activations as they are, and nothing else kept.
    pub fn of_evaluation(&self) -> Self {
        Self {
            method: Method::Independent,
            hidden_loss: HiddenLoss::Cosine,
            representation: Representation::Activation,
            centre: false,
            ..self.clone()
        }
    }

    /// The same with the means of the activations.
    pub fn of_diagnosis(&self) -> Self {
        Self { centre: true, ..self.of_evaluation() }
    }

    /// Bytes of all parameters that the host holds.
    pub fn parameter_bytes(&self, architecture: &Architecture) -> u128 {
        let hidden: u128 = architecture.widths()[1..architecture.layer_count()].iter().map(|&width| width as u128).sum();
        let projections = if self.has_projections() { 4 * hidden * self.projection as u128 } else { 0 };
        2 * self.replicas as u128 * (architecture.parameter_bytes() + projections)
    }

    /// Whether a stage takes gradients down the network.
    pub fn backpropagates(&self) -> bool {
        self.stages().iter().any(|&stage| stage != Stage::Local)
    }

    /// Whether hidden layers have losses of their own.
    pub fn has_hidden_losses(&self) -> bool {
        matches!(self.method, Method::Local | Method::FrozenPartner | Method::Ffcl3)
    }

    /// Whether its hidden layers have projections.
    pub fn has_projections(&self) -> bool {
        self.has_hidden_losses() && self.hidden_loss == HiddenLoss::Prototypes && self.projection > 0
    }

    /// The stages in their order.
    pub fn stages(&self) -> &'static [Stage] {
        match self.method {
            Method::Local | Method::FrozenPartner | Method::Independent => &[Stage::Local],
            Method::Backprop => &[Stage::EndToEnd],
            Method::Ffcl3 => &[Stage::Local, Stage::Encoder, Stage::EndToEnd],
        }
    }

    /// The stage that an epoch (from 1) belongs to, as its place in [`Self::stages`], the stage's first epoch and its number of
    /// epochs. Stages are equally long; the last one takes what is left.
    pub fn stage_of(&self, epoch: u32) -> (usize, u32, u32) {
        let count = self.stages().len() as u32;
        let length = (self.epochs / count).max(1);
        let index = ((epoch - 1) / length).min(count - 1);
        let first = index * length + 1;
        (index as usize, first, if index + 1 == count { self.epochs.max(first) - first + 1 } else { length })
    }

    /// Whether the output layer learns in an epoch.
    pub fn trains_output(&self, epoch: u32) -> bool {
        self.method != Method::Ffcl3 || self.stages()[self.stage_of(epoch).0] == Stage::EndToEnd
    }

    /// The optimiser at step `step` (from 0) of a stage of `steps`.
    pub fn adam_at(&self, step: u64, steps: u64) -> Adam {
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
        };
        Adam { learning_rate: self.adam.learning_rate * factor, ..self.adam }
    }

    /// Checks the run against a data set of `images` training images with `pixels` numbers each and `classes` classes.
    pub fn check_against(&self, images: usize, pixels: usize, classes: usize) -> Result<()> {
        let fail = |message: String| Err(Error::Configuration(message));
        let (first, last) = (self.layers.first().copied().unwrap_or(0), self.layers.last().copied().unwrap_or(0));
        if first != pixels {
            return fail(format!(
                "--layers begins with {first}, but an image of this data set has {pixels} pixels; begin it with {pixels} or auto"
            ));
        }
        if last != classes {
            return fail(format!(
                "--layers ends with {last}, but this data set has {classes} classes; end it with {classes} or auto"
            ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_cover_all_epochs() {
        let config = TrainingConfig { epochs: 11, ..Recipe::Ffcl3.config() };
        let stages: Vec<_> = (1..=11).map(|epoch| config.stage_of(epoch)).collect();
        assert_eq!(stages[..3], [(0, 1, 3); 3]);
        assert_eq!(stages[3..6], [(1, 4, 3); 3]);
        assert_eq!(stages[6..], [(2, 7, 5); 5]);
        assert_eq!(Recipe::Paper.config().stage_of(30), (0, 1, 30));
    }

    #[test]
    fn the_cosine_schedule_goes_from_all_to_almost_nothing() {
        let config = Recipe::Contrastive.config();
        let at = |step| config.adam_at(step, 1000).learning_rate;
        assert_eq!(at(0), 2e-3);
        assert!((at(500) - 1e-3).abs() < 1e-12);
        // 1 − cos(x) = x²/2 for small x, here π/1000.
        assert!((at(999) - 2e-3 * (std::f64::consts::PI / 1000.0).powi(2) / 4.0).abs() < 1e-13);
    }
}
