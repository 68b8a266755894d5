//! Everything with which a run goes on as if it had never stopped.

use crate::config::TrainingConfig;
use crate::model::Parameters;
use serde::{Deserialize, Serialize};

/// Where a run stands. Its random numbers depend on nothing else, but the seed: they are counted by epoch, step and image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch that runs, or the last one that ended, from 1; 0 before the first.
    pub epoch: u32,
    /// Steps done of this epoch.
    pub epoch_steps: usize,
    /// Steps done of all epochs.
    pub steps: u64,
    /// Wall time of this epoch so far.
    pub epoch_seconds: f64,
}

impl Position {
    /// Whether an epoch has begun and not seen all its steps.
    pub fn is_inside_epoch(&self, steps_per_epoch: usize) -> bool {
        self.epoch > 0 && self.epoch_steps < steps_per_epoch
    }

    /// Whether a run can come to stand here: all epochs but the last have all their steps.
    pub fn is_possible(&self, steps_per_epoch: usize) -> bool {
        let Some(whole) = self.epoch.checked_sub(1) else { return self.epoch_steps == 0 && self.steps == 0 };
        let before = u64::from(whole).checked_mul(steps_per_epoch as u64);
        let steps = before.and_then(|before| before.checked_add(self.epoch_steps as u64));
        self.epoch_steps <= steps_per_epoch && steps == Some(self.steps)
    }

    /// Whether a run of `config` has nothing left to do here.
    pub fn is_end_of(&self, config: &TrainingConfig, steps_per_epoch: usize) -> bool {
        let all_epochs = self.epoch >= config.epochs && !self.is_inside_epoch(steps_per_epoch);
        all_epochs || config.max_steps.is_some_and(|most| self.steps >= most)
    }
}

/// What a run changes on its device.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    /// Where the run stands.
    pub position: Position,
    /// The weights.
    pub parameters: Parameters,
    /// Adam's first moments, in the shapes of the weights.
    pub first_moments: Parameters,
    /// The second moments.
    pub second_moments: Parameters,
    /// What only an epoch that is not whole needs.
    pub running: Option<RunningEpoch>,
    /// What images are selected by, in runs that do.
    pub trust: Option<TrustState>,
}

/// What images are selected by.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustState {
    /// For each replica the share of wrong labels that it expects, of [`crate::layout::WHOLE`].
    pub rates: Vec<u32>,
    /// The layers' losses and answers for the images, `[layer][slot, images, 2]`; in the middle of an epoch.
    pub records: Vec<Vec<u32>>,
}

/// An epoch that is not whole.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningEpoch {
    /// The network's weights when it began.
    pub start: Parameters,
    /// Sums of each row of the batch, `[slot, layers + 1, batch]`.
    pub row_sums: Vec<f32>,
}
