//! Options that are a number or a word.

use serde::{Deserialize, Serialize};

/// As files have such an option.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum NumberOrWord<N> {
    Number(N),
    Word(String),
}

/// What such an option says where the program is to find the number.
pub(super) const AUTO: &str = "auto";
