//! TIFF images that the general decoder refuses: of a palette and of floating-point greys.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

/// Values of the tags that tell the kinds.
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;
const GROUP_3: u16 = 3;
const PHOTOMETRIC: u16 = 262;

type File<'a> = Decoder<Cursor<&'a [u8]>>;

/// The image of a file of these kinds, upright; none where it is of another.
pub(super) fn unusual(bytes: &[u8]) -> Result<Option<DynamicImage>, String> {
    // What is wrong with others, the general decoder says.
    let Ok(mut file) = Decoder::new(Cursor::new(bytes)) else { return Ok(None) };
    let mut tag = |tag| file.find_tag_unsigned::<u16>(tag).ok().flatten();
    let (photometric, compression) = (tag(Tag::PhotometricInterpretation), tag(Tag::Compression));
    let orientation = tag(Tag::Orientation).and_then(|tag| Orientation::from_exif(tag as u8));
    let broken =
        |error: TiffError| format!("cannot be decoded: {}", error.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
    let (width, height) = file.dimensions().map_err(broken)?;
    if width == 0 || height == 0 || width > super::MAXIMUM_SIDE || height > super::MAXIMUM_SIDE {
        return Ok(None);
    }
    let image = if photometric == Some(PALETTE) {
        Some(of_palette(bytes, &mut file).map_err(broken)?)
    } else if compression == Some(GROUP_3) {
        return Err("is a fax (TIFF of group 3), which is not read; save it with another compression".into());
    } else if matches!(file.colortype(), Ok(ColorType::Gray(32 | 64))) {
        float(&mut file).map_err(broken)?.transpose()?
    } else {
        None
    };
    Ok(image.map(|mut image| {
        image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
        image
    }))
}

/// Indices are read as if they were greys, then looked up.
fn of_palette(bytes: &[u8], file: &mut File) -> Result<DynamicImage, TiffError> {
    let damaged = || TiffError::FormatError(tiff::TiffFormatError::InconsistentSizesEncountered);
    let colours: Vec<u16> = file.get_tag_u16_vec(Tag::ColorMap)?;
    let bits = file.find_tag_unsigned::<u16>(Tag::BitsPerSample)?.unwrap_or(1);
    if !matches!(bits, 1 | 2 | 4 | 8) || colours.len() != 3 << bits {
        return Err(damaged());
    }
    // Of strips that are shorter than their rows, the decoder would make up the rest.
    let plain = file.find_tag_unsigned::<u16>(Tag::Compression)?.unwrap_or(1) == 1;
    let held: u64 =
        file.find_tag(Tag::StripByteCounts)?.map_or(Ok(Vec::new()), tiff::decoder::ifd::Value::into_u64_vec)?.iter().sum();
    let (width, height) = file.dimensions()?;
    let needed = (u64::from(width) * u64::from(bits)).div_ceil(8) * u64::from(height);
    if plain && held > 0 && held < needed {
        return Err(damaged());
    }
    let gray = as_gray(bytes).ok_or_else(damaged)?;
    let mut file = Decoder::new(Cursor::new(&gray[..]))?;
    let DecodingResult::U8(packed) = file.read_image()? else { return Err(damaged()) };
    let (bits, count) = (u32::from(bits), colours.len() / 3);
    let row = (width as usize * bits as usize).div_ceil(8);
    if packed.len() < row * height as usize {
        return Err(damaged());
    }
    // Some programs write bytes.
    let deep = colours.iter().any(|&value| value > 255);
    let byte = |value: u16| if deep { (value >> 8) as u8 } else { value as u8 };
    let image = RgbImage::from_fn(width, height, |x, y| {
        let at = x as usize * bits as usize;
        let byte_of = packed[y as usize * row + at / 8];
        let index = usize::from((u32::from(byte_of) >> (8 - bits - at as u32 % 8)) as u8) & (count - 1);
        Rgb([0, 1, 2].map(|channel| byte(colours[channel * count + index])))
    });
    Ok(image.into())
}

/// The file with the kind of its first image changed from a palette to greys.
fn as_gray(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II*\0");
    if !little && !bytes.starts_with(b"MM\0*") {
        return None;
    }
    let short = |at: usize| {
        let pair = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let word = *bytes.get(4..)?.first_chunk()?;
    let first = if little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) } as usize;
    let entries = (0..usize::from(short(first)?)).map(|index| first + 2 + 12 * index);
    let entry = entries.into_iter().find(|&entry| short(entry) == Some(PHOTOMETRIC))?;
    let value = if little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    let mut changed = bytes.to_vec();
    changed.get_mut(entry + 8..entry + 10)?.copy_from_slice(&value);
    Some(changed)
}

/// Greys of any range: up to 1, to 255 or to 65535, whichever its largest number needs. None where they are no floating-point ones.
fn float(file: &mut File) -> Result<Option<Result<DynamicImage, String>>, TiffError> {
    let (width, height) = file.dimensions()?;
    let numbers: Vec<f64> = match file.read_image()? {
        DecodingResult::F32(numbers) => numbers.into_iter().map(f64::from).collect(),
        DecodingResult::F64(numbers) => numbers,
        _ => return Ok(None),
    };
    let largest = numbers.iter().copied().fold(0.0, f64::max);
    if numbers.iter().any(|number| !(0.0..=65535.0).contains(number)) {
        let problem = "holds floating-point numbers outside 0 to 65535; bring them to 0 to 1";
        return Ok(Some(Err(problem.into())));
    }
    let full = [1.0, 255.0, 65535.0].into_iter().find(|full| largest <= *full).unwrap_or(65535.0);
    let bytes = numbers.into_iter().map(|number| (255.0 * number / full).round() as u8).collect();
    let image = GrayImage::from_raw(width, height, bytes);
    Ok(image.map(|image| Ok(image.into())))
}
