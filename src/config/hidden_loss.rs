//! The loss of the hidden layers, with the options that belong to it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The loss of the hidden layers. In files its options stand flat beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "HiddenLossOptions", into = "HiddenLossOptions")]
pub enum HiddenLoss {
    /// `1 − cos` between a representation and the partner's of the same image (the paper).
    Cosine(CosineOptions),
    /// Cross-entropy over the cosines to the classes' prototypes, which are means of the guide's representations.
    Prototypes(PrototypeOptions),
    /// Within each network, `1 − cos` to a random image of the same class and `max(0, cos − 0.5)` to one of another class
    /// (arXiv 2305.02927).
    Pairs,
    /// Cross-entropy of a linear head of the layer's own, trained with it and dropped at test time. Needs no partner.
    Head(HeadOptions),
    /// Cross-entropy over the cosines to the guide's representations of all images of the batch: which of them is the same image. Needs no
    /// labels.
    Instances(PrototypeOptions),
}

impl HiddenLoss {
    /// A linear head that learns at the network's rate.
    pub const HEAD: Self = Self::Head(HeadOptions { head_rate: 1.0 });

    /// The loss of that name, with its own options of those given.
    pub fn new(kind: HiddenLossKind, cosine: CosineOptions, prototypes: PrototypeOptions, head: HeadOptions) -> Self {
        match kind {
            HiddenLossKind::Cosine => Self::Cosine(cosine),
            HiddenLossKind::Prototypes => Self::Prototypes(prototypes),
            HiddenLossKind::Pairs => Self::Pairs,
            HiddenLossKind::Head => Self::Head(head),
            HiddenLossKind::Instances => Self::Instances(prototypes),
        }
    }

    /// By what the hidden layers learn, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::Cosine(options) => format!("the cosine{}", if options.centre { " of centred vectors" } else { "" }),
            Self::Prototypes(PrototypeOptions { guide, projection, temperature })
            | Self::Instances(PrototypeOptions { guide, projection, temperature }) => {
                let whose = if *guide == Guide::Partner { "the partner's" } else { "their own" };
                let rows = if *projection > 0 { format!(" projections to {projection}") } else { " outputs".into() };
                let what = if matches!(self, Self::Instances(_)) { "finding the same image" } else { "prototypes" };
                format!("{what} of {whose}{rows} at temperature {temperature}")
            }
            Self::Pairs => "pairs".into(),
            Self::Head(HeadOptions { head_rate: 1.0 }) => "a linear head each".into(),
            Self::Head(HeadOptions { head_rate }) => format!("a linear head each, at {head_rate} times the rate"),
        }
    }

    /// Whether each image has a loss at its label.
    pub fn has_label_losses(&self) -> bool {
        matches!(self, Self::Prototypes(_) | Self::Head(_))
    }

    /// Why it can be no part of the kernels that take a tile of the batch through all layers, if so.
    pub(crate) fn unfusible(&self) -> Option<&'static str> {
        match self {
            Self::Cosine(options) if options.centre => Some("--centre needs means over the batch"),
            Self::Cosine(_) | Self::Prototypes(_) | Self::Head(_) => None,
            Self::Pairs => Some("--hidden-loss pairs compares rows of different workgroups"),
            Self::Instances(_) => Some("--hidden-loss instances compares every row with all rows of the batch"),
        }
    }

    /// Refuses what the loss cannot do with so many images in a step.
    pub(super) fn check(&self, batch_size: usize) -> Result<()> {
        match self {
            Self::Prototypes(options) => options.check(),
            Self::Head(options) => options.check(),
            Self::Instances(_) if batch_size > MAX_INSTANCES => Err(Error::Configuration(format!(
                "--batch-size {batch_size} is too large for --hidden-loss instances, which compares all rows with each other; give at most {MAX_INSTANCES}"
            ))),
            Self::Instances(options) => options.check(),
            Self::Pairs if batch_size > MAX_PAIRED_BATCH => Err(Error::Configuration(format!(
                "--batch-size {batch_size} is too large for --hidden-loss pairs, which compares all rows with each other; give at most {MAX_PAIRED_BATCH}"
            ))),
            _ => Ok(()),
        }
    }
}

/// Above this the pairs of a batch, whose work grows with its square, would take longer than everything else.
const MAX_PAIRED_BATCH: usize = 1 << 14;
/// So many scores of a row and their gradients fit into half of the smallest adapter's workgroup memory.
const MAX_INSTANCES: usize = 1 << 10;

