//! Named sets of options: a recipe is data, not a code path.

use super::{Adam, HiddenLoss, Method, OutputLoss, Schedule, TrainingConfig};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A named set of options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Class prototypes of the partner's projections guide every hidden layer: local learning that is accurate.
    #[default]
    Contrastive,
    /// The method as the paper's equations state it. It collapses.
    Paper,
    /// The same with batch-centred vectors in the hidden layers' loss, which keeps it from collapsing.
    Centred,
    /// The original in three stages, ten epochs each.
    Ffcl3,
}

impl Recipe {
    /// The options that a recipe speaks of. All others are about the network's size, the length of a run and its images.
    pub const OPTIONS: [&str; 14] = [
        "batch-size",
        "learning-rate",
        "schedule",
        "method",
        "output-loss",
        "hidden-loss",
        "representation",
        "centre",
        "guide",
        "projection",
        "temperature",
        "mutual",
        "normalize",
        "standardize",
    ];

    /// The recipe that suits a method where none is named.
    pub fn of(method: Method) -> Self {
        if method == Method::Ffcl3 { Self::Ffcl3 } else { Self::default() }
    }

    /// The recipe as a run, with everything that it does not speak of at its default.
    pub fn config(self) -> TrainingConfig {
        let paper = TrainingConfig::default();
        let at = |learning_rate| Adam { learning_rate, ..paper.adam };
        match self {
            Self::Contrastive => TrainingConfig {
                batch_size: 128,
                adam: at(2e-3),
                schedule: Schedule::Cosine,
                output_loss: OutputLoss::CrossEntropy,
                hidden_loss: HiddenLoss::Prototypes,
                projection: 32,
                temperature: 0.1,
                normalize: true,
                ..paper
            },
            Self::Paper => paper,
            Self::Centred => TrainingConfig { centre: true, ..paper },
            Self::Ffcl3 => TrainingConfig {
                batch_size: 128,
                adam: at(1e-3),
                schedule: Schedule::Cosine,
                method: Method::Ffcl3,
                output_loss: OutputLoss::CrossEntropy,
                hidden_loss: HiddenLoss::Pairs,
                standardize: true,
                ..paper
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_runs() {
        for recipe in [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3] {
            recipe.config().architecture().unwrap();
        }
    }
}
