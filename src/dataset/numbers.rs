//! Arrays of numbers with labels, as a file gives them, and the images or features that they are.
//!
//! Numbers that can be pixels are: whole ones from 0 to 255, and multiples of 1/255 from 0 to 1. All others are features.

use super::{Features, ImageShape, Images};
use crate::error::{Error, Result};
use std::path::Path;

const LABELS: &str = "number the classes from 0 to at most 255, and give -1 to training images without a label";
/// The label of an image that has none.
const NO_LABEL: i64 = -1;

/// Numbers of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// From 0 to 255.
    Bytes(Vec<u8>),
    /// Whole ones.
    Integers(Vec<i64>),
    /// Others.
    Floats(Vec<f32>),
}

/// Images and labels as a file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// All pixels or features,
    pub images: Numbers,
    /// and the array's shape: images first.
    pub shape: Vec<usize>,
    /// A number for each image.
    pub labels: Numbers,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Sets {
    /// Images to learn from, or all that there are.
    pub train: Labelled,
    /// Images to test on, if the file tells them apart.
    pub test: Option<Labelled>,
}

/// What a file's numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Pixels, when they are multiplied by this: 255 where all of them are fractions from 0 to 1, else 1.
    Pixels(f32),
    /// Whatever was measured.
    Features,
}

