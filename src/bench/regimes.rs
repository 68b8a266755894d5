//! The kinds of work that are measured.

use crate::config::{Method, Recipe, TrainingConfig};
use crate::model::Architecture;
use clap::ValueEnum;
use serde::Serialize;

/// What networks learn by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BenchRecipe {
    /// The default recipe.
    Contrastive,
    /// Backpropagation, everything else as in the default recipe.
    Backprop,
    /// A head behind each hidden layer.
    Heads,
    /// The paper's literal method.
    Paper,
    /// The same with centred vectors in the loss.
    Centred,
    /// The first of the original's three stages.
    Ffcl3,
}

impl BenchRecipe {
    /// As options and tables name it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The run that it stands for.
    pub fn config(self) -> TrainingConfig {
        match self {
            Self::Contrastive => Recipe::Contrastive.config(),
            Self::Backprop => TrainingConfig { method: Method::Backprop, ..Recipe::Contrastive.config() },
            Self::Heads => Recipe::Heads.config(),
            Self::Paper => Recipe::Paper.config(),
            Self::Centred => Recipe::Centred.config(),
            Self::Ffcl3 => Recipe::Ffcl3.config(),
        }
    }
}

/// A kind of work that users do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// What the networks learn by.
    pub recipe: BenchRecipe,
    /// Its name.
    pub name: String,
    /// The group that it belongs to; a group varies one thing.
    pub group: &'static str,
    /// What varies within the group, as a number.
    pub variable: usize,
    /// The networks' shape.
    pub architecture: Architecture,
    /// Images in a step.
    pub batch_size: usize,
    /// Pairs of models.
    pub replicas: usize,
    /// Images of the training set, where whole epochs are measured; otherwise steps are.
    pub images: Option<usize>,
    /// Images of the test set.
    pub test_images: usize,
}

/// A test set that costs nothing.
const FEW_IMAGES: usize = 16;

/// The groups, in the order of [`all`].
pub const GROUPS: [&str; 10] = ["small", "replicas", "wide", "huge", "batch", "images", "depth", "wide-depth", "width", "epoch"];
/// What is measured unless something else is asked for,
pub const DEFAULT_GROUPS: [&str; 3] = ["small", "replicas", "wide"];
/// and by which recipes.
pub const DEFAULT_RECIPES: [&str; 2] = ["contrastive", "paper"];

/// Every regime of a recipe. The paper's layers alone are bound by latency, a wide network by arithmetic; replicas lie between.
pub fn all(recipe: BenchRecipe) -> Vec<Regime> {
    let small = Regime {
        recipe,
        name: "small".into(),
        group: "small",
        variable: 1,
        architecture: Architecture::dense(&[784, 64, 64, 10]),
        batch_size: recipe.config().batch_size,
        replicas: 1,
        images: None,
        test_images: FEW_IMAGES,
    };
    let vary = |group: &'static str, values: &[usize], set: fn(&mut Regime, usize)| {
        let regime = |&value: &usize| {
            let mut regime = Regime { name: format!("{group}-{value}"), group, variable: value, ..small.clone() };
            set(&mut regime, value);
            regime
        };
        values.iter().map(regime).collect::<Vec<_>>()
    };
    let whole = |group: &'static str, architecture: Architecture, batch_size: usize| Regime {
        name: group.into(),
        group,
        architecture,
        batch_size,
        ..small.clone()
    };
    let mut regimes = vec![small.clone()];
    regimes.extend(vary("replicas", &[8, 32, 128], |regime, value| regime.replicas = value));
    regimes.extend(vary("wide", &[256, 512], |regime, value| {
        (regime.architecture, regime.batch_size) = (Architecture::dense(&[784, 1000, 1000, 1000, 10]), value);
    }));
    regimes.push(whole("huge", Architecture::dense(&[784, 4096, 4096, 10]), 4096));
    regimes.extend(vary("batch", &[16, 64, 256, 1024], |regime, value| regime.batch_size = value));
    regimes.extend(vary("images", &[1000, 4000, 16000, 60000], |regime, value| regime.images = Some(value)));
    regimes.extend(vary("depth", &[2, 4, 8, 16], |regime, value| {
        regime.architecture = Architecture::dense(&[vec![784], vec![64; value - 1], vec![10]].concat());
    }));
    regimes.extend(vary("wide-depth", &[2, 4, 8, 16], |regime, value| {
        regime.architecture = Architecture::dense(&[vec![784], vec![512; value - 1], vec![10]].concat());
    }));
    regimes.extend(vary("width", &[32, 64, 128, 256, 512], |regime, value| {
        regime.architecture = Architecture::dense(&[784, value, value, 10]);
    }));
    // As a user waits for it: MNIST's size, with evaluation.
    regimes.push(Regime {
        images: Some(60_000),
        test_images: 10_000,
        ..whole("epoch", small.architecture.clone(), small.batch_size)
    });
    regimes
}

impl Regime {
    /// The regime as a run.
    pub fn config(&self) -> TrainingConfig {
        TrainingConfig {
            architecture: self.architecture.clone(),
            batch_size: self.batch_size,
            replicas: self.replicas,
            ..self.recipe.config()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_regime_is_a_run_and_has_its_group() {
        for recipe in BenchRecipe::value_variants() {
            for regime in all(*recipe) {
                regime.config().check().unwrap();
                assert!(GROUPS.contains(&regime.group), "{}", regime.group);
            }
            let names: std::collections::HashSet<_> = all(*recipe).into_iter().map(|regime| regime.name).collect();
            assert_eq!(names.len(), all(*recipe).len());
        }
    }
}
