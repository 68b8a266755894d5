//! What numbers were taken for before a model's description said it: by each file for itself. Models and runs of that time go on so.

use super::super::input::NoLabel;
use super::super::{Features, ImageShape, Images};
use super::{Labelled, Numbers, by_channel, check_shape, fail};
use crate::error::Result;
use std::path::Path;

const LABELS: &str = "number the classes from 0 to at most 255, and give -1 to training images without a label";
/// The label of an image that has none.
const NO_LABEL: i64 = -1;

/// What a file's numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Pixels, when they are multiplied by this: 255 where all of them are fractions from 0 to 1, else 1.
    Pixels(f32),
    /// Whatever was measured.
    Features,
}

/// Pixels are whole numbers from 0 to 255, and multiples of 1/255 from 0 to 1.
pub fn kind<'a>(all: impl Iterator<Item = &'a Labelled>) -> Kind {
    let mut scale = 255.0;
    for labelled in all {
        let of_floats = |numbers: &[f32]| {
            let fractions = numbers.iter().all(|&number| super::meaning::is_fraction(number.into()));
            let bytes = || numbers.iter().all(|number| (0.0..=255.0).contains(number) && number.fract() == 0.0);
            (fractions || bytes(), fractions)
        };
        let (pixels, fractions) = match &labelled.images {
            Numbers::Bytes(_) => (true, false),
            Numbers::Integers(numbers) => (numbers.iter().all(|number| (0..=255).contains(number)), false),
            Numbers::Floats(numbers) => of_floats(numbers),
            Numbers::Doubles(numbers) => of_floats(&numbers.iter().map(|&number| number as f32).collect::<Vec<_>>()),
        };
        if !pixels {
            return Kind::Features;
        }
        if !fractions {
            scale = 1.0;
        }
    }
    Kind::Pixels(scale)
}

/// With the numbers of those that have no label.
pub fn images(
    path: &Path,
    labelled: Labelled,
    shape: ImageShape,
    kind: Kind,
    no_label: Option<NoLabel>,
) -> Result<(Images, Vec<u32>)> {
    let without = match no_label {
        None => Some(NO_LABEL),
        Some(NoLabel::Number(number)) => Some(number),
        Some(NoLabel::Never) => None,
    };
    let numbers = labelled.labels.doubles();
    let is_without = |label: &f64| Some(*label) == without.map(|number| number as f64);
    let unlabelled = (0..).zip(&numbers).filter(|(_, label)| is_without(label)).map(|(place, _)| place).collect();
    let labels: Vec<u8> = (numbers.iter())
        .map(|label| match *label {
            label if is_without(&label) => Ok(0),
            label if label == f64::from(label as u8) => Ok(label as u8),
            _ => Err(fail(path, "holds a label that is no whole number from 0 to 255, and not -1".into(), LABELS)),
        })
        .collect::<Result<_>>()?;
    check_shape(path, &labelled, labels.len(), shape)?;
    let colours_behind = shape.channels > 1 && labelled.shape.len() == 4 && labelled.shape[3] == shape.channels;
    let numbers = labelled.images.single();
    if let Kind::Pixels(scale) = kind {
        let mut pixels: Vec<u8> = match numbers {
            Numbers::Bytes(bytes) => bytes,
            Numbers::Floats(numbers) => numbers.into_iter().map(|number| (number * scale).round() as u8).collect(),
            numbers => numbers.doubles().into_iter().map(|number| number as u8).collect(),
        };
        if colours_behind {
            by_channel(&mut pixels, shape);
        }
        return Ok((Images { pixels, labels, shape, features: None }, unlabelled));
    }
    let mut numbers: Vec<f32> = match numbers {
        Numbers::Floats(numbers) => numbers,
        Numbers::Integers(numbers) => numbers.into_iter().map(|number| number as f32).collect(),
        numbers => numbers.doubles().into_iter().map(|number| number as f32).collect(),
    };
    if colours_behind {
        by_channel(&mut numbers, shape);
    }
    let features = Features::of(numbers, shape.pixels());
    features.check_finite().map_err(|error| fail(path, format!("cannot be learned from: {error}"), "mend the file"))?;
    Ok((Images { pixels: Vec::new(), labels, shape, features: Some(features) }, unlabelled))
}
