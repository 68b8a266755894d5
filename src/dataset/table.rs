//! Tables of comma-separated values: in each row a label and numbers, below a line of names. Kaggle has MNIST so, `label,pixel0,pixel1,…`.

use super::numbers::{Labelled, Numbers, Sets};
use crate::error::{Error, Result};
use csv::ByteRecord;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The most columns that a table may have: as many as a layer may be wide, and the label.
const MAX_COLUMNS: usize = crate::model::MAX_WIDTH + 1;

/// Names of the column of labels, where none was given.
const LABELS: [&str; 4] = ["label", "class", "target", "y"];

const REMEDY: &str = "give a table with a label and numbers in each row, below a line such as label,pixel0,pixel1";

/// Reads a table; `name` is for messages, `label` the name of the column of labels.
pub fn read(name: &Path, file: impl Read, label: Option<&str>) -> Result<Sets> {
    Ok(Sets { train: Table { name, label, needs_labels: true }.read(file)?, test: None })
}

/// Reads what to ask a model about, with zeros for labels: all columns but the labels, if there are some.
pub fn read_rows(name: &Path, file: impl Read, label: Option<&str>) -> Result<Labelled> {
    let rows = Table { name, label, needs_labels: false }.read(file)?;
    Ok(Labelled { labels: Numbers::Bytes(vec![0; rows.shape[0]]), ..rows })
}

/// How a table is read.
struct Table<'a> {
    name: &'a Path,
    label: Option<&'a str>,
    needs_labels: bool,
}

impl Table<'_> {
    fn read(&self, file: impl Read) -> Result<Labelled> {
        let broken = |error: csv::Error| self.fail(format!("is no table of comma-separated values ({error})"), REMEDY);
        let mut file = BufReader::new(file);
        let delimiter = self.delimiter(&mut file)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).delimiter(delimiter).from_reader(file);
        let (mut row, mut names) = (ByteRecord::new(), ByteRecord::new());
        let (mut labels, mut numbers) = (Vec::new(), Growing::Bytes(Vec::new()));
        let (mut columns, mut label_at, mut number) = (0, None, 0);
        let mut counters = Vec::new();
        while reader.read_byte_record(&mut row).map_err(broken)? {
            number += 1;
            if number == 1 {
                columns = row.len();
                row = without_mark(&row);
                let least = if self.needs_labels { 2 } else { 1 };
                if !(least..=MAX_COLUMNS).contains(&columns) {
                    let problem = format!("has {columns} columns, where a label and numbers are {least} to {MAX_COLUMNS}");
                    return Err(self.fail(problem, REMEDY));
                }
                // Names, or the first row already, whose first number is its label.
                if row.iter().any(|cell| real(cell).is_none()) {
                    label_at = self.label_column(&row)?;
                    counters = self.counters(&row)?;
                    names = row.clone();
                    continue;
                }
                if let Some(label) = self.label {
                    let problem = format!("has no line of names, and so no column {label}");
                    return Err(self.fail(problem, "write the columns' names into the first line, or leave --label-column out"));
                }
                label_at = self.needs_labels.then_some(0);
            }
            counters.retain_mut(|Counter { column, last }| {
                let next = row.get(*column).and_then(|cell| str::from_utf8(cell).ok()?.parse::<i64>().ok());
                let counts = next.is_some() && last.is_none_or(|last| next == last.checked_add(1));
                *last = next;
                counts
            });
            for (column, cell) in row.iter().enumerate() {
                let taken = if label_at == Some(column) && !self.needs_labels {
                    continue;
                } else if label_at == Some(column) {
                    let label = byte(cell).map(i64::from).or((real(cell) == Some(-1.0)).then_some(-1));
                    label.map(|label| labels.push(label)).ok_or("a whole number from 0 to 255, or -1 for none,")
                } else {
                    numbers.push(cell).ok_or("a number")
                };
                taken.map_err(|belongs| self.misplaced(cell, number, column, names.get(column), belongs))?;
            }
        }
        let width = columns - usize::from(label_at.is_some());
        let count = numbers.count().checked_div(width).unwrap_or(0);
        if count == 0 {
            return Err(self.fail("holds no rows".into(), REMEDY));
        }
        if let Some(counter) = counters.first().filter(|counter| count > 2 && label_at != Some(counter.column)) {
            let name = String::from_utf8_lossy(&names[counter.column]);
            return Err(
                self.fail(format!("has the column {name}, which counts the rows"), "remove it: nothing is to be learnt from it")
            );
        }
        Ok(Labelled { images: numbers.numbers(), shape: vec![count, width], labels: of_labels(labels) })
    }

    /// What stands between the columns: a semicolon or a tab, where the first line has no comma.
    fn delimiter(&self, file: &mut impl BufRead) -> Result<u8> {
        let begin = file.fill_buf().map_err(|error| Error::file("read", self.name, error, "give a file that can be read"))?;
        if begin.starts_with(&[0xff, 0xfe]) || begin.starts_with(&[0xfe, 0xff]) {
            return Err(self.fail("is UTF-16".into(), "save it as UTF-8"));
        }
        let line = begin.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        let others = [b';', b'\t'].into_iter().find(|delimiter| line.contains(delimiter));
        Ok(others.filter(|_| !line.contains(&b',')).unwrap_or(b','))
    }

    /// Columns that may count the rows. One without a name is what pandas writes beside its columns.
    fn counters(&self, names: &ByteRecord) -> Result<Vec<Counter>> {
        let lower: Vec<Vec<u8>> = names.iter().map(<[u8]>::to_ascii_lowercase).collect();
        if let Some(column) = lower.iter().position(|name| matches!(&name[..], b"" | b"unnamed: 0")) {
            let problem = format!("has a column without a name, column {}", column + 1);
            return Err(self.fail(problem, "remove it, such as by pandas' to_csv(…, index=False), or give it a name"));
        }
        let counts =
            |(column, name): (usize, &Vec<u8>)| matches!(&name[..], b"id" | b"index").then_some(Counter { column, last: None });
        Ok(lower.iter().enumerate().filter_map(counts).collect())
    }

    /// The place of the labels among named columns.
    fn label_column(&self, names: &ByteRecord) -> Result<Option<usize>> {
        let place = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted.as_bytes()));
        match (self.label, LABELS.into_iter().find_map(place)) {
            (Some(label), _) => match place(label) {
                None if self.needs_labels => {
                    let some = names.iter().take(12).map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ");
                    let problem = format!("has no column of the name {label}; its columns are {some}");
                    Err(self.fail(problem, "give one of them as --label-column"))
                }
                place => Ok(place),
            },
            (None, None) if self.needs_labels => Err(self.fail(
                format!("has no column of the name {}", LABELS.join(", ")),
                "name the column of labels with --label-column (Kaggle's test.csv has none)",
            )),
            (None, place) => Ok(place),
        }
    }

    fn misplaced(&self, cell: &[u8], row: usize, column: usize, name: Option<&[u8]>, belongs: &str) -> Error {
        let name = name.map_or_else(String::new, |name| format!(" ({})", String::from_utf8_lossy(name)));
        let place = format!("in row {row}, column {}{name}", column + 1);
        let is_missing =
            ["", "na", "n/a", "nan", "null", "none", "?"].iter().any(|word| cell.eq_ignore_ascii_case(word.as_bytes()));
        if is_missing {
            let remedy = "fill it in, or remove the row or the column";
            return self.fail(format!("lacks a value {place}, where {belongs} belongs"), remedy);
        }
        let text = String::from_utf8_lossy(&cell[..cell.len().min(20)]).into_owned();
        let has_comma = text.contains(',') && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b',' | b'.' | b'-' | b'+'));
        let remedy = if has_comma {
            "write numbers with a decimal point and no other marks, such as by pandas' read_csv(…, decimal=',')"
        } else {
            "write classes and categories as numbers, such as by pandas' factorize and get_dummies, or remove the column"
        };
        self.fail(format!("holds {text:?} {place}, where {belongs} belongs"), remedy)
    }

    fn fail(&self, problem: String, remedy: &str) -> Error {
        Error::Format { path: self.name.to_owned(), problem, remedy: remedy.to_owned() }
    }
}

