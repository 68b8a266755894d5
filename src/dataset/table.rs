//! Tables of comma-separated values: in each row a label and numbers, below a line of names. Kaggle has MNIST so, `label,pixel0,pixel1,…`.

mod columns;

use super::numbers::{Found, Labelled, Numbers, Sets};
use super::options::FileOptions;
use crate::error::{Error, Result};
use columns::{Columns, Place};
use csv::ByteRecord;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The most columns that a table may have: as many as a layer may be wide, and the label.
const MAX_COLUMNS: usize = crate::model::MAX_WIDTH + 1;

const REMEDY: &str = "give a table with a label and numbers in each row, below a line such as label,pixel0,pixel1";

/// Reads a table; `name` is for messages.
pub fn read(name: &Path, file: impl Read, options: &FileOptions) -> Result<Sets> {
    let (train, found) = Table { name, options, needs_labels: true }.read(file)?;
    Ok(Sets { train, test: None, found })
}

/// Reads what to ask a model about, with zeros for labels: all columns but the labels, if there are some.
pub fn read_rows(name: &Path, file: impl Read, options: &FileOptions) -> Result<Labelled> {
    let (rows, _) = Table { name, options, needs_labels: false }.read(file)?;
    Ok(Labelled { labels: Numbers::Bytes(vec![0; rows.shape[0]]), ..rows })
}

/// How a table is read.
struct Table<'a> {
    name: &'a Path,
    options: &'a FileOptions,
    needs_labels: bool,
}

impl Table<'_> {
    fn read(&self, file: impl Read) -> Result<(Labelled, Found)> {
        let broken = |error: csv::Error| self.fail(format!("is no table of comma-separated values ({error})"), REMEDY);
        let mut file = BufReader::new(file);
        let delimiter = self.delimiter(&mut file)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).delimiter(delimiter).from_reader(file);
        let mut row = ByteRecord::new();
        let (mut labels, mut numbers) = (Vec::new(), Growing::Bytes(Vec::new()));
        let (mut columns, mut number) = (Columns::default(), 0);
        while reader.read_byte_record(&mut row).map_err(broken)? {
            number += 1;
            if number == 1 {
                row = without_mark(&row);
                let least = if self.needs_labels { 2 } else { 1 };
                if !(least..=MAX_COLUMNS).contains(&row.len()) {
                    let problem = format!("has {} columns, where a label and numbers are {least} to {MAX_COLUMNS}", row.len());
                    return Err(self.fail(problem, REMEDY));
                }
                columns = self.columns(&row)?;
                if columns.has_names {
                    continue;
                }
            }
            columns.count(&row, self.options.reading);
            for (column, cell) in row.iter().enumerate() {
                let taken = match columns.label {
                    Place::At(label) if label == column && !self.needs_labels => continue,
                    Place::At(label) if label == column => {
                        whole(cell).map(|label| labels.push(label)).ok_or("a whole number, the row's label,")
                    }
                    _ => numbers.push(cell).ok_or("a number"),
                };
                taken.map_err(|belongs| self.misplaced(cell, number, column, columns.name(column), belongs))?;
            }
        }
        let width = columns.width - usize::from(matches!(columns.label, Place::At(_)));
        let count = numbers.count().checked_div(width).unwrap_or(0);
        if count == 0 {
            return Err(self.fail("holds no rows".into(), REMEDY));
        }
        if let Some(name) = columns.counter().filter(|_| count > 2) {
            return Err(
                self.fail(format!("has the column {name}, which counts the rows"), "remove it: nothing is to be learned from it")
            );
        }
        let mut numbers = numbers.numbers();
        let mut found = Found::default();
        let mut labels = Numbers::Integers(labels);
        if let Place::Sought = columns.label {
            let (place, why) = self.sought(&numbers, columns.width)?;
            (labels, numbers) = apart(&numbers, columns.width, place);
            columns.label = Place::At(place);
            found.decided.push(why);
        }
        let (names, order) = self.ordered(&columns)?;
        if let Some(order) = order {
            numbers = numbers.reordered(&order);
        }
        found.decided.extend(columns.decided.take());
        (found.columns, found.label_column) = (names, columns.label_name());
        let width = columns.width - usize::from(matches!(columns.label, Place::At(_)));
        Ok((Labelled { images: numbers, shape: vec![count, width], labels }, found))
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

    fn misplaced(&self, cell: &[u8], row: usize, column: usize, name: Option<&str>, belongs: &str) -> Error {
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        let place = format!("in row {row}, column {}{name}", column + 1);
        if is_missing(cell) {
            let remedy = "fill it in, or remove the row or the column";
            return self.fail(format!("lacks a value {place}, where {belongs} belongs"), remedy);
        }
        let text = String::from_utf8_lossy(&cell[..cell.len().min(20)]).into_owned();
        let parts = text.split(',').map(str::trim).collect::<Vec<_>>();
        let remedy = match text.parse::<f64>() {
            Ok(number) if number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) => TOO_LARGE,
            Ok(number) if number.is_infinite() => "replace it by a number, or remove the row: nothing is as far as infinity",
            Ok(number) if belongs.starts_with("a whole") => {
                return self
                    .fail(format!("holds {number} {place}, where {belongs} belongs"), "number the classes with whole numbers");
            }
            Ok(_) => TOO_LARGE,
            Err(_)
                if belongs.starts_with("a whole") && parts.len() > 1 && parts.iter().all(|part| part.parse::<u32>().is_ok()) =>
            {
                "give each row one label: a row of several is not learned"
            }
            Err(_) if parts.len() > 1 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b',' | b'.' | b'-' | b'+')) => {
                "write numbers with a decimal point and no other marks, such as by pandas' read_csv(…, decimal=',')"
            }
            Err(_) => {
                "write classes and categories as numbers, such as by pandas' factorize and get_dummies, or remove the column"
            }
        };
        self.fail(format!("holds {text:?} {place}, where {belongs} belongs"), remedy)
    }

    fn fail(&self, problem: String, remedy: &str) -> Error {
        Error::Format { path: self.name.to_owned(), problem, remedy: remedy.to_owned() }
    }
}

