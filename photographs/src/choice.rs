//! Whether the search found the digits, or all ink of the picture is one.

use super::whole::{LEAST_CONTRAST, border_median};
use super::{Bounds, Found, search};
use image::GrayImage;

/// All digits; `whole` is all ink as one.
pub(super) fn all(gray: &GrayImage, whole: Found) -> Vec<Found> {
    let found = search::digits(gray);
    // On paper of one shade a single thing with room around it is a digit, however it is drawn; but not a sheet on a desk of one shade.
    if found.is_empty() && is_alone(gray, &whole) && !search::shows_sheet(gray) {
        return vec![whole];
    }
    match &found[..] {
        [one] if is_same(one, &whole, gray) => vec![Found { doubts: one.doubts.clone(), ..whole }],
        _ => found,
    }
}

/// The one digit of a picture that is known to show one.
pub(super) fn main(gray: &GrayImage, whole: Option<Found>) -> Option<Found> {
    match (search::main_digit(gray), whole) {
        (Some(found), Some(whole)) if is_same(&found, &whole, gray) => Some(whole),
        (Some(found), _) => Some(found),
        (None, whole) => whole,
    }
}

/// Whether the picture is clean: a search for digits found the box around all ink, to a fiftieth of the picture, and
/// the paper has one shade. Then nothing needs to be taken away.
fn is_same(found: &Found, whole: &Found, gray: &GrayImage) -> bool {
    let tolerance = gray.width().max(gray.height()) / 50 + 1;
    let (one, other) = (&found.bounds, &whole.bounds);
    let ends = |bounds: &Bounds| [bounds.left, bounds.top, bounds.left + bounds.width, bounds.top + bounds.height];
    let close = ends(one).into_iter().zip(ends(other)).all(|(one, other)| one.abs_diff(other) <= tolerance);
    close && !has_shadow(gray)
}

/// Whether nearly everything but what is in the box is of one shade, and the box is no frame, no line and no dust.
fn is_alone(gray: &GrayImage, whole: &Found) -> bool {
    let Bounds { left, top, width, height } = whole.bounds;
    let background = border_median(gray);
    let is_paper = |value: u8| value.abs_diff(background) <= LEAST_CONTRAST / 2;
    // Soft edges reach beyond the box.
    let margin = width.max(height) / 4;
    let outside =
        |x: u32, y: u32| x + margin < left || y + margin < top || x >= left + width + margin || y >= top + height + margin;
    let around: Vec<u8> = gray.enumerate_pixels().filter(|(x, y, _)| outside(*x, *y)).map(|(_, _, pixel)| pixel.0[0]).collect();
    // Compression and dust leave traces.
    let others = around.iter().filter(|&&value| !is_paper(value)).count();
    let strokes = whole.ink.pixels().filter(|pixel| pixel.0[0] > 0.5).count() as f32 / (width * height) as f32;
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
