//! From a picture to the image that a model reads: resized only, or a digit brought into the place that digits have in MNIST.

use super::photograph::{self, Bounds, Doubt, Found, Ink};
use super::picture::Picture;
use crate::dataset::{ImageShape, Origin};
use crate::decode;
use crate::error::{Error, Result};
use crate::output::description::ModelDescription;
use image::imageops::{FilterType, crop_imm, resize};
use image::{GrayImage, Luma};

/// The data sets whose images are bright digits or letters on black, centred, with a margin. What begins with "emnist" is one, too.
const DIGIT_LIKE: [&str; 4] = ["digits", "mnist", "kmnist", "qmnist"];

/// Shades closer than this are one: a picture without any other shows nothing.
const LEAST_CONTRAST: u8 = 16;

/// Pictures whose longer side is at most so many times the frame's show one digit and nothing else: there is no room.
const SMALL: f32 = 1.5;

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
    /// As MNIST was made. Of each digit that is found in the picture:
    ///
    /// 1. grey, by luminance, and in a photograph without shadows, lines, specks and what else is not the digit's ink;
    /// 2. the ink is 1, the background 0, whichever of them is brighter;
    /// 3. the box around the ink is scaled until its longer side takes 20/28 of the frame, averaging over areas, and its brightest
    ///    pixel becomes 255;
    /// 4. it is placed with its centre of mass at the middle pixel (row and column 14 of 28, from 0), but never across the edge.
    Digit,
}

impl Preparation {
    /// What suits the images that a model learnt from. A model that does not say what it learnt from gets digits if it reads 28×28.
    pub fn of(model: &ModelDescription) -> Self {
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
            Self::Digit => {
                let gray = picture.image.to_luma8();
                let found = if is_small(&gray, shape) { None } else { photograph::main_digit(&gray) };
                let plain = plain_digit(&gray);
                match (found, plain) {
                    (Some(found), Some(plain)) if !is_same(&found, &plain, &gray) => Ok(framed(&found.ink, shape)),
                    (_, Some((_, ink))) => Ok(framed(&ink, shape)),
                    (Some(found), None) => Ok(framed(&found.ink, shape)),
                    (None, None) => Err(blank(picture)),
                }
            }
        }
    }

    /// All images that a picture holds: each digit that is found, from left to right, or the picture itself. There may be none, of
    /// noise or blank paper; an error says that the picture is all of one shade.
    pub fn find(self, picture: &Picture, shape: ImageShape) -> Result<Vec<Prepared>> {
        let whole = |pixels| Prepared { pixels, bounds: None, doubts: Vec::new() };
        if self == Self::Resize {
            return Ok(vec![whole(resized(picture, shape)?)]);
        }
        let gray = picture.image.to_luma8();
        let (bounds, ink) = plain_digit(&gray).ok_or_else(|| blank(picture))?;
        if is_small(&gray, shape) {
            return Ok(vec![Prepared { pixels: framed(&ink, shape), bounds: Some(bounds), doubts: Vec::new() }]);
        }
        let found = photograph::digits(&gray);
        // On paper of one shade a single thing with room around it is a digit, however it is drawn; but not a sheet on a desk of one shade.
        if found.is_empty() && is_alone(&gray, &bounds, &ink) && !photograph::shows_sheet(&gray) {
            return Ok(vec![Prepared { pixels: framed(&ink, shape), bounds: Some(bounds), doubts: Vec::new() }]);
        }
        if let [one] = &found[..]
            && is_same(one, &(bounds, ink.clone()), &gray)
        {
            return Ok(vec![Prepared { pixels: framed(&ink, shape), bounds: Some(bounds), doubts: one.doubts.clone() }]);
        }
        let prepared =
            |found: Found| Prepared { pixels: framed(&found.ink, shape), bounds: Some(found.bounds), doubts: found.doubts };
        Ok(found.into_iter().map(prepared).collect())
    }
}

fn blank(picture: &Picture) -> Error {
    picture.fail("shows nothing: it is all of one shade", "give a picture of a digit, or --raw to ask about it as it is")
}

