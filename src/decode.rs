//! Image files as pixels: one decoder for what networks learn from and for what they are asked about, so that a file is the same
//! picture to both.

mod deep;
mod tiff;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use std::io::{Cursor, Read};

/// The most that a file may hold, and unpack to: 256 MiB, a photograph of 89 million pixels.
const MAXIMUM_BYTES: u64 = 256 << 20;
const MAXIMUM_SIDE: u32 = 1 << 15;
/// The most pixels that a byte of a JPEG can stand for: each block of 64 takes a bit.
const JPEG_PIXELS: u64 = 8 * 64;

/// A file's image in grey or in colours, one byte each, upright as its camera was held, and on white where it was transparent.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// As the format defines it.
    image: DynamicImage,
    /// Where its numbers have 16 bits and leave the upper ones unused: how many they use, and the image by these.
    deep: Option<(u32, DynamicImage)>,
}

impl Decoded {
    /// The image as the format defines it, for those who compare brightness between images. An error where next to nothing is left
    /// of it: one image cannot tell whether it is dark, or counts in fewer bits.
    pub fn plain(&self) -> Result<&DynamicImage, String> {
        /// With so many bits an image is at most four shades of black.
        const LOST: u32 = 10;
        match self.deep {
            Some((bits, _)) if bits <= LOST => {
                let most = (1u32 << bits) - 1;
                Err(format!(
                    "holds numbers of 16 bits of which none is above {most}, as devices of {bits} bits write them: it would be black"
                ))
            }
            _ => Ok(&self.image),
        }
    }

    /// The image by the bits that it uses, for those who look at one by itself; and [`Self::plain`], where that is another.
    pub fn visible(self) -> (DynamicImage, Option<Result<DynamicImage, String>>) {
        let plain = self.deep.is_some().then(|| self.plain().cloned());
        (self.deep.map_or(self.image, |(_, image)| image), plain)
    }
}

/// Reads and decodes a file as [`Decoded::plain`] has it.
pub fn image(file: impl Read) -> Result<DynamicImage, String> {
    decode(file)?.plain().cloned()
}

/// Reads and decodes a file. An error is the rest of a sentence, in one line, that begins with the file's name.
pub fn decode(file: impl Read) -> Result<Decoded, String> {
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

/// What a picture of another format is.
fn unknown(bytes: &[u8]) -> &'static str {
    let begin = &bytes[..bytes.len().min(1024)];
    let contains = |word: &[u8]| begin.windows(word.len()).any(|part| part == word);
    if begin.get(4..8) == Some(b"ftyp") {
        "is a HEIC or AVIF picture, which is not read; convert it to JPEG"
    } else if contains(b"<svg") {
        "is a drawing (SVG), which is not read; convert it to PNG"
    } else {
        "is not a picture of a known format (PNG, JPEG, BMP, GIF, PNM, TIFF, WebP)"
    }
}

fn decoded(bytes: &[u8]) -> Result<Decoded, String> {
    let broken = |error: image::ImageError| format!("cannot be decoded: {}", one_line(&error));
    // By its content: names lie.
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| format!("cannot be read: {}", one_line(&error)))?;
    let format = reader.format();
    match format {
        None => return Err(unknown(bytes).into()),
        // Its decoder would make up the rest in grey.
        Some(ImageFormat::Jpeg) if !has_end(bytes) => return without_end(bytes),
        // What the general decoder does not know.
        Some(ImageFormat::Tiff) => {
            if let Some(image) = tiff::unusual(bytes)? {
                return Ok(Decoded { image, deep: None });
            }
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
    let deep = deep::stretched(&image).map(|(bits, image)| (bits, opaque(image)));
    Ok(Decoded { image: opaque(image), deep })
}

/// A JPEG that lacks the mark of its end. It is whole if it does not matter what follows: a decoder that still needs bits takes them
/// from there. (Where an image is sent in several passes, whole passes may be missing, and nobody could tell.)
fn without_end(bytes: &[u8]) -> Result<Decoded, String> {
    /// More than a row of blocks needs.
    const FILLING: usize = 4096;
    let truncated = || "is truncated: the end of the JPEG image is missing".to_owned();
    if !is_sent_at_once(bytes) {
        return Err(truncated());
    }
    // Half of the mark would make another one with what follows.
    let bytes = bytes.strip_suffix(&[0xff]).unwrap_or(bytes);
    let followed_by = |filling: u8| decoded(&[bytes, &[filling; FILLING], &[0xff, 0xd9]].concat()).map_err(|_| truncated());
    let (one, other) = (followed_by(0)?, followed_by(0xa5)?);
    if one.image == other.image { Ok(one) } else { Err(truncated()) }
}

/// Whether a JPEG is of a kind that has one pass, by the marker of its frame.
fn is_sent_at_once(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = rest {
        match marker {
            0xc0 | 0xc1 => return true,
            0xc2..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return false,
            _ => {}
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    false
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
