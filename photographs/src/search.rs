//! Finds handwritten digits in photographs: on paper that is unevenly lit, ruled, dirty, or smaller than the picture.
//!
//! Everything is measured in shares of the picture's shorter side, of a digit's height, or of a stroke's width, so that a picture's
//! resolution does not matter.

mod components;
mod grouping;
mod illumination;
mod lines;
mod sheet;

use super::{Bounds, Doubt, Found, Ink};
use image::GrayImage;
use image::imageops::thumbnail;
use sheet::Sheet;

/// The longer side of what is searched. A digit of a twentieth of it still has more pixels than the frame that it is brought to; and
/// the time that a picture takes is bounded.
const LONGEST_SIDE: u32 = 1000;

impl Bounds {
    fn right(&self) -> u32 {
        self.left + self.width
    }

    fn bottom(&self) -> u32 {
        self.top + self.height
    }

    fn longer(&self) -> u32 {
        self.width.max(self.height)
    }

    /// The box around both.
    fn with(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right - left, height: bottom - top }
    }

    /// Columns that lie within both.
    fn shared_columns(&self, other: &Self) -> u32 {
        self.right().min(other.right()).saturating_sub(self.left.max(other.left))
    }

    /// Rows that lie within both.
    fn shared_rows(&self, other: &Self) -> u32 {
        self.bottom().min(other.bottom()).saturating_sub(self.top.max(other.top))
    }

    /// Free pixels between the two along the axis where they are farther apart.
    fn gap(&self, other: &Self) -> u32 {
        let between = |start: u32, end: u32, other_start: u32, other_end: u32| {
            other_start.saturating_sub(end).max(start.saturating_sub(other_end))
        };
        let columns = between(self.left, self.right(), other.left, other.right());
        columns.max(between(self.top, self.bottom(), other.top, other.bottom()))
    }
}

/// All digits, row by row, each from left to right. None is found in noise, in textures, or on blank paper.
pub(super) fn digits(gray: &GrayImage) -> Vec<Found> {
    let scale = (f64::from(gray.width().max(gray.height())) / f64::from(LONGEST_SIDE)).max(1.0);
    let reduced = |length: u32| ((f64::from(length) / scale).round() as u32).max(1);
    let small = if scale > 1.0 { &thumbnail(gray, reduced(gray.width()), reduced(gray.height())) } else { gray };
    let mut found = on_sheet(small).unwrap_or_else(|| look(small));
    // Rounded outwards: what was reduced may lie anywhere in its pixel.
    let (across, down) =
        (f64::from(gray.width()) / f64::from(small.width()), f64::from(gray.height()) / f64::from(small.height()));
    for digit in &mut found {
        let Bounds { left, top, width, height } = digit.bounds;
        let stretch = |start: u32, length: u32, by: f64| {
            let first = (f64::from(start) * by).floor();
            (first as u32, (f64::from(start + length) * by).ceil() as u32 - first as u32)
        };
        let ((left, width), (top, height)) = (stretch(left, width, across), stretch(top, height, down));
        digit.bounds = Bounds { left, top, width: width.min(gray.width() - left), height: height.min(gray.height() - top) };
    }
    found
}

/// The one digit of a picture that is known to show one: the largest, and of those that are about as large the most central.
pub(super) fn main_digit(gray: &GrayImage) -> Option<Found> {
    let middle = (f64::from(gray.width()) / 2.0, f64::from(gray.height()) / 2.0);
    let weight = |found: &Found| {
        let Bounds { left, top, width, height } = found.bounds;
        let offset =
            |start: u32, length: u32, middle: f64| (f64::from(start) + f64::from(length) / 2.0 - middle) / middle.max(1.0);
        let away = offset(left, width, middle.0).hypot(offset(top, height, middle.1));
        // At a corner of the picture a digit counts a bit more than half of what it would count in the middle.
        f64::from(found.bounds.longer()) / (1.0 + 0.5 * away)
    };
    digits(gray).into_iter().max_by(|one, other| weight(one).total_cmp(&weight(other)))
}

/// Whether a sheet of paper lies in the picture, with its edges in view.
pub(super) fn shows_sheet(gray: &GrayImage) -> bool {
    Sheet::find(gray).is_some()
}

/// What is written on a sheet that lies in the picture: all that counts, unless something reaches beyond what was taken for a sheet. A dark
/// thing that nothing is written on may be anything that lies on the paper, such as a phone.
fn on_sheet(gray: &GrayImage) -> Option<Vec<Found>> {
    let sheet = Sheet::find(gray)?;
    let mut found = look(&sheet.gray);
    if found.iter().any(|digit| digit.doubts.contains(&Doubt::AtEdge)) || sheet.dark && found.is_empty() {
        return None;
    }
    for digit in &mut found {
        digit.bounds = sheet.place(digit.bounds, gray.dimensions());
    }
    Some(found)
}

/// The digits of the likeliest pen with which there are some.
fn look(gray: &GrayImage) -> Vec<Found> {
    let found = illumination::pens(gray).into_iter().map(|pen| search(gray, pen));
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

fn search(gray: &GrayImage, pen: illumination::Pen) -> Vec<Found> {
    let Some(page) = illumination::flatten(gray, pen) else { return Vec::new() };
    let mask = components::ink_mask(&page);
    let without = lines::remove(&mask);
    grouping::digits(&page, &without, &mask)
}

#[cfg(test)]
mod tests;