/// A column whose numbers count up by one so far.
struct Counter {
    column: usize,
    last: Option<i64>,
}

/// Labels are bytes, unless some are -1.
fn of_labels(labels: Vec<i64>) -> Numbers {
    match labels.iter().map(|&label| u8::try_from(label)).collect() {
        Ok(bytes) => Numbers::Bytes(bytes),
        Err(_) => Numbers::Integers(labels),
    }
}

/// Numbers that are bytes until another one comes.
enum Growing {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Growing {
    fn push(&mut self, cell: &[u8]) -> Option<()> {
        if let Self::Bytes(bytes) = self {
            if let Some(byte) = byte(cell) {
                bytes.push(byte);
                return Some(());
            }
            *self = Self::Floats(bytes.iter().copied().map(f32::from).collect());
        }
        let number = real(cell)?;
        if let Self::Floats(numbers) = self {
            numbers.push(number);
        }
        Some(())
    }

    fn count(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Floats(numbers) => numbers.len(),
        }
    }

    fn numbers(self) -> Numbers {
        match self {
            Self::Bytes(bytes) => Numbers::Bytes(bytes),
            Self::Floats(numbers) => Numbers::Floats(numbers),
        }
    }
}

/// The first row without a byte order mark.
fn without_mark(row: &ByteRecord) -> ByteRecord {
    row.iter()
        .enumerate()
        .map(|(column, cell)| if column == 0 { cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell) } else { cell })
        .collect()
}

/// A whole number from 0 to 255, also as `7.0`.
fn byte(cell: &[u8]) -> Option<u8> {
    let text = str::from_utf8(cell).ok()?;
    let whole =
        text.split_once('.').map_or(Some(text), |(whole, rest)| rest.bytes().all(|digit| digit == b'0').then_some(whole))?;
    whole.parse().ok()
}

