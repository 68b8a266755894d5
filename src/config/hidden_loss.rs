//! The loss of the hidden layers, with the options that belong to it.

use super::words::{NumberOrWord, number_or_auto};
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
    pub const HEAD: Self = Self::Head(HeadOptions { head_rate: HeadRate::Times(1.0) });

    /// The loss of that name, with its own options of those given.
    pub fn new(kind: HiddenLossKind, cosine: CosineOptions, prototypes: PrototypeOptions, head: HeadOptions) -> Self {
        match kind {
            HiddenLossKind::Cosine => Self::Cosine(cosine),
            HiddenLossKind::Prototypes => Self::Prototypes(prototypes),
            HiddenLossKind::Pairs => Self::Pairs,
            HiddenLossKind::Head => Self::Head(head),
            HiddenLossKind::Instances => Self::Instances(PrototypeOptions { mutual: 0.0, ..prototypes }),
        }
    }

    /// What the loss reads of a hidden layer.
    pub fn representation(&self) -> Representation {
        match self {
            Self::Cosine(options) => options.representation,
            Self::Prototypes(_) | Self::Pairs | Self::Head(_) | Self::Instances(_) => Representation::Activation,
        }
    }

    /// By what the hidden layers learn, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::Cosine(options) => format!("the cosine{}", if options.centre { " of centred vectors" } else { "" }),
            Self::Prototypes(PrototypeOptions { guide, projection, temperature, .. })
            | Self::Instances(PrototypeOptions { guide, projection, temperature, .. }) => {
                let whose = if *guide == Guide::Partner { "the partner's" } else { "their own" };
                let rows = if *projection > 0 { format!(" projections to {projection}") } else { " outputs".into() };
                let what = if matches!(self, Self::Instances(_)) { "finding the same image" } else { "prototypes" };
                format!("{what} of {whose}{rows} at temperature {temperature}")
            }
            Self::Pairs => "pairs".into(),
            Self::Head(HeadOptions { head_rate }) => match head_rate {
                HeadRate::Times(1.0) => "a linear head each".into(),
                HeadRate::Times(times) => format!("a linear head each, at {times} times the rate"),
                HeadRate::Auto => "a linear head each, at a rate by its width".into(),
            },
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
    /// What is compared.
    pub representation: Representation,
    /// Subtract the batch's mean from what is compared. The mean counts as a constant.
    pub centre: bool,
}

/// The vectors that the cosine embedding loss of the hidden layers compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Representation {
    /// `h = relu(z)`.
    #[default]
    Activation,
    /// `z`, before the ReLU.
    PreActivation,
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
    /// Share of a hidden layer's target that is not the label but what the partner's layer answers about the same image: its
    /// softmax over the prototypes that guide it.
    pub mutual: f64,
}

impl Default for PrototypeOptions {
    fn default() -> Self {
        Self { guide: Guide::Partner, projection: 0, temperature: 0.1, mutual: 0.0 }
    }
}

/// Options of [`HiddenLoss::Head`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadOptions {
    /// How many times the learning rate the heads learn at.
    pub head_rate: HeadRate,
}

/// How many times the learning rate heads learn at. A step of Adam moves each weight by about that rate, and a head's answer by as much more
/// as it has inputs: so wide heads need lower rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord<f64>", into = "NumberOrWord<f64>")]
pub enum HeadRate {
    /// So many times.
    Times(f64),
    /// In inverse proportion to the width of the head's layer: 8 times for 64.
    Auto,
}

number_or_auto!(HeadRate, Times, "rate", "4");

/// Divided by a layer's width it came near the best rate for 32, 64 and 256 units (docs/explanation/results.md). Other widths were not compared.
const WIDTH_OF_EQUAL_RATE: f64 = 512.0;

impl HeadRate {
    /// How many times the learning rate a head behind so many units learns at.
    pub fn behind(self, width: usize) -> f64 {
        match self {
            Self::Times(times) => times,
            Self::Auto => WIDTH_OF_EQUAL_RATE / width as f64,
        }
    }
}

impl Default for HeadRate {
    fn default() -> Self {
        Self::Times(1.0)
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
    use super::super::{HeadRate, Recipe, TrainingConfig};

    /// As `study.json` has held it since before a hidden loss had options of its own, and as older files do without later options.
    #[test]
    fn runs_of_old_files_are_read_and_stand_flat_as_before() {
        let text = r#"{"layers":[784,64,64,10],"epochs":30,"batch_size":128,"adam":{"learning_rate":0.002,"beta_1":0.9,"beta_2":0.999,"epsilon":1e-8},"schedule":"cosine","seed":0,"replicas":1,"shuffle":true,"max_steps":null,"method":"local","output_loss":"cross-entropy","hidden_loss":"prototypes","representation":"activation","centre":false,"guide":"partner","projection":32,"temperature":0.1,"mutual":0.0,"normalize":true,"augmentation":{"shift":0,"rotation":0.0,"scale":0.0,"shared":false},"standardize":false}"#;
        let config = Recipe::Contrastive.config();
        assert_eq!(serde_json::from_str::<TrainingConfig>(text).unwrap(), config);
        let written = serde_json::json!(config);
        for (name, value) in &serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap() {
            assert_eq!(written[name], *value, "{name}");
        }
        let older = text.replace(r#""mutual":0.0,"#, "").replace(r#""representation":"activation","#, "");
        assert_eq!(serde_json::from_str::<TrainingConfig>(&older).unwrap(), config);
    }

    #[test]
    fn rates_of_heads_are_numbers_or_auto() {
        for (text, rate) in [("auto", HeadRate::Auto), ("4.5", HeadRate::Times(4.5))] {
            assert_eq!(text.parse::<HeadRate>().unwrap(), rate);
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<HeadRate>(&json).unwrap(), rate);
        }
        assert!("fast".parse::<HeadRate>().is_err());
        assert_eq!([32, 64, 512].map(|width| HeadRate::Auto.behind(width)), [16.0, 8.0, 1.0]);
    }
}
