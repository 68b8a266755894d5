//! Pictures in a page: first-layer filters and images of the data set, as PNG in the text itself.

use crate::dataset::ImageShape;
use crate::model::LayerParameters;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// Filters that are shown of a network.
const FILTERS: usize = 64;
/// Filters in a row.
const COLUMNS: usize = 16;
/// Larger images are data that no small picture can show.
const LARGEST: usize = 256;
/// Pixels between two filters.
const GAP: usize = 1;

/// What a weight of no size looks like, the largest negative and the largest positive one (the ends of a map that people who cannot
/// tell red from green can read).
const ENDS: [[f32; 3]; 3] = [[247.0, 247.0, 247.0], [33.0, 102.0, 172.0], [178.0, 24.0, 43.0]];

/// An image of the data set, as a data URI.
pub fn of_image(shape: ImageShape, pixels: &[u8]) -> Option<String> {
    if shape.checked_pixels() != Some(pixels.len()) || pixels.is_empty() {
        return None;
    }
    let plane = pixels.len() / shape.channels;
    match shape.channels {
        1 => encode(pixels, shape.width, shape.height, ExtendedColorType::L8),
        3 => {
            let colours: Vec<u8> =
                (0..plane).flat_map(|pixel| [0, 1, 2].map(|channel| pixels[channel * plane + pixel])).collect();
            encode(&colours, shape.width, shape.height, ExtendedColorType::Rgb8)
        }
        _ => None,
    }
}

/// The filters of a first layer, those with the longest weights first, as a data URI, and how many they are. Blue weights are
/// negative, red ones positive; the darkest is the filter's largest.
pub fn of_filters(shape: ImageShape, layer: &LayerParameters) -> Option<(String, usize)> {
    let &[units, inputs] = &layer.shape[..] else { return None };
    if shape.pixels() != inputs || shape.height.max(shape.width) > LARGEST || shape.height.min(shape.width) < 2 {
        return None;
    }
    let filter = |unit: usize| &layer.weight[unit * inputs..][..inputs];
    let length = |unit: &usize| filter(*unit).iter().map(|weight| weight * weight).sum::<f32>();
    let mut order: Vec<usize> = (0..units).collect();
    order.sort_by(|one, other| length(other).total_cmp(&length(one)).then(one.cmp(other)));
    order.truncate(FILTERS);
    let columns = order.len().min(COLUMNS);
    let (width, height) = (columns * (shape.width + GAP) - GAP, order.len().div_ceil(columns) * (shape.height + GAP) - GAP);
    // The gaps show the page.
    let mut sheet = vec![0; 4 * width * height];
    let plane = shape.height * shape.width;
    for (place, &unit) in order.iter().enumerate() {
        let weights = filter(unit);
        // Of several channels the mean.
        let value = |pixel: usize| {
            (0..shape.channels).map(|channel| weights[channel * plane + pixel]).sum::<f32>() / shape.channels as f32
        };
        let largest = (0..plane).map(|pixel| value(pixel).abs()).fold(f32::MIN_POSITIVE, f32::max);
        let (top, left) = (place / columns * (shape.height + GAP), place % columns * (shape.width + GAP));
        for pixel in 0..plane {
            let colour = colour(value(pixel) / largest);
            let (y, x) = (top + pixel / shape.width, left + pixel % shape.width);
            sheet[4 * (y * width + x)..][..4].copy_from_slice(&colour);
        }
    }
    Some((encode(&sheet, width, height, ExtendedColorType::Rgba8)?, order.len()))
}

/// A weight between −1 and 1.
fn colour(weight: f32) -> [u8; 4] {
    let [middle, negative, positive] = ENDS;
    let end = if weight < 0.0 { negative } else { positive };
    let share = weight.abs().min(1.0);
    let mix = |channel: usize| (middle[channel] + share * (end[channel] - middle[channel])) as u8;
    [mix(0), mix(1), mix(2), 255]
}

fn encode(pixels: &[u8], width: usize, height: usize, kind: ExtendedColorType) -> Option<String> {
    let mut file = Vec::new();
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    PngEncoder::new(&mut file).write_image(pixels, width, height, kind).ok()?;
    Some(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(uri: &str) -> image::DynamicImage {
        let data = uri.strip_prefix("data:image/png;base64,").unwrap();
        image::load_from_memory(&BASE64_STANDARD.decode(data).unwrap()).unwrap()
    }

    #[test]
    fn filters_stand_by_the_length_of_their_weights() {
        let layer = LayerParameters::dense([[0.1f32, 0.0, 0.0, -0.1], [0.0, 2.0, 0.0, 0.0]].concat(), vec![0.0; 2]);
        let (uri, count) = of_filters(ImageShape::gray(2, 2), &layer).unwrap();
        let sheet = decoded(&uri).to_rgba8();
        assert_eq!((count, sheet.dimensions()), (2, (5, 2)));
        // The second unit comes first, with its only weight red; then the gap; then red and blue corners.
        assert_eq!(sheet.get_pixel(1, 0).0, [178, 24, 43, 255]);
        assert_eq!(sheet.get_pixel(0, 0).0, [247, 247, 247, 255]);
        assert_eq!(sheet.get_pixel(2, 0).0[3], 0);
        assert_eq!((sheet.get_pixel(3, 0).0, sheet.get_pixel(4, 1).0), ([178, 24, 43, 255], [33, 102, 172, 255]));
        assert!(of_filters(ImageShape::gray(1, 4), &layer).is_none());
    }

    #[test]
    fn planes_become_colours() {
        let shape = ImageShape { channels: 3, height: 1, width: 2 };
        let image = decoded(&of_image(shape, &[1, 2, 3, 4, 5, 6]).unwrap()).to_rgb8();
        assert_eq!(image.into_raw(), [1, 3, 5, 2, 4, 6]);
        let pixels = &[1, 2, 3, 4, 5, 6];
        for shape in [shape, ImageShape { channels: 0, height: 1 << 33, width: 1 << 33 }, ImageShape::gray(0, 0)] {
            assert!(of_image(shape, &pixels[..5]).is_none() && of_image(shape, &[]).is_none(), "{shape:?}");
        }
    }
}
