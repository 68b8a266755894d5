//! The options of a run, each given or not: one table for the command line, for files, for recipes and for runs that go on.

mod draft;
mod owner;
mod table;

pub(super) use draft::{Draft, common};
use owner::Owner;

use super::{
    Guide, HiddenLossKind, LabelNoise, Labelled, Method, OutputLoss, Recipe, Schedule, TrainingConfig, Trust, TrustRate, Widths,
};
use crate::error::{Error, Result};
use crate::model::Architecture;
use serde::{Deserialize, Serialize};

/// What is known of an option beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionFacts {
    field: &'static str,
    help: &'static str,
    /// A recipe may set it. Others are about the network's size, the length of a run and its images.
    pub of_recipe: bool,
    /// It may change when a run goes on, because it moves no bit of what was trained so far.
    pub may_change: bool,
    /// What it is an option of.
    owner: Option<Owner>,
}

impl OptionFacts {
    const fn new(field: &'static str, help: &'static str) -> Self {
        Self { field, help, of_recipe: false, may_change: false, owner: None }
    }

    /// What it does, in a sentence or two.
    pub fn help(&self) -> &'static str {
        self.help.trim()
    }

    /// Its name on the command line, without dashes, and in files.
    pub fn name(&self) -> String {
        self.field.replace('_', "-")
    }
}

table::options! {
    "Data" {
        /// Scale pixels to mean 0 and deviation 1 of the training set instead of 0 to 1; features each by its own. Default for features and colours.
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_short_help = true)]
        standardize: bool => run.standardize, [of_recipe];
        /// Shift each training image by up to N random pixels along each axis, newly drawn in each epoch, for A and B separately.
        #[arg(value_name = "N")]
        shift: u32 => run.augmentation.shift, [];
        /// Rotate each training image by up to so many degrees, either way.
        #[arg(value_name = "DEGREES", hide_short_help = true)]
        rotation: f64 => run.augmentation.rotation, [];
        /// Resize each training image by up to this fraction, either way.
        #[arg(value_name = "FRACTION", hide_short_help = true)]
        scale: f64 => run.augmentation.scale, [];
        /// Bend each training image smoothly, by up to so many pixels along each axis.
        #[arg(value_name = "PIXELS", hide_short_help = true)]
        elastic: f64 => run.augmentation.elastic, [];
        /// Mirror half of the training images left to right: for photographs, not for digits.
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
        flip: bool => run.augmentation.flip, [];
        /// Give A and B the same augmented image, instead of one each.
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_short_help = true)]
        shared_view: bool => run.augmentation.shared, [];
        /// Make labels of training images wrong: pair:SHARE the next class, sym:SHARE any other, or those of a file, one a line.
        #[arg(value_name = "pair:SHARE|sym:SHARE|FILE", hide_short_help = true)]
        label_noise: LabelNoise => run.label_noise, [];
        /// Keep the labels of N training images, equally many of each class, and remove the others; N:SEED draws other images.
        #[arg(value_name = "N")]
        labelled: Labelled => run.few.labelled, [];
    }
    "Model" {
        /// Widths of the network, input first, classes last, such as 784,64,64,10; `auto` takes the first or last from the data.
        #[arg(value_name = "WIDTHS", hide_short_help = true)]
        layers: Widths, [];
        /// Widths of the hidden layers alone; input and output are the data's. Default: 64,64.
        #[arg(value_delimiter = ',', value_name = "WIDTHS", conflicts_with = "layers")]
        hidden: Vec<usize>, [];
    }
    "Method" {
        /// A named set of options; options given here win over it. Default: contrastive, or ffcl3 for that method.
        #[arg(value_enum)]
        recipe: Recipe, [];
        /// How the networks learn.
        #[arg(value_enum)]
        method: Method => run.method, [of_recipe];
        /// Loss of the output layer.
        #[arg(value_enum, hide_short_help = true)]
        output_loss: OutputLoss => run.output_loss, [of_recipe];
        /// Loss of the hidden layers.
        #[arg(value_enum)]
        hidden_loss: HiddenLossKind => hidden.kind, [of_recipe];
        /// Subtract the batch's mean from what the cosine loss compares.
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_short_help = true)]
        centre: bool => hidden.cosine.centre, [of_recipe] of Cosine;
        /// Whose prototypes guide the hidden layers.
        #[arg(value_enum, hide_short_help = true)]
        guide: Guide => hidden.prototypes.guide, [of_recipe] of Prototypes;
        /// Width of the projection between a hidden layer and its prototypes; 0 for none.
        #[arg(value_name = "WIDTH", hide_short_help = true)]
        projection: usize => hidden.prototypes.projection, [of_recipe] of Prototypes;
        /// Temperature of the softmax over the prototypes: the cosines are divided by it.
        #[arg(hide_short_help = true)]
        temperature: f64 => hidden.prototypes.temperature, [of_recipe] of Prototypes;
        /// Learning rate of the heads, as a multiple of --learning-rate; higher ones help where labels are wrong.
        #[arg(value_name = "TIMES", hide_short_help = true)]
        head_rate: f64 => hidden.head.head_rate, [of_recipe] of Head;
        /// Normalise the outputs of each hidden layer to the same length before the next layer reads them.
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_short_help = true)]
        normalize: bool => run.normalize, [of_recipe];
        /// Share of the hidden units that each training step leaves out at random.
        #[arg(value_name = "SHARE", hide_short_help = true)]
        dropout: f64 => run.dropout, [of_recipe];
        /// Who chooses the images a layer learns from when labels may be wrong.
        #[arg(value_enum)]
        trust: Trust => run.trust.trust, [];
        /// Expected share of wrong labels, or auto to estimate it.
        #[arg(value_name = "SHARE")]
        trust_rate: TrustRate => run.trust.trust_rate, [] of Trust;
        /// Epochs over which the share of images left out rises to --trust-rate.
        #[arg(value_name = "EPOCHS", hide_short_help = true)]
        trust_ramp: u32 => run.trust.trust_ramp, [] of Trust;
        /// Least probability at which an image without a label takes the class that the partner predicts; 1 for never.
        #[arg(value_name = "SHARE", hide_short_help = true)]
        pseudo_threshold: f64 => run.few.pseudo_threshold, [];
        /// Epochs over which the weight of predicted classes rises to that of labels.
        #[arg(value_name = "EPOCHS", hide_short_help = true)]
        pseudo_ramp: u32 => run.few.pseudo_ramp, [];
    }
    "Training" {
        /// Passes over the training set.
        epochs: u32 => run.epochs, [may_change];
        /// Images in a step; the last images of an epoch are left out if they do not fill a batch.
        batch_size: usize => run.batch_size, [of_recipe];
        /// Learning rate of Adam.
        learning_rate: f64 => run.adam.learning_rate, [of_recipe];
        /// How the learning rate changes over the run.
        #[arg(value_enum, hide_short_help = true)]
        schedule: Schedule => run.schedule, [of_recipe];
    }
}