fn is_small(gray: &GrayImage, shape: ImageShape) -> bool {
    gray.width().max(gray.height()) as f32 <= SMALL * shape.width.max(shape.height) as f32
}

/// Whether the picture is clean: a search for digits came to the same box as the box around all ink, to a fiftieth of the picture, and
/// the paper has one shade. Then nothing needs to be taken away.
fn is_same(found: &Found, plain: &(Bounds, Ink), gray: &GrayImage) -> bool {
    let tolerance = gray.width().max(gray.height()) / 50 + 1;
    let (one, other) = (&found.bounds, &plain.0);
    let ends = |bounds: &Bounds| [bounds.left, bounds.top, bounds.left + bounds.width, bounds.top + bounds.height];
    let close = ends(one).into_iter().zip(ends(other)).all(|(one, other)| one.abs_diff(other) <= tolerance);
    close && !has_shadow(gray)
}

/// Whether nearly everything but what is in the box is of one shade, and the box is no frame, no line and no dust.
fn is_alone(gray: &GrayImage, bounds: &Bounds, ink: &Ink) -> bool {
    let Bounds { left, top, width, height } = *bounds;
    let background = border_median(gray);
    let is_paper = |value: u8| value.abs_diff(background) <= LEAST_CONTRAST / 2;
    // Soft edges reach beyond the box.
    let margin = width.max(height) / 4;
    let outside =
        |x: u32, y: u32| x + margin < left || y + margin < top || x >= left + width + margin || y >= top + height + margin;
    let around: Vec<u8> = gray.enumerate_pixels().filter(|(x, y, _)| outside(*x, *y)).map(|(_, _, pixel)| pixel.0[0]).collect();
    // Compression and dust leave traces.
    let others = around.iter().filter(|&&value| !is_paper(value)).count();
    let strokes = ink.pixels().filter(|pixel| pixel.0[0] > 0.5).count() as f32 / (width * height) as f32;
    let (wide, high) = (width as f32 / gray.width() as f32, height as f32 / gray.height() as f32);
    (0.1..0.9).contains(&high) && wide < 0.9 && strokes > 0.1 && 10 * others <= around.len()
}

