//! Handwritten digits in a picture: pixels in, and for each digit that is found its box and an image as those of MNIST are.
//!
//! A picture that is no larger than such an image shows one digit. With the feature `search`, larger ones are searched: photographs of
//! paper that is unevenly lit, ruled, dirty, or smaller than the picture. Without it, all that is darker or brighter than the
//! background is one digit.

// Whatever a picture shows is answered, never with a panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo))]

#[cfg(feature = "search")]
mod choice;
mod frame;
#[cfg(feature = "search")]
mod search;
mod whole;

pub use frame::Frame;

use image::{GrayImage, ImageBuffer, Luma};
use std::fmt;

/// How much ink each pixel has: 0 for paper, 1 where no light comes back.
type Ink = ImageBuffer<Luma<f32>, Vec<f32>>;

/// A box in a picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of the first column.
    pub left: u32,
    /// Of the first row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Why a box may not be the box of one digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Far wider than high.
    Wide,
    /// Cut off by the picture's edge, or no digit but something that reaches into the picture.
    AtEdge,
    /// Hardly darker than the unevenness around it.
    Faint,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wide => "it is wider than a digit, and may be several that touch",
            Self::AtEdge => "it touches the picture's edge",
            Self::Faint => "it hardly stands out from what is around it",
        })
    }
}

/// A digit, and where in the picture it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// Its image, row by row.
    pub pixels: Vec<u8>,
    /// Its box.
    pub bounds: Bounds,
    /// Why the box may be wrong.
    pub doubts: Vec<Doubt>,
}

/// A digit that was found, as its ink.
#[derive(Clone, Debug)]
struct Found {
    /// Where it is in the picture.
    bounds: Bounds,
    /// The ink in the box, and none of what is no part of the digit; 1 is what most of its strokes have.
    ink: Ink,
    /// What speaks against it.
    doubts: Vec<Doubt>,
}

/// All digits of a picture, row by row, each from left to right. There may be none, of noise or blank paper. `None` where the picture is
/// all of one shade.
pub fn digits(gray: &GrayImage, frame: Frame) -> Option<Vec<Digit>> {
    let whole = whole::digit(gray)?;
    let found = if frame.is_filled_by(gray) { vec![whole] } else { choice::all(gray, whole) };
    let digit = |Found { bounds, ink, doubts }| Digit { pixels: frame.of(&ink), bounds, doubts };
    Some(found.into_iter().map(digit).collect())
}

/// The image of the one digit of a picture that is known to show one. Where no digit can be told from what is around it, all that is
/// not background is the digit. `None` where there is none, and the picture is all of one shade.
pub fn main_digit(gray: &GrayImage, frame: Frame) -> Option<Vec<u8>> {
    let whole = whole::digit(gray);
    let found = if frame.is_filled_by(gray) { whole } else { choice::main(gray, whole) };
    found.map(|found| frame.of(&found.ink))
}

/// Without a search, all ink is one digit.
#[cfg(not(feature = "search"))]
mod choice {
    use super::Found;
    use image::GrayImage;

    pub fn all(_: &GrayImage, whole: Found) -> Vec<Found> {
        vec![whole]
    }

    pub fn main(_: &GrayImage, whole: Option<Found>) -> Option<Found> {
        whole
    }
}

#[cfg(test)]
mod tests;
