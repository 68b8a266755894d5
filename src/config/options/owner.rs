//! What an option is an option of.

use super::super::{HiddenLoss, TrainingConfig, Trust};
use std::fmt;

/// A part that not every run has. In a run without it, its options change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The cosine loss of hidden layers.
    Cosine,
    /// A loss of hidden layers with prototypes, of classes or of images.
    Prototypes,
    /// The one with linear heads.
    Head,
    /// The choice of images that a layer learns from.
    Trust,
}

impl Owner {
    pub fn is_part_of(self, run: &TrainingConfig) -> bool {
        let loss = run.has_hidden_losses().then_some(&run.hidden_loss);
        match self {
            Self::Cosine => matches!(loss, Some(HiddenLoss::Cosine(_))),
            Self::Prototypes => matches!(loss, Some(HiddenLoss::Prototypes(_) | HiddenLoss::Instances(_))),
            Self::Head => matches!(loss, Some(HiddenLoss::Head(_))),
            Self::Trust => run.trust.trust != Trust::None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = "and a --method with losses of hidden layers";
        match self {
            Self::Cosine => write!(formatter, "--hidden-loss cosine {hidden}"),
            Self::Prototypes => write!(formatter, "--hidden-loss prototypes or instances {hidden}"),
            Self::Head => write!(formatter, "--hidden-loss head {hidden}"),
            Self::Trust => formatter.write_str("--trust own, partner, exchange, output or co-teaching"),
        }
    }
}
