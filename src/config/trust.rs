//! Learning from labels of which some are wrong: which images are trusted, and the wrong labels of experiments.

use super::TrainingConfig;
use super::words::{AUTO, NumberOrWord};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

/// Who chooses the images of a batch that a layer learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// No selection: a layer learns from all images.
    #[default]
    None,
    /// The layer itself: those of its smallest losses, in its loss and in the prototypes that guide it.
    Own,
    /// The same layer of the other network: those of that layer's smallest losses, in both.
    Partner,
    /// Each for what it gives: a layer's loss is over the images that it trusts, and the prototypes that guide it are of those that the layer
    /// trusts whose prototypes they are.
    Exchange,
    /// The output layer itself, for its own loss; hidden layers learn from all images.
    Output,
    /// The output layer of the other network, for all layers: co-teaching (arXiv 1804.06872), here also for layers with heads of their own.
    CoTeaching,
}

impl Trust {
    /// Whether the partner chooses the images of a slot's loss.
    pub fn partner_chooses(self) -> bool {
        matches!(self, Self::Partner | Self::CoTeaching)
    }

    /// Whether a slot sums its own prototypes by its partner's verdict; `guides_partner`: they guide the partner and not itself.
    pub fn partner_chooses_prototypes(self, guides_partner: bool) -> bool {
        match self {
            Self::None | Self::Exchange | Self::Output | Self::CoTeaching => false,
            Self::Own => guides_partner,
            Self::Partner => !guides_partner,
        }
    }
}

/// The share of wrong labels that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord<f64>", into = "NumberOrWord<f64>")]
pub enum TrustRate {
    /// It is known.
    Given(f64),
    /// It is estimated while the run goes on.
    Auto,
}

impl TryFrom<NumberOrWord<f64>> for TrustRate {
    type Error = String;

    fn try_from(given: NumberOrWord<f64>) -> Result<Self, String> {
        match given {
            NumberOrWord::Number(share) => Ok(Self::Given(share)),
            NumberOrWord::Word(word) => word.parse(),
        }
    }
}

impl From<TrustRate> for NumberOrWord<f64> {
    fn from(rate: TrustRate) -> Self {
        match rate {
            TrustRate::Given(share) => Self::Number(share),
            TrustRate::Auto => Self::Word(AUTO.into()),
        }
    }
}

impl FromStr for TrustRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(share) => Ok(Self::Given(share)),
            Err(_) if text == AUTO => Ok(Self::Auto),
            Err(_) => Err(format!("{text:?} is no share; give a number such as 0.2, or auto")),
        }
    }
}

impl Display for TrustRate {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(share) => share.fmt(formatter),
            Self::Auto => formatter.write_str(AUTO),
        }
    }
}

/// Labels of training images that are made wrong, to see what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LabelNoise {
    /// None.
    #[default]
    None,
    /// A class becomes the next one, the last one the first.
    Pair(Drawn),
    /// A class becomes any other.
    Sym(Drawn),
    /// The labels of this file, one a line, take the place of the data set's.
    File(PathBuf),
}

/// Which labels become wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The share of the images, drawn one by one.
    pub share: f64,
    /// The seed of the draw: apart from the run's, so that replicas and seeds of a study learn from the same labels.
    pub seed: u64,
}

const NONE: &str = "none";

impl FromStr for LabelNoise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(3, ':');
        let kind = match (words.next(), words.next()) {
            (Some(NONE), None) => return Ok(Self::None),
            (Some("pair"), Some(share)) => (Self::Pair as fn(Drawn) -> Self, share),
            (Some("sym"), Some(share)) => (Self::Sym as fn(Drawn) -> Self, share),
            (_, None) if text.trim().is_empty() => {
                return Err("an empty word names no file; give pair:0.2, sym:0.2 or a file".into());
            }
            _ => return Ok(Self::File(text.into())),
        };
        let (make, share) = kind;
        let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let seed = words.next().map_or(Some(0), |seed| seed.parse().ok());
        match (share, seed) {
            (Some(share), Some(seed)) => Ok(make(Drawn { share, seed })),
            _ => Err(format!("{text:?} is not a share from 0 to 1; give pair:0.2 or sym:0.2, or with a seed pair:0.2:7")),
        }
    }
}

impl TryFrom<String> for LabelNoise {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LabelNoise> for String {
    fn from(noise: LabelNoise) -> Self {
        noise.to_string()
    }
}

impl Display for LabelNoise {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let mut drawn = |name: &str, drawn: &Drawn| match drawn.seed {
            0 => write!(formatter, "{name}:{}", drawn.share),
            seed => write!(formatter, "{name}:{}:{seed}", drawn.share),
        };
        match self {
            Self::None => formatter.write_str(NONE),
            Self::Pair(share) => drawn("pair", share),
            Self::Sym(share) => drawn("sym", share),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// What a run does about wrong labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustOptions {
    /// Who selects.
    pub trust: Trust,
    /// How many are expected to be wrong.
    pub trust_rate: TrustRate,
    /// Epochs over which the share that is left out rises from none to that.
    pub trust_ramp: u32,
}

impl TrainingConfig {
    /// The layers that select images, from 0: those with labels in their losses.
    pub fn selecting_layers(&self) -> Range<usize> {
        let layers = self.architecture.layer_count();
        match self.trust.trust {
            Trust::None => 0..0,
            Trust::Own | Trust::Partner | Trust::Exchange if self.has_hidden_losses() => 0..layers,
            _ => layers.saturating_sub(1)..layers,
        }
    }
}

impl Default for TrustOptions {
    fn default() -> Self {
        Self { trust: Trust::None, trust_rate: TrustRate::Auto, trust_ramp: 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        for text in ["none", "pair:0.45", "sym:0.5:11", "folder/labels.txt"] {
            assert_eq!(text.parse::<LabelNoise>().unwrap().to_string(), text);
        }
        for text in ["pair:2", "sym:x", "pair:0.1:x", ""] {
            assert!(text.parse::<LabelNoise>().is_err(), "{text}");
        }
        for (text, rate) in [("auto", TrustRate::Auto), ("0.45", TrustRate::Given(0.45))] {
            assert_eq!(text.parse::<TrustRate>().unwrap(), rate);
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<TrustRate>(&json).unwrap(), rate);
        }
        assert!("half".parse::<TrustRate>().is_err());
    }
}
