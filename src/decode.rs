//! Image files as pixels: one decoder for what networks learn from and for what they are asked about, so that a file is the same
//! picture to both.

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use std::io::{Cursor, Read};

/// The most that a file may hold, and unpack to: 256 MiB, a photograph of 89 million pixels.
const MAXIMUM_BYTES: u64 = 256 << 20;
const MAXIMUM_SIDE: u32 = 1 << 15;
/// The most pixels that a byte of a JPEG can stand for: each block of 64 takes a bit.
const JPEG_PIXELS: u64 = 8 * 64;

/// Reads and decodes a file: its image in grey or in colours, one byte each, upright as its camera was held, and on white where it
/// was transparent. An error is the rest of a sentence, in one line, that begins with the file's name.
pub fn image(file: impl Read) -> Result<DynamicImage, String> {
    let mut bytes = Vec::new();
    file.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {}", one_line(&error)))?;
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    if bytes.len() as u64 > MAXIMUM_BYTES {
        return Err(format!("holds more than {} MiB", MAXIMUM_BYTES >> 20));
    }
    decoded(&bytes)
}

/// The bytes of an image, brought to a size: channel by channel, row by row.
pub fn planes(image: DynamicImage, height: usize, width: usize) -> Vec<u8> {
    let (rows, columns) = (height as u32, width as u32);
    let fits = (image.height(), image.width()) == (rows, columns);
    let image = if fits { image } else { resized(image, rows, columns) };
    let channels = usize::from(image.color().channel_count());
    let bytes = image.into_bytes();
    let plane = |channel: usize| bytes.iter().skip(channel).step_by(channels).copied();
    if channels == 1 { bytes } else { (0..channels).flat_map(plane).collect() }
}

/// The resizer brings the height right first, of all columns, in 16 bytes a pixel. Where that would be much more than the picture
/// or what becomes of it, the picture is laid on its side meanwhile.
fn resized(image: DynamicImage, rows: u32, columns: u32) -> DynamicImage {
    const MUCH: u64 = 1 << 24;
    let between = |kept: u32, new: u32| u64::from(kept) * u64::from(new);
    let (upright, aside) = (between(image.width(), rows), between(image.height(), columns));
    if upright > MUCH && aside < upright {
        image.rotate90().resize_exact(rows, columns, FilterType::Triangle).rotate270()
    } else {
        image.resize_exact(columns, rows, FilterType::Triangle)
    }
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage, String> {
    let broken = |error: image::ImageError| format!("cannot be decoded: {}", one_line(&error));
    // By its content: names lie.
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| format!("cannot be read: {}", one_line(&error)))?;
    let format = reader.format();
    match format {
        None => return Err("is no picture of a known format (PNG, JPEG, BMP, GIF, PNM, TIFF, WebP)".into()),
        // Its decoder would make up the rest in grey.
        Some(ImageFormat::Jpeg) if !has_end(bytes) => {
            return Err("is truncated: the end of the JPEG image is missing".into());
        }
        Some(_) => {}
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAXIMUM_SIDE);
    limits.max_image_height = Some(MAXIMUM_SIDE);
    limits.max_alloc = Some(MAXIMUM_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || decoder.total_bytes() > MAXIMUM_BYTES {
        return Err(format!(
            "announces {width}×{height} pixels, which is none or more than the {} MiB that one picture may take",
            MAXIMUM_BYTES >> 20
        ));
    }
    // Its decoder would make these up, too.
    if format == Some(ImageFormat::Jpeg) && u64::from(width) * u64::from(height) > JPEG_PIXELS * bytes.len() as u64 {
        return Err(format!("is truncated: it announces {width}×{height} pixels, which {} bytes cannot hold", bytes.len()));
    }
    // What cannot be read does not say that the camera was turned.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(opaque(image))
}

/// One byte for each number, and nothing that shines through.
fn opaque(image: DynamicImage) -> DynamicImage {
    let on_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match (image.color().has_color(), image.color().has_alpha()) {
        (false, false) => image.into_luma8().into(),
        (true, false) => image.into_rgb8().into(),
        (false, true) => {
            let image = image.into_luma_alpha8();
            GrayImage::from_fn(image.width(), image.height(), |x, y| {
                let [value, alpha] = image.get_pixel(x, y).0;
                Luma([on_white(value, alpha)])
            })
            .into()
        }
        (true, true) => {
            let image = image.into_rgba8();
            RgbImage::from_fn(image.width(), image.height(), |x, y| {
                let [red, green, blue, alpha] = image.get_pixel(x, y).0;
                Rgb([red, green, blue].map(|value| on_white(value, alpha)))
            })
            .into()
        }
    }
}

/// Whether the end of a JPEG's image is there. Its segments are gone through one by one, since they may hold other JPEGs, such as a
/// preview; what stands behind the end, such as the film of a moving photograph, does not matter.
fn has_end(jpeg: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut rest = jpeg;
    loop {
        // Within a scan FF stands before 00 where it is data, and before D0 to D7 where decoding can begin anew; none of them, nor
        // the image's begin, has a length.
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff);
        let Some(at) = rest.windows(2).position(is_marker) else { return false };
        if rest[at + 1] == END {
            return true;
        }
        let length = match rest[at + 2..] {
            [high, low, ..] => usize::from(u16::from_be_bytes([high, low])),
            _ => return false,
        };
        match rest.get(at + 2 + length..) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
}

fn one_line(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
