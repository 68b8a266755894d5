//! One image file as bytes, channel by channel.

use super::{FolderOptions, ImageSize};
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// The most that one file may unpack to: 256 MiB, a photograph of 89 million pixels.
const MAXIMUM_BYTES: u64 = 256 << 20;
const MAXIMUM_SIDE: u32 = 1 << 15;

/// An image.
#[derive(Debug)]
pub struct Picture {
    /// 1 or 3.
    pub channels: usize,
    /// `[channels, height, width]`.
    pub pixels: Vec<u8>,
}

/// Why there is none.
#[derive(Debug)]
pub enum Trouble {
    /// The file holds no image that can be read.
    Bad(String),
    /// It holds one of another size.
    Size(ImageSize),
}

/// Rows and columns of a file's image.
pub fn size(path: &Path) -> Result<ImageSize, String> {
    decoder(path).map(|decoder| size_of(&decoder))
}

/// Reads a file and brings it into shape: of `size`, which it must have unless the options say that it is to be resized.
pub fn read(path: &Path, size: ImageSize, options: &FolderOptions) -> Result<Picture, Trouble> {
    let decoder = decoder(path).map_err(Trouble::Bad)?;
    let has = size_of(&decoder);
    if has != size && options.image_size.is_none() {
        return Err(Trouble::Size(has));
    }
    let is_gray = matches!(decoder.color_type(), ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
    let whole = DynamicImage::from_decoder(decoder).map_err(|error| Trouble::Bad(one_line(&error)))?;
    // Before it is resized: a third of the work.
    let mut picture: DynamicImage =
        if is_gray || options.grayscale { whole.into_luma8().into() } else { whole.into_rgb8().into() };
    if has != size {
        picture = picture.resize_exact(size.width as u32, size.height as u32, FilterType::Triangle);
    }
    let channels = usize::from(picture.color().channel_count());
    let interleaved = picture.into_bytes();
    let plane = |channel: usize| interleaved.iter().skip(channel).step_by(channels).copied();
    let pixels = if channels == 1 { interleaved } else { (0..channels).flat_map(plane).collect() };
    Ok(Picture { channels, pixels })
}

fn size_of(decoder: &impl ImageDecoder) -> ImageSize {
    let (width, height) = decoder.dimensions();
    ImageSize { height: height as usize, width: width as usize }
}

/// Reads a file's header; what it announces may not exceed what one image may take.
fn decoder(path: &Path) -> Result<impl ImageDecoder, String> {
    // Asked before the file is opened, since opening a named pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    if metadata.len() > MAXIMUM_BYTES {
        return Err(format!("holds {} bytes, more than the {MAXIMUM_BYTES} that one image may take", metadata.len()));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let is_cut = is_cut_jpeg(&bytes);
    // By its content: names lie.
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("is no image of a known format (PNG, JPEG, BMP, GIF, PNM, TIFF, WebP)".into());
    }
    if reader.format() == Some(ImageFormat::Jpeg) && is_cut {
        return Err("is truncated: the end of the JPEG image is missing".into());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAXIMUM_SIDE);
    limits.max_image_height = Some(MAXIMUM_SIDE);
    limits.max_alloc = Some(MAXIMUM_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| one_line(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || decoder.total_bytes() > MAXIMUM_BYTES {
        return Err(format!(
            "announces {width}×{height} pixels, more than the {MAXIMUM_BYTES} bytes that one image may take, or none"
        ));
    }
    Ok(decoder)
}

/// Whether a JPEG lacks its end, which its decoder would fill with grey: no end of image (FF D9) behind the start of the last
/// scan (FF DA). Within a scan neither pair occurs.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last([0xff, 0xd9]) <= last([0xff, 0xda])
}

fn one_line(error: &image::ImageError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
