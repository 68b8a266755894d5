//! How networks learn, and the stages of a run that follow from it.

use super::TrainingConfig;
use serde::{Deserialize, Serialize};

/// How the two networks of a pair learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Every layer by its own loss, guided by the partner.
    #[default]
    Local,
    /// The same, but B never moves.
    FrozenPartner,
    /// No guidance: the output layers learn, hidden layers stay as they began.
    Independent,
    /// Each network end to end, by the output's loss.
    Backprop,
    /// The original in three stages (arXiv 2305.02927): hidden layers by their losses; the last hidden layer's loss through all
    /// layers below it; the output's loss through all layers.
    Ffcl3,
    /// Not at all: trained networks that only answer. No option names it.
    #[cfg_attr(feature = "program", value(skip))]
    #[serde(skip)]
    Inference,
}

/// What a stretch of a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Every layer by its own loss; the output layer too unless the run has stages.
    Local,
    /// The last hidden layer's loss, through all layers below it.
    Encoder,
    /// The output's loss, through all layers.
    EndToEnd,
}

impl TrainingConfig {
    /// The stages in their order.
    pub fn stages(&self) -> &'static [Stage] {
        match self.method {
            Method::Local | Method::FrozenPartner | Method::Independent => &[Stage::Local],
            Method::Backprop => &[Stage::EndToEnd],
            Method::Ffcl3 => &[Stage::Local, Stage::Encoder, Stage::EndToEnd],
            Method::Inference => &[],
        }
    }

    /// The stage that an epoch (from 1) belongs to, as its place in [`Self::stages`], the stage's first epoch and its number of
    /// epochs. Stages are equally long; the last one takes what is left.
    pub fn stage_of(&self, epoch: u32) -> (usize, u32, u32) {
        let count = self.stages().len().max(1) as u32;
        let length = (self.epochs / count).max(1);
        let index = ((epoch - 1) / length).min(count - 1);
        let first = index * length + 1;
        (index as usize, first, if index + 1 == count { self.epochs.max(first) - first + 1 } else { length })
    }

    /// Whether a stage takes gradients down the network.
    pub fn backpropagates(&self) -> bool {
        self.stages().iter().any(|&stage| stage != Stage::Local)
    }

    /// Whether the output layer learns in an epoch.
    pub fn trains_output(&self, epoch: u32) -> bool {
        self.method != Method::Ffcl3 || self.stages()[self.stage_of(epoch).0] == Stage::EndToEnd
    }

    /// Whether hidden layers have losses of their own.
    pub fn has_hidden_losses(&self) -> bool {
        matches!(self.method, Method::Local | Method::FrozenPartner | Method::Ffcl3)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Recipe, TrainingConfig};

    #[test]
    fn stages_cover_all_epochs() {
        let config = TrainingConfig { epochs: 11, ..Recipe::Ffcl3.config() };
        let stages: Vec<_> = (1..=11).map(|epoch| config.stage_of(epoch)).collect();
        assert_eq!(stages[..3], [(0, 1, 3); 3]);
        assert_eq!(stages[3..6], [(1, 4, 3); 3]);
        assert_eq!(stages[6..], [(2, 7, 5); 5]);
        assert_eq!(Recipe::Paper.config().stage_of(30), (0, 1, 30));
    }
}