/// A number that is finite, too, as 32 bits; `nan` and `inf` are what is missing.
fn real(cell: &[u8]) -> Option<f32> {
    str::from_utf8(cell).ok()?.parse().ok().filter(|number: &f32| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sets> {
        read(Path::new("train.csv"), text.as_bytes(), None)
    }

    #[test]
    fn rows_are_images_with_and_without_names() {
        for text in [
            "label,pixel0,pixel1\n3,0,255\n0,1,2\n",
            "\u{feff}label,a,b\r\n3,0,255.0\r\n0,1,2",
            "3,0,255\n0,1,2\n",
            "a,b,class\n0,255,3\n1,2,0\n",
            "label;a;b\n3;0;255\n0;1;2\n",
            "label\ta\tb\n3\t0\t255\n0\t1\t2\n",
            // These do not count.
            "label,id,index\n3,0,255\n0,1,2\n",
        ] {
            let train = parse(text).unwrap().train;
            assert_eq!((train.labels, train.images), (Numbers::Bytes(vec![3, 0]), Numbers::Bytes(vec![0, 255, 1, 2])), "{text}");
            assert_eq!(train.shape, [2, 2]);
        }
    }

    #[test]
    fn other_numbers_are_features_from_the_first_row_on() {
        let train = parse("target,a,b\n1,7,0.5\n0,-1e3,2\n").unwrap().train;
        assert_eq!((train.images, train.shape), (Numbers::Floats(vec![7.0, 0.5, -1000.0, 2.0]), vec![2, 2]));
        assert_eq!(train.labels, Numbers::Bytes(vec![1, 0]));
    }

    #[test]
    fn labels_may_be_missing() {
        let train = read(Path::new("it.csv"), &b"label,a\n3,0\n-1,255\n"[..], None).unwrap().train;
        assert_eq!((train.labels, train.images), (Numbers::Integers(vec![3, -1]), Numbers::Bytes(vec![0, 255])));
    }

    #[test]
    fn any_column_can_hold_the_labels() {
        let named = |label| read(Path::new("it.csv"), &b"y,kind,a\n0.5,1,3\n1.5,0,4\n"[..], Some(label));
        let train = named("Kind").unwrap().train;
        assert_eq!((train.labels, train.images), (Numbers::Bytes(vec![1, 0]), Numbers::Floats(vec![0.5, 3.0, 1.5, 4.0])));
        let message = named("sort").unwrap_err().to_string();
        assert!(message.contains("no column of the name sort") && message.contains("y, kind, a"), "{message}");
        let nameless = read(Path::new("it.csv"), &b"1,2\n"[..], Some("kind")).unwrap_err().to_string();
        assert!(nameless.contains("no line of names"), "{nameless}");
    }

    #[test]
    fn rows_to_ask_about_need_no_labels() {
        for text in ["a,b\n1,2.5\n3,4\n", "a,label,b\n1,x,2.5\n3,,4\n", "1,2.5\n3,4\n"] {
            let rows = read_rows(Path::new("it.csv"), text.as_bytes(), None).unwrap();
            assert_eq!(rows.images, Numbers::Floats(vec![1.0, 2.5, 3.0, 4.0]), "{text}");
        }
        let rows = read_rows(Path::new("it.csv"), &b"a,label\n7,1\n"[..], None).unwrap();
        assert_eq!((rows.images, rows.labels), (Numbers::Bytes(vec![7]), Numbers::Bytes(vec![0])));
    }

    #[test]
    fn what_is_no_number_is_named() {
        for (text, part) in [
            ("", "holds no rows"),
            ("label,a\n", "holds no rows"),
            ("a\n1\n", "has 1 columns"),
            ("pixel0,pixel1\n1,2\n", "no column of the name label"),
            ("1,2\n3\n", "no table"),
            ("label,a\n3,red\n", "holds \"red\" in row 2, column 2 (a)"),
            ("label,a\n3,\n", "lacks a value in row 2, column 2 (a)"),
            ("label,a\n3,nan\n", "lacks a value in row 2, column 2"),
            ("label,a\n3,?\n", "lacks a value in row 2, column 2"),
            (",label,a\n0,3,1\n", "without a name, column 1"),
            ("label,a,Unnamed: 0\n0,3,1\n", "without a name, column 3"),
            ("Id,label,a\n1,3,1\n2,3,1\n3,0,1\n", "has the column Id, which counts the rows"),
            ("label;a\n3;5,1\n", "decimal point"),
            ("label,a\n3,\"1,234\"\n", "decimal point"),
            ("\u{feff}label,a\n3,red\n", "holds \"red\""),
            ("label,a\n256,1\n", "holds \"256\" in row 2, column 1 (label)"),
            ("label,a\nsetosa,1\n", "holds \"setosa\" in row 2, column 1 (label), where a whole number"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{message}");
        }
        let wide = read(Path::new("it.csv"), &b"\xff\xfel\0a\0"[..], None).unwrap_err().to_string();
        assert!(wide.contains("UTF-16"), "{wide}");
    }
}
