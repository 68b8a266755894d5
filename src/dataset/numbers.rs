//! Arrays of numbers with labels, as a file gives them, and the images or features that they are.
//!
//! What they are is decided once, where a model learns, and stands in its description. Numbers that can be pixels are, if they come as images;
//! rows are pixels where their names or their number say so. All others are features.

mod first;
mod meaning;

pub(super) use first::{Kind, images as images_at_first, kind as kind_at_first};
pub(super) use meaning::{Plan, plan};

use super::input::{ColourOrder, Meaning, Range};
use super::{Features, ImageShape, Images};
use crate::error::{Error, Result};
use std::path::Path;

/// Numbers of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// From 0 to 255.
    Bytes(Vec<u8>),
    /// Whole ones.
    Integers(Vec<i64>),
    /// Others,
    Floats(Vec<f32>),
    /// also with more digits.
    Doubles(Vec<f64>),
}

impl Numbers {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Bytes(numbers) => numbers.len(),
            Self::Integers(numbers) => numbers.len(),
            Self::Floats(numbers) => numbers.len(),
            Self::Doubles(numbers) => numbers.len(),
        }
    }

    /// One of them.
    pub fn get(&self, place: usize) -> f64 {
        match self {
            Self::Bytes(numbers) => numbers[place].into(),
            Self::Integers(numbers) => numbers[place] as f64,
            Self::Floats(numbers) => numbers[place].into(),
            Self::Doubles(numbers) => numbers[place],
        }
    }

    /// All of them, in their order.
    pub fn doubles(&self) -> Vec<f64> {
        (0..self.count()).map(|place| self.get(place)).collect()
    }

    /// What is known of them.
    pub fn range(&self) -> Range {
        (0..self.count()).fold(Range::NONE, |range, place| range.with(self.get(place)))
    }

    /// These columns of rows that are `width` wide.
    pub(super) fn columns(&self, width: usize, columns: &[usize]) -> Self {
        fn taken<T: Copy>(numbers: &[T], width: usize, columns: &[usize]) -> Vec<T> {
            numbers.chunks_exact(width).flat_map(|row| columns.iter().map(|&column| row[column])).collect()
        }
        match self {
            Self::Bytes(numbers) => Self::Bytes(taken(numbers, width, columns)),
            Self::Integers(numbers) => Self::Integers(taken(numbers, width, columns)),
            Self::Floats(numbers) => Self::Floats(taken(numbers, width, columns)),
            Self::Doubles(numbers) => Self::Doubles(taken(numbers, width, columns)),
        }
    }

    /// Rows of as many columns as `order` has, in another order of columns.
    pub(super) fn reordered(&self, order: &[usize]) -> Self {
        self.columns(order.len(), order)
    }

    /// With no more digits than 32 bits have.
    pub(super) fn single(self) -> Self {
        match self {
            Self::Doubles(numbers) => Self::Floats(numbers.into_iter().map(|number| number as f32).collect()),
            other => other,
        }
    }
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
    /// What was found beside them.
    pub found: Found,
}

/// What a reader of files found and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The names of the columns that are no labels; none where columns have no names.
    pub columns: Vec<String>,
    /// Where the labels stand: the name of a column or an array, or the number of a column, counted from 1.
    pub label_column: Option<String>,
    /// What was not read.
    pub left_out: Vec<String>,
    /// What was decided by what the file holds.
    pub decided: Vec<String>,
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

/// Refuses what does not belong together.
fn check_shape(path: &Path, labelled: &Labelled, labels: usize, shape: ImageShape) -> Result<()> {
    if image_shape(path, &labelled.shape)? != shape {
        let problem = format!("holds images of {shape} to learn from, and to test on an array of the shape {:?}", labelled.shape);
        return Err(fail(path, problem, "give images of one shape"));
    }
    let count = labelled.images.count();
    if labels.checked_mul(shape.pixels()) != Some(count) {
        let problem = format!("holds {labels} labels for {} images", count / shape.pixels());
        return Err(fail(path, problem, "give a label for each image"));
    }
    Ok(())
}

/// How the colours of pixels stand: behind each pixel in an array that has an axis for them, else as the plan says.
fn order(labelled: &Labelled, shape: ImageShape, plan: &Plan) -> ColourOrder {
    match labelled.shape[..] {
        [_, _, _, last] if shape.channels > 1 && last == shape.channels => ColourOrder::Interleaved,
        [_, _] => plan.colours.unwrap_or(ColourOrder::Planes),
        _ => ColourOrder::Planes,
    }
}

/// Images or features as the plan has them, and what each of them holds before anything is rounded.
pub(super) fn images(
    path: &Path,
    labelled: Labelled,
    labels: Vec<u8>,
    shape: ImageShape,
    plan: &Plan,
) -> Result<(Images, Vec<u64>)> {
    check_shape(path, &labelled, labels.len(), shape)?;
    let is_interleaved = shape.channels > 1 && order(&labelled, shape, plan) == ColourOrder::Interleaved;
    let numbers = labelled.images;
    if let Meaning::Pixels { .. } = plan.meaning {
        let mut pixels: Vec<u8> = match numbers {
            Numbers::Bytes(bytes) if plan.white == 255.0 => bytes,
            numbers => (0..numbers.count()).map(|place| (numbers.get(place) * (255.0 / plan.white)).round() as u8).collect(),
        };
        if is_interleaved {
            by_channel(&mut pixels, shape);
        }
        let images = Images { pixels, labels, shape, features: None };
        let contents = images.contents();
        return Ok((images, contents));
    }
    let mut doubles = numbers.doubles();
    if is_interleaved {
        by_channel(&mut doubles, shape);
    }
    let row = |row: &[f64]| row.iter().flat_map(|number| (number + 0.0).to_le_bytes()).collect::<Vec<u8>>();
    let contents = doubles.chunks_exact(shape.pixels()).map(|numbers| super::split::content(&[&row(numbers)])).collect();
    let features = Features::of_doubles(&doubles, shape.pixels(), plan.offset.as_deref());
    features.check_finite().map_err(|error| fail(path, format!("cannot be learned from: {error}"), "mend the file"))?;
    Ok((Images { pixels: Vec::new(), labels, shape, features: Some(features) }, contents))
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
