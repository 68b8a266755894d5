//! The loss of the output layer.

use serde::{Deserialize, Serialize};

/// The loss of the output layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OutputLoss {
    /// Binary cross-entropy on the softmax output, mean over batch and classes (the paper).
    #[default]
    BinaryCrossEntropy,
    /// Softmax cross-entropy, mean over the batch.
    CrossEntropy,
}
