//! Learning from few labels: how many images keep theirs, and what takes the place of the others.

use super::words::NumberOrWord;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// Which training images keep their labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord<usize>", into = "NumberOrWord<usize>")]
pub enum Labelled {
    /// All that have one.
    #[default]
    All,
    /// So many, as many of each class as far as it goes.
    Drawn {
        /// How many.
        count: usize,
        /// The seed of the draw: apart from the run's, so that replicas and seeds of a study learn from the same labels.
        seed: u64,
    },
}

const ALL: &str = "all";

impl TryFrom<NumberOrWord<usize>> for Labelled {
    type Error = String;

    fn try_from(given: NumberOrWord<usize>) -> Result<Self, String> {
        match given {
            NumberOrWord::Number(count) => Ok(Self::Drawn { count, seed: 0 }),
            NumberOrWord::Word(word) => word.parse(),
        }
    }
}

impl From<Labelled> for NumberOrWord<usize> {
    fn from(labelled: Labelled) -> Self {
        match labelled {
            Labelled::Drawn { count, seed: 0 } => Self::Number(count),
            other => Self::Word(other.to_string()),
        }
    }
}

impl FromStr for Labelled {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == ALL {
            return Ok(Self::All);
        }
        let (count, seed) = text.split_once(':').unwrap_or((text, "0"));
        match (count.parse(), seed.parse()) {
            (Ok(count), Ok(seed)) => Ok(Self::Drawn { count, seed }),
            _ => Err(format!("{text:?} is not a number of images; give one such as 100, with a seed as 100:7, or {ALL}")),
        }
    }
}

impl Display for Labelled {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => formatter.write_str(ALL),
            Self::Drawn { count, seed: 0 } => count.fmt(formatter),
            Self::Drawn { count, seed } => write!(formatter, "{count}:{seed}"),
        }
    }
}

/// What a run does about images without labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FewLabels {
    /// Which images keep their labels.
    pub labelled: Labelled,
    /// An answer of the partner takes a label's place if its probability is above this; 1 for none.
    pub pseudo_threshold: f64,
    /// Epochs over which such an answer's weight rises from none to a label's.
    pub pseudo_ramp: u32,
}

impl Default for FewLabels {
    fn default() -> Self {
        Self { labelled: Labelled::All, pseudo_threshold: 0.9, pseudo_ramp: 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        for text in ["all", "100", "100:7"] {
            let labelled: Labelled = text.parse().unwrap();
            assert_eq!(labelled.to_string(), text);
            let json = serde_json::to_string(&labelled).unwrap();
            assert_eq!(serde_json::from_str::<Labelled>(&json).unwrap(), labelled);
        }
        for text in ["some", "-1", "1.5", "100:x", ""] {
            assert!(text.parse::<Labelled>().is_err(), "{text}");
        }
    }
}
