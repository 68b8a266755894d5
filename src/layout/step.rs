//! What changes from step to step.

use crate::config::Adam;

device_struct! {
    /// What changes from step to step.
    Step {
        /// Position in the epoch's order of the batch's first row.
        first_row: u32,
        /// Rows that hold data; the rest of the batch is ignored (test set's last batch).
        row_count: u32,
        /// Learning rate.
        learning_rate: f32,
        /// β₁ of Adam.
        beta_1: f32,
        /// β₂ of Adam.
        beta_2: f32,
        /// 1 − β₁, rounded from f64: in f32 the difference would lose digits.
        one_minus_beta_1: f32,
        /// 1 − β₂.
        one_minus_beta_2: f32,
        /// ε of Adam.
        epsilon: f32,
        /// 1 / (1 − β₁ᵗ), computed in f64: a device's `pow` is too coarse near 1.
        first_correction: f32,
        /// 1 / (1 − β₂ᵗ).
        second_correction: f32,
        /// Epoch, from 1: the counter of random changes of images.
        epoch: u32,
        /// Progress of the ramp, 0 to [`super::WHOLE`]: of `--trust-ramp`, or of `--pseudo-ramp`.
        trust_ramp: u32,
    }
}

impl Step {
    /// Rows of an evaluation: nothing is learned.
    pub fn evaluation(first_row: usize, row_count: usize) -> Self {
        Self { first_row: first_row as u32, row_count: row_count as u32, ..Self::default() }
    }

    /// The step of a part of the batch that begins at row `first`. Rows past the end repeat the last one, in a part too.
    pub fn part(&self, first: usize) -> Self {
        let first = (first as u32).min(self.row_count - 1);
        Self { first_row: self.first_row + first, row_count: self.row_count - first, ..*self }
    }

    /// The same in epoch `epoch`.
    pub fn in_epoch(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// Rows `first_row ..` of the epoch's order, for Adam's step number `time` (from 1).
    pub fn new(first_row: usize, row_count: usize, adam: &Adam, time: u64) -> Self {
        // Beyond 2³¹ steps both corrections are 1.
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        Self {
            first_row: first_row as u32,
            row_count: row_count as u32,
            learning_rate: adam.learning_rate as f32,
            beta_1: adam.beta_1 as f32,
            beta_2: adam.beta_2 as f32,
            one_minus_beta_1: (1.0 - adam.beta_1) as f32,
            one_minus_beta_2: (1.0 - adam.beta_2) as f32,
            epsilon: adam.epsilon as f32,
            first_correction: (1.0 / (1.0 - adam.beta_1.powi(power))) as f32,
            second_correction: (1.0 / (1.0 - adam.beta_2.powi(power))) as f32,
            ..Self::default()
        }
    }
}
