//! Tables of comma-separated values, as Kaggle has MNIST: in each row a label and the pixels of an image, below a line of names such
//! as `label,pixel0,pixel1,…`.

use super::file::{Labelled, Numbers, Sets};
use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;

/// The most columns that a table may have: as many as a layer may be wide, and the label.
const MAX_COLUMNS: usize = crate::model::MAX_WIDTH + 1;

/// Reads a table; `name` is for messages.
pub fn read(name: &Path, file: impl Read) -> Result<Sets> {
    let fail = |problem: String, remedy: &str| Error::Format { path: name.to_owned(), problem, remedy: remedy.to_owned() };
    const REMEDY: &str =
        "give a table of a label and the pixels of an image in each row, below a line such as label,pixel0,pixel1";
    let broken = |error: csv::Error| fail(format!("is no table of comma-separated values ({error})"), REMEDY);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(file);
    let mut row = csv::ByteRecord::new();
    let (mut labels, mut pixels, mut columns, mut label_at) = (Vec::new(), Vec::new(), 0, 0);
    let mut number = 0;
    while reader.read_byte_record(&mut row).map_err(broken)? {
        number += 1;
        if number == 1 {
            columns = row.len();
            if !(2..=MAX_COLUMNS).contains(&columns) {
                return Err(fail(format!("has {columns} columns, where a label and pixels are 2 to {MAX_COLUMNS}"), REMEDY));
            }
            // Names, or the first image already. Some begin with a byte order mark.
            let first = row[0].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&row[0]);
            if byte(first).is_none() {
                let is_label =
                    |cell: &[u8]| [&b"label"[..], b"class", b"target", b"y"].iter().any(|name| cell.eq_ignore_ascii_case(name));
                let place = (0..columns).position(|column| is_label(if column == 0 { first } else { &row[column] }));
                label_at = place.ok_or_else(|| {
                    fail(
                        "has no column of the name label, class, target or y".into(),
                        "give a table with labels (Kaggle's test.csv has none)",
                    )
                })?;
                continue;
            }
        }
        for column in 0..columns {
            let cell = if number == 1 { row[column].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&row[column]) } else { &row[column] };
            let value = byte(cell).ok_or_else(|| {
                let text = String::from_utf8_lossy(&cell[..cell.len().min(20)]).into_owned();
                fail(
                    format!("holds {text:?} in row {number}, column {}, where a whole number from 0 to 255 belongs", column + 1),
                    REMEDY,
                )
            })?;
            if column == label_at { labels.push(value) } else { pixels.push(value) }
        }
    }
    if labels.is_empty() {
        return Err(fail("holds no images".into(), REMEDY));
    }
    let shape = vec![labels.len(), columns - 1];
    let train = Labelled { images: Numbers::Bytes(pixels), shape, labels: Numbers::Bytes(labels) };
    Ok(Sets { train, test: None })
}

/// A whole number from 0 to 255, also as `7.0`.
fn byte(cell: &[u8]) -> Option<u8> {
    let text = str::from_utf8(cell).ok()?;
    let whole =
        text.split_once('.').map_or(Some(text), |(whole, rest)| rest.bytes().all(|digit| digit == b'0').then_some(whole))?;
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sets> {
        read(Path::new("train.csv"), text.as_bytes())
    }

    #[test]
    fn rows_are_images_with_and_without_names() {
        for text in [
            "label,pixel0,pixel1\n3,0,255\n0,1,2\n",
            "\u{feff}label,a,b\r\n3,0,255.0\r\n0,1,2",
            "3,0,255\n0,1,2\n",
            "a,b,class\n0,255,3\n1,2,0\n",
        ] {
            let train = parse(text).unwrap().train;
            assert_eq!((train.labels, train.images), (Numbers::Bytes(vec![3, 0]), Numbers::Bytes(vec![0, 255, 1, 2])), "{text}");
            assert_eq!(train.shape, [2, 2]);
        }
    }

    #[test]
    fn what_is_no_image_is_named() {
        for (text, part) in [
            ("", "holds no images"),
            ("label,a\n", "holds no images"),
            ("a\n1\n", "has 1 columns"),
            ("pixel0,pixel1\n1,2\n", "no column of the name label"),
            ("1,2\n3\n", "no table"),
            ("1,2\n3,256\n", "holds \"256\" in row 2, column 2"),
            ("1,2\n3,-1\n", "row 2, column 2"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{message}");
        }
    }
}
