//! From a picture to the image that a model reads: resized only, or a digit brought into the place that digits have in MNIST.

use super::picture::Picture;
use crate::dataset::{ImageShape, Origin};
use crate::decode;
use crate::error::{Error, Result};
use crate::output::description::ModelDescription;
use image::imageops::{FilterType, crop_imm, resize};
use image::{GrayImage, ImageBuffer, Luma};

/// The data sets whose images are bright digits or letters on black, centred, with a margin. What begins with "emnist" is one, too.
const DIGIT_LIKE: [&str; 4] = ["digits", "mnist", "kmnist", "qmnist"];

/// Shades closer than this are one: a picture without any other shows nothing.
const LEAST_CONTRAST: u8 = 16;

/// A picture's ink: 0 for the background, 1 for the pen.
type Ink = ImageBuffer<Luma<f32>, Vec<f32>>;

/// How a picture becomes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// As the images of a folder in training: brought to the model's height and width, and to grey if it reads grey.
    Resize,
    /// As MNIST was made:
    ///
    /// 1. grey, by luminance;
    /// 2. the darkest pixel becomes 0, the brightest 1;
    /// 3. inverted if the background is light: if the median of the border's pixels is above ½; then that median becomes 0;
    /// 4. Otsu's threshold tells ink from background; the box around all ink is the digit;
    /// 5. the box is scaled until its longer side takes 20/28 of the frame, averaging over areas, and its brightest pixel becomes 255;
    /// 6. it is placed with its centre of mass at the middle pixel (row and column 14 of 28, from 0), but never across the edge.
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

    /// The image, channel by channel, row by row.
    pub fn apply(self, picture: &Picture, shape: ImageShape) -> Result<Vec<u8>> {
        match self {
            Self::Resize => resized(picture, shape),
            Self::Digit => digit(picture, shape),
        }
    }
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

fn digit(picture: &Picture, shape: ImageShape) -> Result<Vec<u8>> {
    let gray = picture.image.to_luma8();
    let ink = ink(&gray).ok_or_else(|| {
        picture.fail("shows nothing: it is all of one shade", "give a picture of a digit, or --raw to ask about it as it is")
    })?;
    let [left, top, width, height] = bounds(&ink, threshold(&ink));
    let scale = |side: usize, length: u32| 20.0 / 28.0 * side as f32 / length as f32;
    let scale = scale(shape.width, width).min(scale(shape.height, height));
    let scaled = |length: u32, side: usize| ((length as f32 * scale).round() as u32).clamp(1, side as u32);
    let size = (scaled(width, shape.width), scaled(height, shape.height));
    let small = resize(&*crop_imm(&ink, left, top, width, height), size.0, size.1, FilterType::Triangle);
    Ok(placed(&small, shape))
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

/// Left, top, width and height of the box around all that is above `threshold`.
fn bounds(ink: &Ink, threshold: f32) -> [u32; 4] {
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, pixel) in ink.enumerate_pixels() {
        if pixel.0[0] > threshold {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
        }
    }
    if left > right { [0, 0, ink.width(), ink.height()] } else { [left, top, right - left + 1, bottom - top + 1] }
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
