//! Named sets of options: a recipe is data, not a code path.

use super::options::Draft;
use super::{HiddenLossKind, Method, OutputLoss, RunOptions, Schedule, TrainingConfig};
use serde::{Deserialize, Serialize};

/// A named set of options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Class prototypes of the partner's projections guide every hidden layer: local learning that is accurate.
    #[default]
    Contrastive,
    /// A linear head of its own teaches every hidden layer, on standardised inputs: the most accurate local learning here. Needs no
    /// partner.
    Heads,
    /// The method as the paper's equations state it. It collapses.
    Paper,
    /// The same with batch-centred vectors in the hidden layers' loss, which keeps it from collapsing.
    Centred,
    /// The original in three stages, ten epochs each.
    Ffcl3,
}

impl Recipe {
    /// The recipe that suits a method where none is named.
    pub fn of(method: Method) -> Self {
        if method == Method::Ffcl3 { Self::Ffcl3 } else { Self::default() }
    }

    /// The options that it stands for. What it leaves out is as in every run.
    pub fn options(self) -> RunOptions {
        match self {
            Self::Contrastive => RunOptions {
                batch_size: Some(128),
                learning_rate: Some(2e-3),
                schedule: Some(Schedule::Cosine),
                output_loss: Some(OutputLoss::CrossEntropy),
                hidden_loss: Some(HiddenLossKind::Prototypes),
                projection: Some(32),
                temperature: Some(0.1),
                normalize: Some(true),
                ..RunOptions::default()
            },
            Self::Heads => {
                RunOptions { hidden_loss: Some(HiddenLossKind::Head), standardize: Some(true), ..Self::Contrastive.options() }
            }
            Self::Paper => RunOptions {
                batch_size: Some(64),
                learning_rate: Some(1e-4),
                output_loss: Some(OutputLoss::BinaryCrossEntropy),
                hidden_loss: Some(HiddenLossKind::Cosine),
                ..RunOptions::default()
            },
            Self::Centred => RunOptions { centre: Some(true), ..Self::Paper.options() },
            Self::Ffcl3 => RunOptions {
                batch_size: Some(128),
                learning_rate: Some(1e-3),
                schedule: Some(Schedule::Cosine),
                method: Some(Method::Ffcl3),
                output_loss: Some(OutputLoss::CrossEntropy),
                hidden_loss: Some(HiddenLossKind::Pairs),
                standardize: Some(true),
                ..RunOptions::default()
            },
        }
    }

    /// The recipe as a run, with everything that it does not set at its default.
    pub fn config(self) -> TrainingConfig {
        Draft::of_recipe(self).into_config()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use serde_json::json;

    #[test]
    fn recipes_are_runs_and_speak_of_their_own_options_only() {
        for recipe in Recipe::value_variants() {
            recipe.config().check().unwrap();
            let options = RunOptions { recipe: Some(*recipe), ..RunOptions::default() };
            assert_eq!(options.config().unwrap(), recipe.config());
            for name in json!(recipe.options()).as_object().unwrap().keys() {
                let fact = RunOptions::TABLE.iter().find(|fact| fact.name() == *name).unwrap();
                assert!(fact.of_recipe, "{name}");
            }
        }
    }
}
