//! A run in the making: what options write into, and are read from.

use super::super::hidden_loss::HiddenLossOptions;
use super::super::{
    Adam, Augmentation, FewLabels, HiddenLoss, LabelNoise, Method, OutputLoss, Recipe, Schedule, TrainingConfig, TrustOptions,
};
use crate::error::Result;
use crate::model::Architecture;

/// A run with the options of every hidden loss, until one is chosen.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The run; its hidden loss counts for nothing.
    pub(super) run: TrainingConfig,
    /// The hidden loss.
    pub(super) hidden: HiddenLossOptions,
}

impl Draft {
    /// A recipe, with everything that it does not set at its default.
    pub fn of_recipe(recipe: Recipe) -> Self {
        let mut draft = Self::of(&common());
        recipe.options().write(&mut draft);
        draft
    }

    /// The draft that describes `run`. Options of other hidden losses than its own are at their defaults.
    pub fn of(run: &TrainingConfig) -> Self {
        Self { run: run.clone(), hidden: run.hidden_loss.into() }
    }

    /// The run, if no option contradicts the hidden loss that was chosen.
    pub fn check(self) -> Result<TrainingConfig> {
        self.hidden.check()?;
        Ok(self.into_config())
    }

    /// The run.
    pub fn into_config(self) -> TrainingConfig {
        TrainingConfig { hidden_loss: self.hidden.into(), ..self.run }
    }
}

/// What is so in every run unless a recipe or an option says otherwise.
pub fn common() -> TrainingConfig {
    TrainingConfig {
        architecture: Architecture::dense(&[784, 64, 64, 10]),
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
        hidden_loss: HiddenLoss::from(HiddenLossOptions::default()),
        normalize: false,
        dropout: 0.0,
        augmentation: Augmentation::default(),
        standardize: false,
        trust: TrustOptions::default(),
        few: FewLabels::default(),
        label_noise: LabelNoise::None,
    }
}
