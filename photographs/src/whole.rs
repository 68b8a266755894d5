//! All that is darker, or brighter, than the background, as one digit.

use super::{Bounds, Found, Ink};
use image::imageops::crop_imm;
use image::{GrayImage, Luma};

/// Shades closer than this are one: a picture without any other shows nothing.
pub(super) const LEAST_CONTRAST: u8 = 16;

/// The box around all that is darker, or brighter, than the background, by one threshold for the whole picture, and what is in it;
/// nothing if all is of one shade.
pub(super) fn digit(gray: &GrayImage) -> Option<Found> {
    let ink = ink(gray)?;
    let bounds = bounds(&ink, threshold(&ink));
    let Bounds { left, top, width, height } = bounds;
    Some(Found { bounds, ink: crop_imm(&ink, left, top, width, height).to_image(), doubts: Vec::new() })
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

/// The median of the pixels at the picture's edge.
pub(super) fn border_median(gray: &GrayImage) -> u8 {
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
