//! Images of 16 bits a number whose numbers need fewer: cameras and scanners of 10, 12 or 14 bits write them unshifted.

use image::DynamicImage;

/// Bits that devices count in.
const DEPTHS: [u32; 4] = [8, 10, 12, 14];

/// How many bits an image of 16 bits uses, and the image scaled by these to 16; none where it uses all, or is black.
pub(super) fn stretched(image: &DynamicImage) -> Option<(u32, DynamicImage)> {
    let largest = match image {
        DynamicImage::ImageLuma16(image) => image.pixels().map(|pixel| pixel.0[0]).max(),
        DynamicImage::ImageLumaA16(image) => image.pixels().map(|pixel| pixel.0[0]).max(),
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().copied().max(),
        DynamicImage::ImageRgba16(image) => image.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]]).max(),
        _ => None,
    };
    let largest = u32::from(largest.filter(|&largest| largest > 0)?);
    let bits = DEPTHS.into_iter().find(|bits| largest < 1 << bits)?;
    let full = (1u32 << bits) - 1;
    let scale = |value: &mut u16| *value = ((u32::from(*value) * 0xffff + full / 2) / full) as u16;
    let mut image = image.clone();
    match &mut image {
        DynamicImage::ImageLuma16(image) => image.iter_mut().for_each(scale),
        DynamicImage::ImageLumaA16(image) => image.pixels_mut().for_each(|pixel| scale(&mut pixel.0[0])),
        DynamicImage::ImageRgb16(image) => image.iter_mut().for_each(scale),
        DynamicImage::ImageRgba16(image) => image.pixels_mut().for_each(|pixel| pixel.0[..3].iter_mut().for_each(scale)),
        _ => {}
    }
    Some((bits, image))
}
