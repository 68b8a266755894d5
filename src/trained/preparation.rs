//! From a picture to the image that a model reads: resized only, or a digit brought into the place that digits have in MNIST.

use super::picture::Picture;
use crate::dataset::{ImageShape, Origin};
use crate::decode;
use crate::error::{Error, Result};
use crate::output::description::ModelDescription;
use ffcl_gpu_photographs::{Digit, Frame, digits, main_digit};

pub use ffcl_gpu_photographs::{Bounds, Doubt};

/// The data sets whose images are bright digits or letters on black, centred, with a margin. What begins with "emnist" is one, too.
const DIGIT_LIKE: [&str; 4] = ["digits", "mnist", "kmnist", "qmnist"];

/// An image for the model, and where in the picture it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// The digit's box; nothing where the whole picture is the image.
    pub bounds: Option<Bounds>,
    /// Why the box may be wrong.
    pub doubts: Vec<Doubt>,
}

/// How a picture becomes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// As the images of a folder in training: brought to the model's height and width, and to grey if it reads grey.
    Resize,
    /// As MNIST was made: each digit that is found in the picture, bright on black, in a frame of the model's height and width. The
    /// crate `ffcl-gpu-photographs` does this; with the feature `photographs` it searches photographs, without it all that is not
    /// background is one digit.
    Digit,
    /// Likewise, but for pictures of the model's size on black: they are images of those that it learned from.
    DigitUnlessFramed,
}

impl Preparation {
    /// What suits the images that a model learnt from, as it says itself. Where it says nothing, a known set is known by its name, and a
    /// model that does not say what it learnt from gets digits if it reads 28×28.
    pub fn of(model: &ModelDescription) -> Self {
        if let Some(digits) = model.input.as_ref().and_then(|input| input.digits) {
            return if digits { Self::DigitUnlessFramed } else { Self::Resize };
        }
        let name = model.dataset.as_str();
        let digits = DIGIT_LIKE.contains(&name)
            || name.starts_with("emnist")
            || model.is_foreign() && (model.image.height, model.image.width) == (28, 28);
        // What is in a folder of such a name, nobody knows.
        let known = model.origin == Origin::Known;
        if known && digits && model.image.channels == 1 { Self::Digit } else { Self::Resize }
    }

    /// The one image of a picture that is known to show one thing, such as one of a labelled data set, channel by channel, row by
    /// row. Where no digit can be told from what is around it, all that is not background is it.
    pub fn apply(self, picture: &Picture, shape: ImageShape) -> Result<Vec<u8>> {
        match self {
            Self::Resize => resized(picture, shape),
            Self::DigitUnlessFramed if is_framed(picture, shape) => resized(picture, shape),
            Self::Digit | Self::DigitUnlessFramed => {
                main_digit(&picture.image.to_luma8(), frame(shape)).ok_or_else(|| blank(picture))
            }
        }
    }

    /// All images that a picture holds: each digit that is found, from left to right, or the picture itself. There may be none, of
    /// noise or blank paper; an error says that the picture is all of one shade.
    pub fn find(self, picture: &Picture, shape: ImageShape) -> Result<Vec<Prepared>> {
        if self == Self::Resize || self == Self::DigitUnlessFramed && is_framed(picture, shape) {
            return Ok(vec![Prepared { pixels: resized(picture, shape)?, bounds: None, doubts: Vec::new() }]);
        }
        let digits = digits(&picture.image.to_luma8(), frame(shape)).ok_or_else(|| blank(picture))?;
        let prepared = |Digit { pixels, bounds, doubts }| Prepared { pixels, bounds: Some(bounds), doubts };
        Ok(digits.into_iter().map(prepared).collect())
    }
}

fn frame(shape: ImageShape) -> Frame {
    Frame { height: shape.height, width: shape.width }
}

fn blank(picture: &Picture) -> Error {
    picture.fail("shows nothing: it is all of one shade", "give a picture of a digit, or --raw to ask about it as it is")
}

/// Shades below this are black.
const BLACK: u8 = 16;

/// Whether a picture is of the model's size, and most of its edge is black.
fn is_framed(picture: &Picture, shape: ImageShape) -> bool {
    let gray = picture.image.to_luma8();
    let (width, height) = gray.dimensions();
    let is_edge = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let edge: Vec<bool> =
        gray.enumerate_pixels().filter(|(x, y, _)| is_edge(*x, *y)).map(|(_, _, pixel)| pixel.0[0] < BLACK).collect();
    let black = edge.iter().filter(|&&black| black).count();
    (height as usize, width as usize) == (shape.height, shape.width) && 2 * black > edge.len()
}

fn resized(picture: &Picture, shape: ImageShape) -> Result<Vec<u8>> {
    let plain = picture.plain()?;
    let image = match shape.channels {
        1 => plain.to_luma8().into(),
        3 => plain.to_rgb8().into(),
        channels => {
            let message = format!("the model reads {channels} channels, and pictures have 1 or 3; give another model");
            return Err(Error::Configuration(message));
        }
    };
    Ok(decode::planes(image, shape.height, shape.width))
}

#[cfg(test)]
mod tests;
