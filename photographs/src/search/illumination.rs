//! Shadows evened out: what a pixel would be on paper that is lit alike everywhere.

use super::Ink;
use image::imageops::{crop_imm, resize};
use image::{GrayImage, Luma, imageops::FilterType};
use imageproc::filter::{gaussian_blur_f32, median_filter};
use imageproc::morphology::{Mask, grayscale_dilate, grayscale_erode};

/// Half of the side of the square that has to fit into what is paper, as a share of the picture's shorter side. Strokes are narrower
/// than this square even where a thick pen fills the picture with one digit, and shadows are wider.
const REACH: f32 = 0.15;

/// The blur that takes camera noise away, as a share of the longer side: less than the width of a stroke that can be read.
const BLUR: f32 = 1.0 / 500.0;

/// Ratios closer than this are one shade.
const LEAST_CONTRAST: f32 = 0.06;

/// Paper this dark is as good as black: what differs from it does so by noise.
const DARKEST: f32 = 48.0;

/// Whether strokes are darker or brighter than what they are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pen {
    Dark,
    Bright,
}

/// A picture without its shadows.
pub(super) struct Page {
    pub ink: Ink,
    /// The shade of the paper under it.
    pub paper: GrayImage,
    /// What counts as ink at all.
    pub least: f32,
}

