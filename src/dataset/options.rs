//! How a file of data is read.

use super::input::{ColourOrder, Like, NoLabel, Reading};

/// How much of a file without a test set is held back for testing, always the same images of each class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// What was asked for. A file that has a test set refuses it.
    pub asked: Option<f64>,
    /// What is taken where nothing was asked for.
    pub default: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { asked: None, default: 0.2 }
    }
}

/// How a file is read; what is not said is decided by what the file holds, or by the model that it is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileOptions {
    /// How much of it is for testing.
    pub share: Share,
    /// Numbers are features, even where they could be pixels.
    pub features: bool,
    /// Numbers are pixels, and this one is white.
    pub white: Option<f64>,
    /// The order of colours in rows that have no other shape.
    pub colours: Option<ColourOrder>,
    /// The name of a table's column of labels, or `first`, `last` or a number where columns have none.
    pub label_column: Option<String>,
    /// Whether the first row of a table holds the names of its columns.
    pub header: Option<bool>,
    /// What stands in the place of a label that is not known.
    pub no_label: Option<NoLabel>,
    /// Whether pictures that the model will be asked about are searched for digits.
    pub digits: Option<bool>,
    /// By which rules.
    pub reading: Reading,
    /// The model that the file is for.
    pub like: Option<Like>,
}

impl FileOptions {
    /// With so much held back for testing.
    pub fn held_back(default: f64) -> Self {
        Self { share: Share { asked: None, default }, ..Self::default() }
    }
}
