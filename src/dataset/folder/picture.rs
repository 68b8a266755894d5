//! One image file as bytes, channel by channel.

use super::{FolderOptions, ImageSize};
use crate::dataset::split;
use crate::decode;
use image::DynamicImage;
use std::fs::File;
use std::path::Path;

/// An image.
#[derive(Debug)]
pub struct Picture {
    /// 1 or 3.
    pub channels: usize,
    /// `[channels, height, width]`.
    pub pixels: Vec<u8>,
    /// What the file shows, before it was brought into shape: however it was written and whatever it is called.
    pub content: u64,
}

/// Why there is none.
#[derive(Debug)]
pub enum Trouble {
    /// The file holds no image that can be read.
    Bad(String),
    /// It holds one of another size.
    Size(ImageSize),
}

/// Rows and columns of a file's image, if it holds one.
pub fn size(path: &Path) -> Option<ImageSize> {
    decoded(path).ok().map(|image| size_of(&image))
}

/// Reads a file and brings it into shape: of `size`, which it must have unless the options say that it is to be resized.
pub fn read(path: &Path, size: ImageSize, options: &FolderOptions) -> Result<Picture, Trouble> {
    let mut image = decoded(path).map_err(Trouble::Bad)?;
    let has = size_of(&image);
    if has != size && options.image_size.is_none() {
        return Err(Trouble::Size(has));
    }
    let content = content_of(&image);
    if options.grayscale {
        // Before it is resized: a third of the work.
        image = image.into_luma8().into();
    }
    let channels = usize::from(image.color().channel_count());
    Ok(Picture { channels, pixels: decode::planes(image, size.height, size.width), content })
}

/// What a file shows, if it can be read.
pub fn content(path: &Path) -> Option<u64> {
    decoded(path).ok().map(|image| content_of(&image))
}

fn content_of(image: &DynamicImage) -> u64 {
    let size = [image.width().to_le_bytes(), image.height().to_le_bytes()].concat();
    split::content(&[&size, image.to_rgb8().as_raw()])
}

fn size_of(image: &DynamicImage) -> ImageSize {
    ImageSize { height: image.height() as usize, width: image.width() as usize }
}

fn decoded(path: &Path) -> Result<DynamicImage, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Asked before the file is opened, since opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a regular file".into());
    }
    decode::image(File::open(path).map_err(unreadable)?)
}
