//! Ink, brought into the place that digits have in MNIST.

use super::Ink;
use image::GrayImage;
use image::imageops::{FilterType, resize};

/// Pictures whose longer side is at most so many times the frame's show one digit and nothing else: there is no room.
const SMALL: f32 = 1.5;

/// The size of a digit's image. Its ink is 255 and the background 0; the longer side of the box around the ink takes 20/28 of the frame,
/// averaged over areas, and its brightest pixel is 255; its centre of mass is at the middle pixel (row and column 14 of 28, from 0), but
/// the box never crosses the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Frame {
    /// Whether a picture has no room for more than one digit.
    pub(super) fn is_filled_by(self, gray: &GrayImage) -> bool {
        gray.width().max(gray.height()) as f32 <= SMALL * self.width.max(self.height) as f32
    }

    /// A digit's ink, scaled and placed as those of MNIST are.
    pub(super) fn of(self, ink: &Ink) -> Vec<u8> {
        let (width, height) = ink.dimensions();
        let scale = |side: usize, length: u32| 20.0 / 28.0 * side as f32 / length as f32;
        let scale = scale(self.width, width).min(scale(self.height, height));
        let scaled = |length: u32, side: usize| ((length as f32 * scale).round() as u32).clamp(1, side as u32);
        let size = (scaled(width, self.width), scaled(height, self.height));
        self.placed(&resize(ink, size.0, size.1, FilterType::Triangle))
    }

    /// The frame with the digit in it. The middle is a pixel: in MNIST the centre of mass is at row and column 14, counted from 0, give or
    /// take a half.
    fn placed(self, small: &Ink) -> Vec<u8> {
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
        let (left, top) = (offset(mass[1], self.width, small.width()), offset(mass[2], self.height, small.height()));
        let mut frame = vec![0; self.height * self.width];
        for (x, y, pixel) in small.enumerate_pixels() {
            let value = (255.0 * pixel.0[0] / brightest).round() as u8;
            frame[(top + y as usize) * self.width + left + x as usize] = value;
        }
        frame
    }
}
