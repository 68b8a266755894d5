//! Whether images are digits or letters as MNIST has them: bright on black, in the middle, with a margin. Then pictures that a model of them
//! is asked about must be brought to that.

use super::Images;

/// Images that are looked at,
const LOOKED_AT: usize = 400;
/// and the share of them that must be framed so.
const SHARE: f64 = 0.9;
/// Sides that a digit can be told in.
const SIDES: std::ops::RangeInclusive<usize> = 16..=64;
/// Brighter is ink.
const INK: u8 = 64;
/// The longer side of the ink, of a frame of 1: 20 of 28 pixels in MNIST, less where strokes are thin.
const LONGER: std::ops::RangeInclusive<f64> = 0.55..=0.8;
/// How far the centre of mass may be from the middle, likewise.
const OFF_CENTRE: f64 = 0.06;

/// Whether nearly all of these images are.
pub fn shows_digits(images: &Images) -> bool {
    let shape = images.shape;
    if images.has_features() || shape.channels != 1 || shape.height != shape.width || !SIDES.contains(&shape.height) {
        return false;
    }
    let step = images.count().div_ceil(LOOKED_AT).max(1);
    let looked_at: Vec<bool> =
        (0..images.count()).step_by(step).map(|image| is_framed(images.image(image), shape.height)).collect();
    looked_at.iter().filter(|&&framed| framed).count() as f64 >= SHARE * looked_at.len() as f64
}

fn is_framed(pixels: &[u8], side: usize) -> bool {
    let (mut left, mut top, mut right, mut bottom) = (side, side, 0, 0);
    let mut mass = [0.0f64; 3];
    for (place, &pixel) in pixels.iter().enumerate() {
        let (x, y) = (place % side, place / side);
        let weight = f64::from(pixel);
        mass = [mass[0] + weight, mass[1] + weight * x as f64, mass[2] + weight * y as f64];
        if pixel > INK {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
        }
    }
    if left > right || left == 0 || top == 0 || right + 1 == side || bottom + 1 == side {
        return false;
    }
    let frame = side as f64;
    let longer = (right - left + 1).max(bottom - top + 1) as f64 / frame;
    let off = |moment: f64| (moment / mass[0] - 0.5 * (frame - 1.0)).abs() / frame;
    LONGER.contains(&longer) && off(mass[1]) <= OFF_CENTRE && off(mass[2]) <= OFF_CENTRE
}

#[cfg(test)]
mod tests {
    use super::super::ImageShape;
    use super::*;

    /// Rectangles of 28 by 28 pixels.
    fn rectangles(of: &[(usize, usize, usize, usize)]) -> Images {
        let inside = |&(left, top, width, height): &(usize, usize, usize, usize), place: usize| {
            (left..left + width).contains(&(place % 28)) && (top..top + height).contains(&(place / 28))
        };
        let pixels = of.iter().flat_map(|of| (0..784).map(|place| if inside(of, place) { 255 } else { 0 })).collect();
        Images { pixels, labels: vec![0; of.len()], shape: ImageShape::gray(28, 28), features: None }
    }

    #[test]
    fn what_is_in_the_middle_with_a_margin_is_a_digit() {
        assert!(shows_digits(&rectangles(&[(12, 4, 4, 20), (4, 8, 20, 12)])));
        for other in [(2, 10, 4, 6), (0, 4, 28, 20), (4, 1, 20, 20), (12, 12, 4, 4)] {
            assert!(!shows_digits(&rectangles(&[other])), "{other:?}");
        }
        let inverted = rectangles(&[(12, 4, 4, 20)]);
        assert!(!shows_digits(&Images { pixels: inverted.pixels.iter().map(|pixel| 255 - pixel).collect(), ..inverted }));
    }
}