/// Whether the paper has more than one shade: whether its median differs along the picture's edge by more than a tenth.
fn has_shadow(gray: &GrayImage) -> bool {
    let (right, bottom) = (gray.width() - 1, gray.height() - 1);
    let median = |mut values: Vec<u8>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    let row = |y: u32| median((0..=right).map(|x| gray.get_pixel(x, y).0[0]).collect());
    let column = |x: u32| median((0..=bottom).map(|y| gray.get_pixel(x, y).0[0]).collect());
    let sides = [row(0), row(bottom), column(0), column(right)];
    let (low, high) = (sides.iter().min().copied().unwrap_or(0), sides.iter().max().copied().unwrap_or(0));
    u32::from(high - low) * 10 > u32::from(high)
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

/// The box around all that is darker, or brighter, than the background, by one threshold for the whole picture, and what is in it;
/// nothing if all is of one shade.
fn plain_digit(gray: &GrayImage) -> Option<(Bounds, Ink)> {
    let ink = ink(gray)?;
    let bounds = bounds(&ink, threshold(&ink));
    let Bounds { left, top, width, height } = bounds;
    Some((bounds, crop_imm(&ink, left, top, width, height).to_image()))
}

/// A digit's ink, scaled and placed as those of MNIST are.
fn framed(ink: &Ink, shape: ImageShape) -> Vec<u8> {
    let (width, height) = ink.dimensions();
    let scale = |side: usize, length: u32| 20.0 / 28.0 * side as f32 / length as f32;
    let scale = scale(shape.width, width).min(scale(shape.height, height));
    let scaled = |length: u32, side: usize| ((length as f32 * scale).round() as u32).clamp(1, side as u32);
    let size = (scaled(width, shape.width), scaled(height, shape.height));
    placed(&resize(ink, size.0, size.1, FilterType::Triangle), shape)
}

/// How much ink each pixel has; nothing if there is no contrast.
fn ink(gray: &GrayImage) -> Option<Ink> {
    let (darkest, brightest) = gray.pixels().fold((255, 0), |(low, high), pixel| (pixel.0[0].min(low), pixel.0[0].max(high)));
    let range = brightest.checked_sub(darkest).filter(|&range| range >= LEAST_CONTRAST)?;
    let stretched = |value: u8| f32::from(value - darkest) / f32::from(range);
    let background = stretched(border_median(gray));
    let of = |value: f32| if background > 0.5 { 1.0 - value } else { value };
    let background = of(background);
    let ink = |value: u8| ((of(stretched(value)) - background) / (1.0 - background)).max(0.0);
    Some(Ink::from_fn(gray.width(), gray.height(), |x, y| Luma([ink(gray.get_pixel(x, y).0[0])])))
}

fn border_median(gray: &GrayImage) -> u8 {
    let (right, bottom) = (gray.width() - 1, gray.height() - 1);
    let rows = (0..=right).flat_map(|x| [(x, 0), (x, bottom)]);
    let columns = (0..=bottom).flat_map(|y| [(0, y), (right, y)]);
    let mut values: Vec<u8> = rows.chain(columns).map(|(x, y)| gray.get_pixel(x, y).0[0]).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Otsu's threshold: where the two sides differ most from each other, and least within.
fn threshold(ink: &Ink) -> f32 {
    const LEVELS: usize = 256;
    let mut histogram = [0u64; LEVELS];
    for pixel in ink.pixels() {
        histogram[(pixel.0[0] * (LEVELS - 1) as f32).round() as usize] += 1;
    }
    let sum = |levels: &[u64], first: usize| -> (f64, f64) {
        let weighted = levels.iter().enumerate().map(|(level, &count)| ((first + level) as f64 * count as f64, count as f64));
        weighted.fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1))
    };
    let between = |level: usize| {
        let ((low, low_count), (high, high_count)) = (sum(&histogram[..level], 0), sum(&histogram[level..], level));
        low_count * high_count * (low / low_count.max(1.0) - high / high_count.max(1.0)).powi(2)
    };
    let best = (2..LEVELS).fold(1, |best, level| if between(level) > between(best) { level } else { best });
    (best as f32 - 0.5) / (LEVELS - 1) as f32
}

/// The box around all that is above `threshold`.
fn bounds(ink: &Ink, threshold: f32) -> Bounds {
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, pixel) in ink.enumerate_pixels() {
        if pixel.0[0] > threshold {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
        }
    }
    if left > right {
        return Bounds { left: 0, top: 0, width: ink.width(), height: ink.height() };
    }
    Bounds { left, top, width: right - left + 1, height: bottom - top + 1 }
}

/// The frame with the digit in it. The middle is a pixel: in MNIST the centre of mass is at row and column 14, counted from 0, give or
/// take a half.
fn placed(small: &Ink, shape: ImageShape) -> Vec<u8> {
    let mut mass = [0.0f32; 3];
    for (x, y, pixel) in small.enumerate_pixels() {
        let value = pixel.0[0];
        mass = [mass[0] + value, mass[1] + value * x as f32, mass[2] + value * y as f32];
    }
    let brightest = small.pixels().fold(f32::MIN_POSITIVE, |most, pixel| most.max(pixel.0[0]));
    let offset = |moment: f32, side: usize, length: u32| {
        let centre = moment / mass[0].max(f32::MIN_POSITIVE);
        ((side / 2) as f32 - centre).round().clamp(0.0, side as f32 - length as f32) as usize
    };
    let (left, top) = (offset(mass[1], shape.width, small.width()), offset(mass[2], shape.height, small.height()));
    let mut frame = vec![0; shape.height * shape.width];
    for (x, y, pixel) in small.enumerate_pixels() {
        let value = (255.0 * pixel.0[0] / brightest).round() as u8;
        frame[(top + y as usize) * shape.width + left + x as usize] = value;
    }
    frame
}

#[cfg(test)]
mod tests;