/// The name of a hidden loss, as the command line and files have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum HiddenLossKind {
    /// `1 − cos` between a representation and the partner's of the same image (the paper).
    #[default]
    Cosine,
    /// Cross-entropy over the cosines to the classes' prototypes, which are means of the guide's representations.
    Prototypes,
    /// Within each network, `1 − cos` to a random image of the same class and `max(0, cos − 0.5)` to one of another class
    /// (arXiv 2305.02927).
    Pairs,
    /// Cross-entropy of a linear head of the layer's own, trained with it and dropped at test time. Needs no partner.
    Head,
    /// Cross-entropy over the cosines to the guide's representations of all images of the batch: which of them is the same image. Needs no
    /// labels.
    Instances,
}

/// Options of [`HiddenLoss::Cosine`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CosineOptions {
    /// Subtract the batch's mean from what is compared. The mean counts as a constant.
    pub centre: bool,
}

/// Options of [`HiddenLoss::Prototypes`] and [`HiddenLoss::Instances`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrototypeOptions {
    /// Whose prototypes guide the hidden layers.
    pub guide: Guide,
    /// Width of the linear projection between a hidden layer and its prototypes, trained with the layer and dropped at test time; 0
    /// for none.
    pub projection: usize,
    /// Divides the cosines to the prototypes.
    pub temperature: f64,
}

impl Default for PrototypeOptions {
    fn default() -> Self {
        Self { guide: Guide::Partner, projection: 0, temperature: 0.1 }
    }
}

/// Options of [`HiddenLoss::Head`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadOptions {
    /// How many times the learning rate the heads learn at.
    pub head_rate: f64,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self { head_rate: 1.0 }
    }
}

/// Whose prototypes guide a hidden layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Guide {
    /// The other network's.
    #[default]
    Partner,
    /// Its own: the control.
    Own,
}

/// The name of a hidden loss, with the options of every one of them: as they can be asked for, and as they stand in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HiddenLossOptions {
    /// The loss that is meant.
    #[serde(default, rename = "hidden_loss")]
    pub kind: HiddenLossKind,
    /// What it is if that one is meant.
    #[serde(flatten)]
    pub cosine: CosineOptions,
    /// What it is if that one is meant.
    #[serde(flatten)]
    pub prototypes: PrototypeOptions,
    /// What it is if that one is meant.
    #[serde(flatten)]
    pub head: HeadOptions,
}

impl From<HiddenLossOptions> for HiddenLoss {
    fn from(options: HiddenLossOptions) -> Self {
        Self::new(options.kind, options.cosine, options.prototypes, options.head)
    }
}

impl From<HiddenLoss> for HiddenLossOptions {
    fn from(loss: HiddenLoss) -> Self {
        match loss {
            HiddenLoss::Cosine(cosine) => Self { kind: HiddenLossKind::Cosine, cosine, ..Self::default() },
            HiddenLoss::Prototypes(prototypes) => Self { kind: HiddenLossKind::Prototypes, prototypes, ..Self::default() },
            HiddenLoss::Pairs => Self { kind: HiddenLossKind::Pairs, ..Self::default() },
            HiddenLoss::Head(head) => Self { kind: HiddenLossKind::Head, head, ..Self::default() },
            HiddenLoss::Instances(prototypes) => Self { kind: HiddenLossKind::Instances, prototypes, ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Recipe, TrainingConfig};

    /// As `study.json` has held it since before a hidden loss had options of its own, and as older files do without later options.
    #[test]
    fn runs_of_old_files_are_read_and_stand_flat_as_before() {
        let text = r#"{"layers":[784,64,64,10],"epochs":30,"batch_size":128,"adam":{"learning_rate":0.002,"beta_1":0.9,"beta_2":0.999,"epsilon":1e-8},"schedule":"cosine","seed":0,"replicas":1,"shuffle":true,"max_steps":null,"method":"local","output_loss":"cross-entropy","hidden_loss":"prototypes","representation":"activation","centre":false,"guide":"partner","projection":32,"temperature":0.1,"mutual":0.0,"normalize":true,"augmentation":{"shift":0,"rotation":0.0,"scale":0.0,"shared":false},"standardize":false}"#;
        let config = Recipe::Contrastive.config();
        assert_eq!(serde_json::from_str::<TrainingConfig>(text).unwrap(), config);
        let written = serde_json::json!(config);
        let gone = ["representation", "mutual"];
        for (name, value) in &serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap() {
            assert!(written[name] == *value || gone.contains(&name.as_str()), "{name}");
        }
    }
}
