//! The IDX format of MNIST and of all data sets that share it (Fashion-MNIST, KMNIST, EMNIST), raw or compressed by gzip.
//!
//! A file begins with `00 00 08 D`, where 08 says "unsigned bytes" and D is the number of dimensions; then follow D sizes of
//! four bytes, most significant first, and the bytes themselves. The reader trusts none of it: whatever a file holds, the
//! result is a value or an error, and memory grows with the data that is really there, up to [`MAXIMUM_BYTES`] per file.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::gzip::{self, Unpacked};
use super::{ImageShape, Images};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// The most that one file may announce or hold, uncompressed: 1 GiB, twice the largest relative of MNIST (EMNIST by class,
/// 547 MB). It bounds what a small gzip file can blow up to.
pub const MAXIMUM_BYTES: u64 = 1 << 30;

const UNSIGNED_BYTE: u8 = 0x08;
const FOUR_BYTES: u8 = 0x0c;
const DOWNLOAD_AGAIN: &str = "download the file again, or use --dataset digits, which needs no files";
const SAME_SOURCE: &str = "take all four files from the same data set, or use --dataset digits, which needs no files";
const SWAPPED: &str = "images and labels seem swapped: rename the files";

/// Reads training images, training labels, test images and test labels, each raw or compressed, of a data set of `classes` classes;
/// `transposed` are images that stand column by column.
pub fn load(paths: [&Path; 4], classes: usize, transposed: bool) -> Result<(Images, Images)> {
    let [train_images, train_labels, test_images, test_labels] = paths;
    // All four headers are checked against each other before any pixel is read: contradictions cost neither time nor memory.
    let train = Split::open(train_images, train_labels)?;
    let test = Split::open(test_images, test_labels)?;
    let [_, height, width] = train.images.sizes;
    let [_, test_height, test_width] = test.images.sizes;
    if (height, width) != (test_height, test_width) {
        let (train, test) = (train_images.display(), test_images.display());
        return Err(Error::Dataset(format!(
            "{train} holds images of {height}×{width}, but {test} holds images of {test_height}×{test_width}; {SAME_SOURCE}"
        )));
    }
    let (mut train, mut test) = (train.read()?, test.read()?);
    check_labels(train_labels, &train.labels, classes)?;
    check_labels(test_labels, &test.labels, classes)?;
    if transposed {
        transpose(&mut train);
        transpose(&mut test);
    }
    Ok((train, test))
}

/// Turns columns into rows.
fn transpose(images: &mut Images) {
    let ImageShape { height: columns, width: rows, .. } = images.shape;
    let mut column_by_column = vec![0; columns * rows];
    for image in images.pixels.chunks_exact_mut(columns * rows) {
        column_by_column.copy_from_slice(image);
        for (row, pixels) in image.chunks_exact_mut(columns).enumerate() {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                *pixel = column_by_column[column * rows + row];
            }
        }
    }
    images.shape = ImageShape::gray(rows, columns);
}

/// Reads a file of images: rows and columns of an image, and the pixels of all images one after another.
pub fn read_images(path: &Path) -> Result<(usize, usize, Vec<u8>)> {
    let source = Source::open(path, Kind::Images)?;
    let [_, rows, columns] = source.sizes;
    Ok((rows, columns, source.read()?))
}

/// Reads a file of labels, one byte each.
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    Source::open(path, Kind::Labels)?.read()
}

/// Takes apart the bytes of a file of images, as [`read_images`] does; `name` is for messages.
pub fn parse_images(name: &Path, bytes: &[u8]) -> Result<(usize, usize, Vec<u8>)> {
    let source = Source::new(name, bytes, bytes.len() as u64, Kind::Images)?;
    let [_, rows, columns] = source.sizes;
    Ok((rows, columns, source.read()?))
}

/// Takes apart the bytes of a file of labels, as [`read_labels`] does; `name` is for messages.
pub fn parse_labels(name: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    Source::new(name, bytes, bytes.len() as u64, Kind::Labels)?.read()
}

/// A file of unsigned bytes with these sizes, as the readers take it.
pub fn bytes(sizes: &[usize], body: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, UNSIGNED_BYTE, sizes.len() as u8];
    // The format has four bytes for a size, and no file that was read is larger.
    sizes.iter().for_each(|&size| file.extend((size as u32).to_be_bytes()));
    file.extend_from_slice(body);
    file
}

/// Refuses a label that is none of the classes.
fn check_labels(path: &Path, labels: &[u8], classes: usize) -> Result<()> {
    let Some((index, label)) = labels.iter().enumerate().find(|&(_, &label)| usize::from(label) >= classes) else {
        return Ok(());
    };
    let largest = classes.saturating_sub(1);
    let problem = format!("holds an unknown label: label {label} at index {index} is out of range 0..={largest}");
    Err(format_error(path, problem, SAME_SOURCE))
}

