//! What is the matter with an image.

use crate::train::Verdict;
use serde::Serialize;

/// Shares of the answers, of which a kind has at least so much.
const MOST: f64 = 0.5;

/// What is the matter with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// It has a copy with another label.
    #[serde(rename = "duplicate")]
    Duplicate,
    /// Another class fits.
    #[serde(rename = "wrong")]
    Wrong,
    /// Its label is likely wrong, and no other class is the answer of most.
    #[serde(rename = "ambiguous")]
    Ambiguous,
    /// The networks know too little of its class.
    #[serde(rename = "not judged")]
    NotJudged,
    /// Nothing.
    #[serde(rename = "")]
    None,
}

impl Kind {
    /// Of an image, which `is_contradicted` by a copy of it or not.
    pub fn of(verdict: &Verdict, is_contradicted: bool) -> Self {
        match verdict {
            _ if is_contradicted => Self::Duplicate,
            verdict if !verdict.is_known => Self::NotJudged,
            verdict if !verdict.is_suspect() => Self::None,
            verdict if verdict.agreement >= MOST => Self::Wrong,
            _ => Self::Ambiguous,
        }
    }

    /// As tables have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Wrong => "wrong",
            Self::Ambiguous => "ambiguous",
            Self::NotJudged => "not judged",
            Self::None => "",
        }
    }
}