/// What 32 bits cannot hold.
const TOO_LARGE: &str = "divide the column by a power of ten: numbers end at 3.4e38";

/// Numbers that are bytes until another one comes.
enum Growing {
    Bytes(Vec<u8>),
    Doubles(Vec<f64>),
}

impl Growing {
    fn push(&mut self, cell: &[u8]) -> Option<()> {
        if let Self::Bytes(bytes) = self {
            if let Some(byte) = byte(cell) {
                bytes.push(byte);
                return Some(());
            }
            *self = Self::Doubles(bytes.iter().copied().map(f64::from).collect());
        }
        let number = real(cell)?;
        if let Self::Doubles(numbers) = self {
            numbers.push(number);
        }
        Some(())
    }

    fn count(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Doubles(numbers) => numbers.len(),
        }
    }

    fn numbers(self) -> Numbers {
        match self {
            Self::Bytes(bytes) => Numbers::Bytes(bytes),
            Self::Doubles(numbers) => Numbers::Doubles(numbers),
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
fn real(cell: &[u8]) -> Option<f64> {
    str::from_utf8(cell).ok()?.parse().ok().filter(|number: &f64| (*number as f32).is_finite())
}

/// A whole number, also as `7.0`.
fn whole(cell: &[u8]) -> Option<i64> {
    real(cell).filter(|number| number.fract() == 0.0 && number.abs() < 2f64.powi(53)).map(|number| number as i64)
}

fn is_missing(cell: &[u8]) -> bool {
    ["", "na", "n/a", "nan", "null", "none", "?"].iter().any(|word| cell.eq_ignore_ascii_case(word.as_bytes()))
}

/// The column at `place` as labels, and the others.
fn apart(numbers: &Numbers, width: usize, place: usize) -> (Numbers, Numbers) {
    let others: Vec<usize> = (0..width).filter(|&column| column != place).collect();
    (numbers.columns(width, &[place]), numbers.columns(width, &others))
}

#[cfg(test)]
mod tests {
    use super::super::input::{Input, Like, Reading};
    use super::*;

    fn with(text: &[u8], options: &FileOptions) -> Result<Sets> {
        read(Path::new("it.csv"), text, options)
    }

    fn parse(text: &str) -> Result<Sets> {
        with(text.as_bytes(), &FileOptions::default())
    }

    fn labelled(label: &str) -> FileOptions {
        FileOptions { label_column: Some(label.into()), ..FileOptions::default() }
    }

    #[test]
    fn rows_are_images_with_and_without_names() {
        for text in [
            "label,pixel0,pixel1\n3,0,255\n0,1,2\n",
            "\u{feff}label,a,b\r\n3,0,255.0\r\n0,1,2",
            "a,b,class\n0,255,3\n1,2,0\n",
            "label;a;b\n3;0;255\n0;1;2\n",
            "label\ta\tb\n3\t0\t255\n0\t1\t2\n",
            // These do not count.
            "label,id,index\n3,0,255\n0,1,2\n",
        ] {
            let train = parse(text).unwrap().train;
            assert_eq!(
                (train.labels, train.images),
                (Numbers::Integers(vec![3, 0]), Numbers::Bytes(vec![0, 255, 1, 2])),
                "{text}"
            );
            assert_eq!(train.shape, [2, 2]);
        }
    }

    #[test]
    fn other_numbers_are_features_from_the_first_row_on() {
        let train = parse("target,a,b\n1,7,0.5\n0,-1e3,2\n").unwrap().train;
        assert_eq!((train.images, train.shape), (Numbers::Doubles(vec![7.0, 0.5, -1000.0, 2.0]), vec![2, 2]));
        assert_eq!(train.labels, Numbers::Integers(vec![1, 0]));
    }

    #[test]
    fn labels_may_be_missing() {
        let train = parse("label,a\n3,0\n-1,255\n").unwrap().train;
        assert_eq!((train.labels, train.images), (Numbers::Integers(vec![3, -1]), Numbers::Bytes(vec![0, 255])));
    }

    #[test]
    fn any_column_can_hold_the_labels() {
        let named = |label| with(b"y,kind,a\n0.5,1,3\n1.5,0,4\n", &labelled(label));
        let train = named("Kind").unwrap().train;
        assert_eq!((train.labels, train.images), (Numbers::Integers(vec![1, 0]), Numbers::Doubles(vec![0.5, 3.0, 1.5, 4.0])));
        let message = named("sort").unwrap_err().to_string();
        assert!(message.contains("no column of the name sort") && message.contains("y, kind, a"), "{message}");
        let nameless = with(b"1,2\n", &labelled("kind")).unwrap_err().to_string();
        assert!(nameless.contains("no line of names"), "{nameless}");
    }

    #[test]
    fn rows_to_ask_about_need_no_labels() {
        let rows = |text: &str, options: &FileOptions| {
            read_rows(Path::new("it.csv"), text.as_bytes(), options).map(|rows| rows.images.doubles())
        };
        for text in ["a,b\n1,2.5\n3,4\n", "a,label,b\n1,x,2.5\n3,,4\n", "1,2.5\n3,4\n"] {
            assert_eq!(rows(text, &FileOptions::default()).unwrap(), [1.0, 2.5, 3.0, 4.0], "{text}");
        }
        let own = Input { columns: Some(vec!["a".into(), "y".into()]), label_column: Some("ill".into()), ..Input::default() };
        let like = FileOptions { like: Some(Like { input: own, classes: Vec::new(), width: 2 }), ..FileOptions::default() };
        for text in ["a,y\n1,2\n3,4\n", "y,a\n2,1\n4,3\n", "y,ill,a\n2,0,1\n4,1,3\n", "1,2\n3,4\n"] {
            assert_eq!(rows(text, &like).unwrap(), [1.0, 2.0, 3.0, 4.0], "{text}");
        }
        for (text, part) in [("a,b\n1,2\n", "lacks the columns 'y'"), ("a,y,b\n1,2,3\n", "has the columns 'b'")] {
            assert!(rows(text, &like).unwrap_err().to_string().contains(part), "{text}");
        }
    }

    #[test]
    fn names_that_are_numbers_are_names_and_nameless_labels_are_found() {
        let rows = |row: &dyn Fn(i32) -> String| (0..20).map(row).collect::<String>();
        let first = rows(&|row| format!("{},{}.5,3,4,{}\n", row % 2, row, 7 * row));
        let found = |text: String, options: &FileOptions| {
            let sets = with(text.as_bytes(), options).map_err(|error| error.to_string())?;
            Ok::<_, String>((
                sets.train.shape.clone(),
                sets.found.label_column.unwrap(),
                sets.train.labels.doubles()[..2].to_vec(),
            ))
        };
        let plain = FileOptions::default();
        assert_eq!(found(first.clone(), &plain), Ok((vec![20, 4], "1".into(), vec![0.0, 1.0])));
        assert_eq!(found(format!("0,1,2,3,4\n{first}"), &plain), Ok((vec![20, 4], "0".into(), vec![0.0, 1.0])));
        let last = rows(&|row| format!("{}.5,{}\n", row, row % 2));
        assert_eq!(found(last, &plain), Ok((vec![20, 1], "2".into(), vec![0.0, 1.0])));
        let both = rows(&|row| format!("{},{}.5,{}\n", row % 3, row, row % 2));
        assert!(found(both.clone(), &plain).unwrap_err().contains("--label-column first or --label-column last"));
        assert_eq!(found(both.clone(), &labelled("last")), Ok((vec![20, 2], "3".into(), vec![0.0, 1.0])));
        assert_eq!(found(both.clone(), &FileOptions { reading: Reading::First, ..plain.clone() }).unwrap().1, "1");
        assert!(found(format!("0,1,2\n{both}"), &labelled("first")).unwrap_err().contains("give --header"));
        let numbers = FileOptions { header: Some(false), ..labelled("first") };
        assert_eq!(found(format!("0,1,2\n{both}"), &numbers).unwrap().0, [21, 2]);
    }

    #[test]
    fn what_may_be_the_label_is_for_an_option_to_decide() {
        for (text, part) in [
            ("x,y,group\n1,2,0\n", "columns x and y, which may be a place"),
            ("label,class,a\n1,2,0\n", "columns label and class, each of which"),
            ("label,a,a\n1,2,0\n", "two columns of the name a"),
            ("index,label\n0,1\n2,0\n5,1\n", "the column index, which counts the rows"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
            assert!(
                text.starts_with("label,a")
                    || with(text.as_bytes(), &FileOptions { reading: Reading::First, ..FileOptions::default() }).is_ok()
                    || !text.contains(",y")
            );
        }
        assert!(with(b"x,y,group\n1,2,0\n", &labelled("group")).is_ok());
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
            ("label,a\n0.5,1\n", "holds 0.5 in row 2, column 1 (label), where a whole number"),
            ("label,a\n1,inf\n", "nothing is as far as infinity"),
            ("label,a\n1,1e39\n", "divide the column by a power of ten"),
            ("label,a\n1,1e400\n", "divide the column by a power of ten"),
            ("label,a\n\"0,1\",1\n", "one label"),
            ("label,a\nsetosa,1\n", "holds \"setosa\" in row 2, column 1 (label), where a whole number"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{message}");
        }
        let wide = with(b"\xff\xfel\0a\0", &FileOptions::default()).unwrap_err().to_string();
        assert!(wide.contains("UTF-16"), "{wide}");
    }
}