/// The images and labels of one half of a data set, headers read and in agreement.
struct Split<'path> {
    images: Source<'path>,
    labels: Source<'path>,
}

impl<'path> Split<'path> {
    fn open(images: &'path Path, labels: &'path Path) -> Result<Self> {
        let split = Self { images: Source::open(images, Kind::Images)?, labels: Source::open(labels, Kind::Labels)? };
        let ([image_count, ..], [label_count, ..]) = (split.images.sizes, split.labels.sizes);
        if image_count == label_count {
            return Ok(split);
        }
        let (images, labels) = (images.display(), labels.display());
        let problem = format!("{images} holds {image_count} images, but {labels} holds {label_count} labels; {SAME_SOURCE}");
        Err(Error::Dataset(problem))
    }

    fn read(self) -> Result<Images> {
        let [_, height, width] = self.images.sizes;
        Ok(Images {
            labels: self.labels.read()?,
            pixels: self.images.read()?,
            shape: ImageShape::gray(height, width),
            features: None,
        })
    }
}

/// What a file is expected to hold; the value is the number of dimensions.
#[derive(Clone, Copy)]
enum Kind {
    Labels = 1,
    Images = 3,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Kind::Labels => "labels",
            Kind::Images => "images",
        }
    }
}

/// A file whose header has been read and found plausible.
struct Source<'path> {
    path: &'path Path,
    reader: Box<dyn Read + 'path>,
    compressed: bool,
    /// Count, rows, columns; rows and columns of labels are 1.
    sizes: [usize; 3],
    header_bytes: u64,
    /// Bytes that must follow the header.
    body_bytes: u64,
    /// Labels that are the first of so many numbers of four bytes, as QMNIST has them.
    columns: Option<usize>,
}

impl<'path> Source<'path> {
    fn open(path: &'path Path, kind: Kind) -> Result<Self> {
        let refuse = |source| unreadable(path, source);
        // Asked before the file is opened, since opening a named pipe would wait for a writer.
        let metadata = fs::metadata(path).map_err(refuse)?;
        if !metadata.is_file() {
            return Err(format_error(path, "is not a regular file".into(), "put the IDX file itself there"));
        }
        Self::new(path, BufReader::new(File::open(path).map_err(refuse)?), metadata.len(), kind)
    }

    /// Reads the header from `file`, which holds `length` bytes; `path` is for error messages.
    fn new(path: &'path Path, mut file: impl BufRead + 'path, length: u64, kind: Kind) -> Result<Self> {
        let compressed = file.fill_buf().map_err(|source| unreadable(path, source))?.starts_with(&gzip::MAGIC);
        let reader: Box<dyn Read + 'path> = if compressed { Box::new(Unpacked::new(file)) } else { Box::new(file) };
        let header_bytes = 4 + 4 * kind as u64;
        let mut source = Self { path, reader, compressed, sizes: [1; 3], header_bytes, body_bytes: 0, columns: None };
        let mut header = source.take(header_bytes, "of the header", header_bytes)?;
        if let (Kind::Labels, [0, 0, FOUR_BYTES, 2, ..]) = (kind, &header[..]) {
            let more = source.take(4, "of the header", header_bytes + 4)?;
            source.header_bytes += more.len() as u64;
            header.extend(more);
            return source.of_extended_labels(&header, length);
        }
        check_magic(path, &header, kind)?;
        if (header.len() as u64) < header_bytes {
            let problem = format!("is truncated: it holds {} bytes, less than the IDX header's {header_bytes}", header.len());
            return Err(format_error(path, problem, DOWNLOAD_AGAIN));
        }
        let mut product = Some(1u64);
        for (size, bytes) in source.sizes.iter_mut().zip(header[4..].as_chunks().0) {
            let value = u32::from_be_bytes(*bytes);
            *size = value as usize;
            product = product.and_then(|product| product.checked_mul(u64::from(value)));
        }
        source.body_bytes = check_sizes(path, source.sizes, product, kind)?;
        if !compressed {
            source.check_length(length)?;
        }
        Ok(source)
    }

    /// QMNIST's labels: in each row the class, then where the image comes from.
    fn of_extended_labels(mut self, header: &[u8], length: u64) -> Result<Self> {
        let &[_, _, _, _, a, b, c, d, e, f, g, h] = header else {
            let problem = format!("is truncated: it holds {} bytes, less than the IDX header's 12", header.len());
            return Err(format_error(self.path, problem, DOWNLOAD_AGAIN));
        };
        let [count, columns] = [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes);
        let bytes = u64::from(count).checked_mul(u64::from(columns)).and_then(|numbers| numbers.checked_mul(4));
        self.body_bytes = check_sizes(self.path, [count as usize, columns as usize, 4], bytes, Kind::Labels)?;
        self.sizes = [count as usize, 1, 1];
        self.columns = Some(columns as usize);
        if !self.compressed {
            self.check_length(length)?;
        }
        Ok(self)
    }

