//! A picture from anywhere, decoded: any format, size, depth and number of channels.

use crate::decode;
use crate::error::{Error, Result};
use image::{DynamicImage, RgbImage};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A picture, grey or in colours, on white where it was transparent, upright as its camera was held.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The file's name, for messages.
    pub name: PathBuf,
    /// By the bits that its numbers use.
    pub(super) image: DynamicImage,
    /// As its format defines it, where that is another image, or what is wrong with that.
    pub(super) plain: Option<std::result::Result<DynamicImage, String>>,
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
        const REMEDY: &str = "give a whole PNG, JPEG, BMP, GIF, PNM, TIFF or WebP picture of ordinary size";
        let decoded = decode::decode(stream).map_err(|problem| bad(name, problem, REMEDY))?;
        let (image, plain) = decoded.visible();
        Ok(Self { name: name.to_owned(), image, plain })
    }

    /// Decodes a file's bytes; `name` is for messages.
    pub fn decode(name: &Path, bytes: &[u8]) -> Result<Self> {
        Self::read(name, bytes)
    }

    /// In colours.
    pub fn to_rgb(&self) -> RgbImage {
        self.image.to_rgb8()
    }

    /// As its format defines it, comparable with other pictures.
    pub(super) fn plain(&self) -> Result<&DynamicImage> {
        match &self.plain {
            None => Ok(&self.image),
            Some(Ok(image)) => Ok(image),
            Some(Err(problem)) => Err(bad(&self.name, problem.clone(), "scale its numbers to 16 bits, or save it in 8 bits")),
        }
    }

    /// An error about this picture.
    pub(super) fn fail(&self, problem: &str, remedy: &str) -> Error {
        bad(&self.name, problem.into(), remedy)
    }
}

fn bad(name: &Path, problem: String, remedy: &str) -> Error {
    Error::Format { path: name.to_owned(), problem, remedy: remedy.into() }
}
