//! A picture from anywhere, decoded: any format, size, depth and number of channels.

use crate::error::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, Rgb, RgbImage};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// The most that a file may hold, and unpack to: 256 MiB, a photograph of 89 million pixels.
const MAXIMUM_BYTES: u64 = 256 << 20;
const MAXIMUM_SIDE: u32 = 1 << 15;

/// What to do with a file that is none.
const REMEDY: &str = "give a PNG, JPEG, BMP, GIF, PNM, TIFF or WebP file";

/// A picture in colours, grey ones included, on white where it was transparent, upright as its camera was held.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The file's name, for messages.
    pub name: PathBuf,
    pub(super) pixels: RgbImage,
}

impl Picture {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |error| Error::file("read", path, error, "give the name of a picture");
        let metadata = std::fs::metadata(path).map_err(fail)?;
        if metadata.is_dir() {
            return Err(bad(path, "is a folder".into(), "give the pictures in it by their names"));
        }
        Self::read(path, File::open(path).map_err(fail)?)
    }

    /// Reads a stream to its end; `name` is for messages.
    pub fn read(name: &Path, stream: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = stream.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::file("read", name, error, REMEDY))?;
        if bytes.len() as u64 > MAXIMUM_BYTES {
            return Err(bad(name, format!("holds more than {} MiB", MAXIMUM_BYTES >> 20), "give a smaller picture"));
        }
        Self::decode(name, &bytes)
    }

    /// Decodes a file's bytes; `name` is for messages.
    pub fn decode(name: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(bad(name, "is empty".into(), REMEDY));
        }
        // By its content: names lie.
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let mut reader = reader.map_err(|error| Error::file("read", name, error, REMEDY))?;
        if reader.format().is_none() {
            return Err(bad(name, "is no picture of a known format".into(), REMEDY));
        }
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAXIMUM_SIDE);
        limits.max_image_height = Some(MAXIMUM_SIDE);
        limits.max_alloc = Some(MAXIMUM_BYTES);
        reader.limits(limits);
        let broken = |error: ImageError| {
            let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            bad(name, format!("cannot be decoded: {words}"), "give a whole picture of ordinary size")
        };
        let mut decoder = reader.into_decoder().map_err(broken)?;
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 || decoder.total_bytes() > MAXIMUM_BYTES {
            return Err(bad(name, format!("announces {width}×{height} pixels"), "give a whole picture of ordinary size"));
        }
        let orientation = decoder.orientation().map_err(broken)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
        image.apply_orientation(orientation);
        Ok(Self { name: name.to_owned(), pixels: on_white(image) })
    }

    /// An error about this picture.
    pub(super) fn fail(&self, problem: &str, remedy: &str) -> Error {
        bad(&self.name, problem.into(), remedy)
    }
}

fn bad(name: &Path, problem: String, remedy: &str) -> Error {
    Error::Format { path: name.to_owned(), problem, remedy: remedy.into() }
}

fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        Rgb([red, green, blue].map(|colour| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgba, RgbaImage};

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn transparency_lies_on_white() {
        let image = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 255, 128][x as usize]]));
        let picture = Picture::decode(Path::new("it"), &encoded(&image.into(), ImageFormat::Png)).unwrap();
        let colours: Vec<_> = picture.pixels.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(colours, [[255; 3], [200, 0, 100], [227, 127, 177]]);
    }

    #[test]
    fn grey_of_any_depth_is_read() {
        let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([0x8080]));
        for (image, format) in [
            (DynamicImage::from(deep), ImageFormat::Tiff),
            (DynamicImage::from(image::GrayImage::from_pixel(2, 2, image::Luma([0x80]))), ImageFormat::Bmp),
        ] {
            let picture = Picture::decode(Path::new("it"), &encoded(&image, format)).unwrap();
            assert!(picture.pixels.pixels().all(|pixel| pixel.0 == [0x80; 3]));
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let mut png = encoded(&image::GrayImage::new(9, 9).into(), ImageFormat::Png);
        let fail = |bytes: &[u8]| Picture::decode(Path::new("it"), bytes).unwrap_err().to_string();
        assert!(fail(b"").contains("is empty"));
        assert!(fail(b"hello").contains("no picture"));
        assert!(fail(&png[..png.len() / 2]).contains("cannot be decoded"));
        // The size in the header: a bomb announces itself.
        png[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(fail(&png).starts_with("it "));
        let pnm = |header: &str| fail(format!("P5 {header} 255\n").as_bytes());
        assert!(pnm("32000 32000").contains("32000"), "{}", pnm("32000 32000"));
        assert!(pnm("99999 1").starts_with("it "));
        assert!(Picture::read(Path::new("it"), std::io::repeat(7)).unwrap_err().to_string().contains("more than 256 MiB"));
    }
}
