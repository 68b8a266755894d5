//! The optimiser and its learning rate over time.

use super::TrainingConfig;
use serde::{Deserialize, Serialize};

/// The optimiser (Kingma and Ba, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 1e-4, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// How the learning rate changes over the steps of a run, or of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// `½ (1 + cos(π t / T))` of it at step t (from 0) of T.
    Cosine,
}

impl TrainingConfig {
    /// The optimiser at step `step` (from 0) of a stage of `steps`.
    pub fn adam_at(&self, step: u64, steps: u64) -> Adam {
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
        };
        Adam { learning_rate: self.adam.learning_rate * factor, ..self.adam }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;

    #[test]
    fn the_cosine_schedule_goes_from_all_to_almost_nothing() {
        let config = Recipe::Contrastive.config();
        let at = |step| config.adam_at(step, 1000).learning_rate;
        assert_eq!(at(0), 2e-3);
        assert!((at(500) - 1e-3).abs() < 1e-12);
        // 1 − cos(x) = x²/2 for small x, here π/1000.
        assert!((at(999) - 2e-3 * (std::f64::consts::PI / 1000.0).powi(2) / 4.0).abs() < 1e-13);
    }
}