impl RunOptions {
    /// The run on images like MNIST's if widths are left to the data: for checks that need no data.
    pub fn config(&self) -> Result<TrainingConfig> {
        self.fitted_to(784, 10)
    }

    /// The run on images of `pixels` numbers and `classes` classes: the recipe, with the options that were given. Fails where an
    /// option belongs to another hidden loss; [`TrainingConfig::check`] checks the rest.
    pub fn fitted_to(&self, pixels: usize, classes: usize) -> Result<TrainingConfig> {
        self.draft(pixels, classes).check()
    }

    /// Refuses those of the options `typed` that would change nothing, because they belong to something that this run does without.
    /// What a recipe or the record of a run says is not typed.
    pub(super) fn refuse_idle(&self, typed: &[String]) -> Result<()> {
        let run = self.draft(784, 10).into_config();
        let idle = Self::TABLE.iter().filter(|option| typed.contains(&option.name()));
        match idle.filter_map(|option| Some((option, option.owner?))).find(|(_, owner)| !owner.is_part_of(&run)) {
            Some((option, owner)) => {
                let name = option.name();
                Err(Error::Configuration(format!("--{name} belongs to {owner}; add that, or remove --{name}")))
            }
            None => Ok(()),
        }
    }

    /// Every option with the value that it has on such images, those of other hidden losses included.
    pub fn complete(&self, pixels: usize, classes: usize) -> Self {
        Self::of_draft(&self.draft(pixels, classes))
    }

    /// The options that make up `config`, each of them given.
    pub fn of(config: &TrainingConfig) -> Self {
        Self::of_draft(&Draft::of(config))
    }

    fn of_draft(draft: &Draft) -> Self {
        Self { layers: Some(Widths::from(&draft.run.architecture)), ..Self::read(draft) }
    }

    fn draft(&self, pixels: usize, classes: usize) -> Draft {
        let recipe = self.recipe.unwrap_or_else(|| Recipe::of(self.method.unwrap_or_default()));
        let mut draft = Draft::of_recipe(recipe);
        self.write(&mut draft);
        draft.run.architecture = self.widths(&draft.run.architecture).fitted_to(pixels, classes);
        draft
    }

    /// The widths asked for; hidden ones alone have the first and the last from the data, and so have the recipe's.
    fn widths(&self, recipe: &Architecture) -> Widths {
        let hidden = || self.hidden.clone().unwrap_or_else(|| recipe.hidden().collect());
        self.layers.clone().unwrap_or_else(|| Widths::around(&hidden()))
    }

    /// Whether the network's shape was given, in one way or the other.
    pub fn has_shape(&self) -> bool {
        self.layers.is_some() || self.hidden.is_some()
    }

    /// These options, and where they say nothing those of `base`.
    pub fn over(&self, base: &RunOptions) -> RunOptions {
        // Two ways to say the same: one's own takes the place of the base's other.
        if self.has_shape() { self.or(&RunOptions { layers: None, hidden: None, ..base.clone() }) } else { self.or(base) }
    }
}

#[cfg(test)]
mod tests;