    /// Reads at most `limit` bytes; `part` and `expected` are for the error message.
    fn take(&mut self, limit: u64, part: &str, expected: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Err(source) = self.reader.as_mut().take(limit).read_to_end(&mut bytes) else { return Ok(bytes) };
        if let Some(garbage) = gzip::garbage(&source) {
            return Err(format_error(self.path, garbage.to_string(), "cut that off, or download the file again"));
        }
        let got = bytes.len();
        let problem = match source.kind() {
            ErrorKind::UnexpectedEof if self.compressed => "is truncated: its gzip stream breaks off".to_owned(),
            ErrorKind::InvalidData | ErrorKind::InvalidInput if self.compressed => {
                format!("holds a corrupt gzip stream ({source})")
            }
            _ => return Err(unreadable(self.path, source)),
        };
        Err(format_error(self.path, format!("{problem} after {got} of the {expected} bytes {part}"), DOWNLOAD_AGAIN))
    }

    /// Reads the bytes after the header.
    fn read(mut self) -> Result<Vec<u8>> {
        // One byte more than announced: it shows trailing bytes, and reaching the end makes the decoder verify its checksum.
        let mut body = self.take(self.body_bytes + 1, "that its header announces", self.body_bytes)?;
        self.check_length(self.header_bytes + body.len() as u64)?;
        if let Some(columns) = self.columns {
            let class = |row: &[u8]| u8::try_from(u32::from_be_bytes(*row.first_chunk()?)).ok();
            let labels = body.chunks_exact(4 * columns).map(class).collect::<Option<_>>();
            return labels.ok_or_else(|| format_error(self.path, "holds a label above 255".into(), SAME_SOURCE));
        }
        body.shrink_to_fit();
        Ok(body)
    }

    /// Compares the header's claim with the number of bytes that there are.
    fn check_length(&self, actual: u64) -> Result<()> {
        let claimed = self.header_bytes + self.body_bytes;
        let (fault, bound) = match actual.cmp(&claimed) {
            Ordering::Equal => return Ok(()),
            Ordering::Less => ("is truncated", ""),
            // The rest of a compressed file is not unpacked only to be counted.
            Ordering::Greater => ("has trailing bytes", if self.compressed { "at least " } else { "" }),
        };
        let problem = format!("{fault}: its header announces {claimed} bytes, the file holds {bound}{actual}");
        Err(format_error(self.path, problem, DOWNLOAD_AGAIN))
    }
}

/// Checks the first four bytes, as far as they are there.
fn check_magic(path: &Path, header: &[u8], kind: Kind) -> Result<()> {
    let &[first, second, element, dimensions, ..] = header else { return Ok(()) };
    let wanted = kind as u8;
    let (problem, remedy) = if [first, second] != [0, 0] {
        let found = format!("{first:02x} {second:02x} {element:02x} {dimensions:02x}");
        (format!("is not an IDX file: it begins with {found}, not with 00 00 08 {wanted:02x}"), DOWNLOAD_AGAIN)
    } else if element != UNSIGNED_BYTE {
        (format!("holds IDX elements of type 0x{element:02x}, not unsigned bytes (type 0x08)"), "convert it to unsigned bytes")
    } else if dimensions != wanted {
        let remedy = if [dimensions, wanted] == [1, 3] || [dimensions, wanted] == [3, 1] { SWAPPED } else { SAME_SOURCE };
        (format!("has {dimensions} IDX dimension(s), where {} have {wanted}", kind.noun()), remedy)
    } else {
        return Ok(());
    };
    Err(format_error(path, problem, remedy))
}

/// Checks the sizes and returns their product, the number of bytes after the header; `None` is a product above 64 bits.
fn check_sizes(path: &Path, [count, rows, columns]: [usize; 3], product: Option<u64>, kind: Kind) -> Result<u64> {
    if let Some(bytes @ 1..=MAXIMUM_BYTES) = product {
        return Ok(bytes);
    }
    let shape = if let Kind::Images = kind { format!(" of {rows}×{columns}") } else { String::new() };
    let claim = format!("its header announces {count} {}{shape}", kind.noun());
    let problem = match product {
        Some(0) if count == 0 => format!("is empty: {claim}"),
        Some(0) => format!("holds images without pixels: {claim}"),
        _ => format!("is too large: {claim}, above the maximum of {MAXIMUM_BYTES} bytes"),
    };
    Err(format_error(path, problem, DOWNLOAD_AGAIN))
}

fn format_error(path: &Path, problem: String, remedy: &str) -> Error {
    Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::file("read", path, source, "check the file and its permissions, or use --dataset digits, which needs no files")
}
