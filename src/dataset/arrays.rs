//! Data that another program holds in arrays: Python's.

use super::framed::shows_digits;
use super::input::{Input, Meaning};
use super::{Dataset, Images, Origin};
use crate::error::Result;

/// The data set of arrays that hold images, whose bytes end at 255, or features. `unlabelled` are places among those to learn from; an offset
/// was subtracted from features with more digits, see [`super::Features::offset_of`].
pub fn dataset(
    train: Images,
    test: Images,
    classes: Vec<String>,
    unlabelled: Vec<u32>,
    columns: Option<Vec<String>>,
    offset: Option<Vec<f64>>,
) -> Result<Dataset> {
    let numbers = if train.has_features() { Meaning::Features(train.range()) } else { Meaning::Pixels { white: 255.0 } };
    let digits = (!train.has_features()).then(|| shows_digits(&train));
    let mut dataset = Dataset::of("arrays", train, test, classes);
    dataset.origin = Origin::File { test_fraction: None };
    dataset.set_unlabelled(unlabelled);
    dataset.input = Some(Input { numbers: Some(numbers), columns, offset, digits, ..Input::default() });
    dataset.check()?;
    Ok(dataset)
}