/// The pens to look for, the likelier one first, and the other one only if there is about as much to see of it.
pub(super) fn pens(gray: &GrayImage) -> Vec<Pen> {
    // What is narrow, and on the darker or brighter side of its surroundings. Small pictures say it as well as large ones.
    const SIDE: f64 = 160.0;
    let scale = (SIDE / f64::from(gray.width().max(gray.height()))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = resize(gray, side(gray.width()), side(gray.height()), FilterType::Triangle);
    // What is between a digit and the edge of the paper that it stands on is wider than most strokes.
    let reach = reach(&small, 0.5 * REACH);
    let surroundings = median_filter(&small, (small.width() / 4).max(1), (small.height() / 4).max(1));
    let (closed, opened) = (close(&small, reach), open(&small, reach));
    let (mut dark, mut bright) = (0.0, 0.0);
    for (((value, around), closed), opened) in small.iter().zip(surroundings.iter()).zip(closed.iter()).zip(opened.iter()) {
        dark += f64::from((closed - value).min(around.saturating_sub(*value))).powi(2);
        bright += f64::from((value - opened).min(value.saturating_sub(*around))).powi(2);
    }
    let mut pens = vec![(dark, Pen::Dark), (bright, Pen::Bright)];
    pens.sort_by(|one, other| other.0.total_cmp(&one.0));
    let least = pens[0].0 / 4.0;
    pens.into_iter().filter(|(energy, _)| *energy >= least).map(|(_, pen)| pen).collect()
}

/// The ink of a picture; nothing if it has no contrast at all.
pub(super) fn flatten(gray: &GrayImage, pen: Pen) -> Option<Page> {
    let mut gray = gray.clone();
    if pen == Pen::Bright {
        image::imageops::invert(&mut gray);
    }
    let blur = BLUR * gray.width().max(gray.height()) as f32;
    // Less than this would mix a pixel with nothing.
    let even = if blur >= 0.3 { gaussian_blur_f32(&gray, blur) } else { gray };
    let paper = paper(&even);
    // Ink takes a share of the light, however much of it there is.
    let share = |(value, paper): (&u8, &u8)| 1.0 - f32::from(*value) / f32::from(*paper).max(DARKEST);
    let mut ink: Vec<f32> = even.iter().zip(paper.iter()).map(share).collect();
    // The paper is what most pixels are; noise lies to both sides of it.
    let level = median(ink.clone())?;
    let noise = 1.4826 * median(ink.iter().map(|value| (value - level).abs()).collect())?;
    for value in &mut ink {
        *value = ((*value - level) / (1.0 - level).max(0.01)).clamp(0.0, 1.0);
    }
    let least = LEAST_CONTRAST.max(5.0 * noise);
    let most = ink.iter().copied().fold(0.0, f32::max);
    let ink = Ink::from_raw(even.width(), even.height(), ink)?;
    (most > least).then_some(Page { ink, paper, least })
}

/// What the paper alone would look like.
fn paper(gray: &GrayImage) -> GrayImage {
    if let Some(level) = even_level(gray) {
        return GrayImage::from_pixel(gray.width(), gray.height(), Luma([level]));
    }
    // What is beyond the edge looks like the edge: dark strips go on there, and are wide.
    let reach = reach(gray, REACH);
    let margin = u32::from(reach);
    let inside = |at: u32, length: u32| at.saturating_sub(margin).min(length - 1);
    let wide = GrayImage::from_fn(gray.width() + 2 * margin, gray.height() + 2 * margin, |x, y| {
        *gray.get_pixel(inside(x, gray.width()), inside(y, gray.height()))
    });
    crop_imm(&close(&wide, reach), margin, margin, gray.width(), gray.height()).to_image()
}

/// The shade of paper that has one: that of the picture's edge, if all else is as bright, or is strokes with sharp edges.
fn even_level(gray: &GrayImage) -> Option<u8> {
    let (right, bottom) = (gray.width() - 1, gray.height() - 1);
    let rows = (0..=right).flat_map(|x| [(x, 0), (x, bottom)]);
    let columns = (0..=bottom).flat_map(|y| [(0, y), (right, y)]);
    let mut edge: Vec<u8> = rows.chain(columns).map(|(x, y)| gray.get_pixel(x, y).0[0]).collect();
    edge.sort_unstable();
    let level = edge[edge.len() / 2];
    let darkest = gray.iter().copied().min()?;
    let contrast = f32::from(level.checked_sub(darkest)?);
    let share = |value: u8| (f32::from(level) - f32::from(value)) / contrast.max(1.0);
    let even = |values: &mut dyn Iterator<Item = u8>| values.filter(|&value| share(value).abs() < 0.1).count();
    let between = gray.iter().filter(|&&value| (0.1..0.5).contains(&share(value)) || share(value) < -0.1).count();
    let ink = gray.iter().filter(|&&value| share(value) >= 0.5).count();
    (even(&mut edge.iter().copied()) * 5 >= edge.len() * 4 && between <= ink && contrast > 0.0).then_some(level)
}

fn reach(gray: &GrayImage, share: f32) -> u8 {
    (share * gray.width().min(gray.height()) as f32).round().clamp(2.0, 250.0) as u8
}

/// What remains of bright things that the square fits into, and dark ones that it does not fit into are gone.
fn close(gray: &GrayImage, reach: u8) -> GrayImage {
    let square = square(reach);
    let wide = square.iter().fold(gray.clone(), |gray, mask| grayscale_dilate(&gray, mask));
    square.iter().fold(wide, |gray, mask| grayscale_erode(&gray, mask))
}

fn open(gray: &GrayImage, reach: u8) -> GrayImage {
    let square = square(reach);
    let narrow = square.iter().fold(gray.clone(), |gray, mask| grayscale_erode(&gray, mask));
    square.iter().fold(narrow, |gray, mask| grayscale_dilate(&gray, mask))
}

/// A square as masks of two pixels, one after the other: they cost the logarithm of its side, not its area.
fn square(reach: u8) -> Vec<Mask> {
    let mut masks = Vec::new();
    let mut covered = 1;
    while covered <= reach {
        // Both ends of what is covered twice: the run grows by this distance.
        let distance = covered.min(reach + 1 - covered);
        let ends = |x: u32, y: u32| Luma([if x + y == 0 || x + y == u32::from(distance) { 255 } else { 0 }]);
        let row = GrayImage::from_fn(u32::from(distance) + 1, 1, ends);
        let column = GrayImage::from_fn(1, u32::from(distance) + 1, ends);
        for centre in [0, distance] {
            masks.push(Mask::from_image(&row, centre, 0));
            masks.push(Mask::from_image(&column, 0, centre));
        }
        covered += distance;
    }
    masks
}

pub(super) fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_square_covers_is_taken() {
        for reach in [1, 2, 3, 6, 7, 12] {
            let dot = GrayImage::from_fn(40, 31, |x, y| Luma([if (x, y) == (9, 20) { 200 } else { 0 }]));
            let wide = square(reach).iter().fold(dot, |gray, mask| grayscale_dilate(&gray, mask));
            let within = |x: u32, y: u32| x.abs_diff(9).max(y.abs_diff(20)) <= u32::from(reach);
            assert!(wide.enumerate_pixels().all(|(x, y, value)| (value.0[0] > 0) == within(x, y)), "{reach}");
        }
    }
}