pub(super) fn kind<'a>(all: impl Iterator<Item = &'a Labelled>) -> Kind {
    let mut scale = 255.0;
    for labelled in all {
        let (pixels, fractions) = match &labelled.images {
            Numbers::Bytes(_) => (true, false),
            Numbers::Integers(numbers) => (numbers.iter().all(|number| (0..=255).contains(number)), false),
            Numbers::Floats(numbers) => {
                // A fraction k/255 was rounded to f32 at most twice: a thousandth is far above that, and far below the next one.
                let fraction =
                    |&number: &f32| (0.0..=1.0).contains(&number) && (255.0 * number - (255.0 * number).round()).abs() < 1e-3;
                let fractions = numbers.iter().all(fraction);
                let bytes = || numbers.iter().all(|number| (0.0..=255.0).contains(number) && number.fract() == 0.0);
                (fractions || bytes(), fractions)
            }
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

/// The shape of an image in an array of them: rows of pixels are squares where they can be, of three colours or in grey.
pub(super) fn image_shape(path: &Path, shape: &[usize]) -> Result<ImageShape> {
    let square = |pixels: usize| {
        let side = pixels.isqrt();
        (side * side == pixels).then_some(side)
    };
    let of = match *shape {
        [_, pixels] => match (square(pixels), square(pixels / 3)) {
            (Some(side), _) => ImageShape::gray(side, side),
            (None, Some(side)) if pixels.is_multiple_of(3) => ImageShape { channels: 3, height: side, width: side },
            _ => ImageShape::gray(1, pixels),
        },
        [_, height, width] => ImageShape::gray(height, width),
        [_, height, width, channels @ (1 | 3)] | [_, channels @ (1 | 3), height, width] => ImageShape { channels, height, width },
        _ => {
            let remedy = "give images as [images, height, width] or with 1 or 3 channels behind them";
            return Err(fail(path, format!("holds images as an array of the shape {shape:?}"), remedy));
        }
    };
    if of.checked_pixels().is_none_or(|pixels| pixels == 0) {
        return Err(fail(path, format!("holds images without pixels: {shape:?}"), "give images"));
    }
    Ok(of)
}

/// Refuses whole numbers in one set where the other has fractions from 0 to 1: what learnt from the one says nothing of the other.
pub(super) fn check_scales(path: &Path, train: &Labelled, test: &Labelled) -> Result<()> {
    let range = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.fold((true, f64::MAX, f64::MIN), |(whole, least, most), number| {
            (whole && number.fract() == 0.0, least.min(number), most.max(number))
        })
    };
    let of = |labelled: &Labelled| match &labelled.images {
        Numbers::Bytes(numbers) => range(&mut numbers.iter().map(|&number| f64::from(number))),
        Numbers::Integers(numbers) => range(&mut numbers.iter().map(|&number| number as f64)),
        Numbers::Floats(numbers) => range(&mut numbers.iter().map(|&number| f64::from(number))),
    };
    let ((one_whole, one_least, one_most), (other_whole, other_least, other_most)) = (of(train), of(test));
    let apart = one_whole != other_whole
        && one_least >= 0.0
        && other_least >= 0.0
        && if one_whole { one_most > 1.0 && other_most <= 1.0 } else { other_most > 1.0 && one_most <= 1.0 };
    if apart {
        let problem = format!("holds numbers up to {one_most} to learn from, and up to {other_most} to test on");
        return Err(fail(path, problem, "bring both to one scale, such as x_test * 255"));
    }
    Ok(())
}

/// With the numbers of those that have no label.
pub(super) fn images(path: &Path, labelled: Labelled, shape: ImageShape, kind: Kind) -> Result<(Images, Vec<u32>)> {
    if image_shape(path, &labelled.shape)? != shape {
        let problem = format!("holds images of {shape} to learn from, and to test on an array of the shape {:?}", labelled.shape);
        return Err(fail(path, problem, "give images of one shape"));
    }
    let label = |number: Option<u8>| {
        number.ok_or_else(|| fail(path, "holds a label that is no whole number from 0 to 255, and not -1".into(), LABELS))
    };
    let unlabelled = without_label(&labelled.labels);
    let labels: Vec<u8> = match labelled.labels {
        Numbers::Bytes(labels) => labels,
        Numbers::Integers(labels) => labels
            .into_iter()
            .map(|number| label(if number == NO_LABEL { Some(0) } else { number.try_into().ok() }))
            .collect::<Result<_>>()?,
        Numbers::Floats(labels) => {
            let whole = |number: f32| (number == f32::from(number as u8) || number == NO_LABEL as f32).then_some(number as u8);
            labels.into_iter().map(|number| label(whole(number))).collect::<Result<_>>()?
        }
    };
    let count = match &labelled.images {
        Numbers::Bytes(numbers) => numbers.len(),
        Numbers::Integers(numbers) => numbers.len(),
        Numbers::Floats(numbers) => numbers.len(),
    };
    if labels.len().checked_mul(shape.pixels()) != Some(count) {
        let problem = format!("holds {} labels for {} images", labels.len(), count / shape.pixels());
        return Err(fail(path, problem, "give a label for each image"));
    }
    let colours_behind = shape.channels > 1 && labelled.shape.len() == 4 && labelled.shape[3] == shape.channels;
    if let Kind::Pixels(scale) = kind {
        let mut pixels: Vec<u8> = match labelled.images {
            Numbers::Bytes(bytes) => bytes,
            Numbers::Integers(numbers) => numbers.into_iter().map(|number| number as u8).collect(),
            Numbers::Floats(numbers) => numbers.into_iter().map(|number| (number * scale).round() as u8).collect(),
        };
        if colours_behind {
            by_channel(&mut pixels, shape);
        }
        return Ok((Images { pixels, labels, shape, features: None }, unlabelled));
    }
    let mut numbers: Vec<f32> = match labelled.images {
        Numbers::Bytes(bytes) => bytes.into_iter().map(f32::from).collect(),
        Numbers::Integers(numbers) => numbers.into_iter().map(|number| number as f32).collect(),
        Numbers::Floats(numbers) => numbers,
    };
    if colours_behind {
        by_channel(&mut numbers, shape);
    }
    let features = Features::of(numbers, shape.pixels());
    features.check_finite().map_err(|error| fail(path, format!("cannot be learnt from: {error}"), "mend the file"))?;
    Ok((Images { pixels: Vec::new(), labels, shape, features: Some(features) }, unlabelled))
}

/// The places of images without a label.
pub(super) fn without_label(labels: &Numbers) -> Vec<u32> {
    let places = |is_missing: &dyn Fn(usize) -> bool, count: usize| {
        (0..count).filter(|&place| is_missing(place)).map(|place| place as u32).collect()
    };
    match labels {
        Numbers::Bytes(_) => Vec::new(),
        Numbers::Integers(labels) => places(&|place| labels[place] == NO_LABEL, labels.len()),
        Numbers::Floats(labels) => places(&|place| labels[place] == NO_LABEL as f32, labels.len()),
    }
}

/// Channel by channel, what stands pixel by pixel.
fn by_channel<T: Copy>(numbers: &mut [T], shape: ImageShape) {
    for image in numbers.chunks_exact_mut(shape.pixels()) {
        let by_pixel = image.to_vec();
        let planes = (0..shape.channels).flat_map(|channel| by_pixel.iter().skip(channel).step_by(shape.channels));
        image.iter_mut().zip(planes).for_each(|(pixel, value)| *pixel = *value);
    }
}

pub(super) fn fail(path: &Path, problem: String, remedy: &str) -> Error {
    Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() }
}
