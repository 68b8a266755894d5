//! Archives of NumPy arrays, as Keras (`mnist.npz`), MedMNIST and many a notebook write them: images and their labels by names.
//!
//! An `.npz` file is a zip archive of `.npy` files. Such a file has a header that is a literal of Python's, `{'descr': '|u1',
//! 'fortran_order': False, 'shape': (60000, 28, 28), }`, and the numbers behind it.

use super::numbers::{Found, Labelled, Numbers, Sets};
use crate::error::{Error, Result};
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// The most that one array may hold: 2 GiB, CIFAR-10 in numbers of 64 bits.
const MAXIMUM_BYTES: u64 = 2 << 30;
/// The most that its header may have.
const MAXIMUM_HEADER: usize = 64 << 10;

/// The names of images and labels: to learn from, to test on, and all in one.
const TRAIN: [(&str, &str); 2] = [("x_train", "y_train"), ("train_images", "train_labels")];
const TEST: [(&str, &str); 2] = [("x_test", "y_test"), ("test_images", "test_labels")];
const WHOLE: [(&str, &str); 3] = [("x", "y"), ("images", "labels"), ("data", "target")];

const NAMED_CLASSES: &str = "write classes as numbers, such as np.unique(y, return_inverse=True)[1]";
const OBJECTS: &str = "save rows of one length as one array of numbers, such as np.stack(x).astype(np.float32)";
const ONE_HOT: &str = "save the classes as numbers, such as y.argmax(axis=1)";
const SEVERAL: &str = "give each image one label: several labels of an image are not learned";
const NAMES: &str = "save it as np.savez(FILE, x_train=…, y_train=…, x_test=…, y_test=…), or with x and y alone";

/// Reads the images and labels of an archive.
pub fn read(path: &Path, file: impl Read + Seek) -> Result<Sets> {
    let mut archive = Archive::open(path, file)?;
    let (train, test) = match (archive.pair(&TRAIN), archive.pair(&TEST), archive.pair(&WHOLE)) {
        (Some(train), test, _) => (train, test),
        (None, None, Some(whole)) => (whole, None),
        _ => return Err(archive.unknown()),
    };
    let used: Vec<&String> = [Some(&train), test.as_ref()].into_iter().flatten().flat_map(|(x, y)| [x, y]).collect();
    let left_out = archive.names.iter().filter(|name| !used.contains(name)).map(|name| format!("the array {name}")).collect();
    let found = Found { left_out, label_column: Some(train.1.trim_end_matches(".npy").to_owned()), ..Found::default() };
    let test = test.map(|test| archive.labelled(test)).transpose()?;
    Ok(Sets { train: archive.labelled(train)?, test, found })
}

/// Reads what to ask a model about, with zeros for labels: the test set, or all that there is.
pub fn read_rows(path: &Path, file: impl Read + Seek) -> Result<Labelled> {
    let mut archive = Archive::open(path, file)?;
    let names = TEST.iter().chain(&WHOLE).chain(&TRAIN).map(|pair| pair.0);
    let entry = names.filter_map(|name| archive.entry(name)).next().ok_or_else(|| archive.unknown())?;
    let Array { shape, numbers } = archive.array(&entry)?;
    let labels = Numbers::Bytes(vec![0; shape.first().copied().unwrap_or(0)]);
    Ok(Labelled { images: numbers, shape, labels })
}

/// An archive that is being read.
struct Archive<'a, R> {
    path: &'a Path,
    archive: ZipArchive<R>,
    names: Vec<String>,
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    fn open(path: &'a Path, file: R) -> Result<Self> {
        let archive = ZipArchive::new(file).map_err(|error| broken(path, &error))?;
        let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        Ok(Self { path, archive, names })
    }

    fn unknown(&self) -> Error {
        let problem = format!("holds {}, and no images with labels by names that are known", self.names.join(", "));
        fail(self.path, problem, NAMES)
    }

    /// The entry of an array.
    fn entry(&self, wanted: &str) -> Option<String> {
        let is_it = |name: &&String| name.strip_suffix(".npy").is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        self.names.iter().find(is_it).cloned()
    }

    fn pair(&self, pairs: &[(&str, &str)]) -> Option<(String, String)> {
        pairs.iter().find_map(|(x, y)| Some((self.entry(x)?, self.entry(y)?)))
    }

    fn array(&mut self, name: &str) -> Result<Array> {
        let path = self.path;
        let entry = self.archive.by_name(name).map_err(|error| broken(path, &error))?;
        let mut bytes = Vec::new();
        entry
            .take(MAXIMUM_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| fail(path, format!("holds {name}, which cannot be unpacked ({error})"), "write it again"))?;
        let is_label = |name: &str| {
            TRAIN.iter().chain(&TEST).chain(&WHOLE).any(|pair| name.eq_ignore_ascii_case(&format!("{}.npy", pair.1)))
        };
        Array::parse(&bytes).map_err(|Flaw { problem, remedy }| {
            let remedy = if remedy == NAMED_CLASSES && !is_label(name) { OBJECTS } else { remedy };
            fail(path, format!("holds {name}, {problem}"), remedy)
        })
    }

    fn labelled(&mut self, (x, y): (String, String)) -> Result<Labelled> {
        let (images, labels) = (self.array(&x)?, self.array(&y)?);
        let labels_shape = labels.shape.clone();
        // MedMNIST keeps each label in a row of its own.
        if labels_shape.is_empty() || labels_shape[1..].iter().any(|&size| size != 1) {
            let problem = format!("holds {y} of the shape {labels_shape:?}, where each image has one number");
            let width = labels_shape[1..].iter().product::<usize>().max(1);
            let ones = labels.numbers.doubles();
            let is_one_hot =
                ones.chunks(width).all(|row| row.iter().all(|&one| one >= 0.0) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-3);
            return Err(fail(self.path, problem, if is_one_hot { ONE_HOT } else { SEVERAL }));
        }
        Ok(Labelled { images: images.numbers, shape: images.shape, labels: labels.numbers })
    }
}

fn fail(path: &Path, problem: String, remedy: &str) -> Error {
    Error::Format { path: path.to_owned(), problem, remedy: remedy.to_owned() }
}

fn broken(path: &Path, error: &zip::result::ZipError) -> Error {
    fail(path, format!("is no whole .npz archive ({error})"), "write it again")
}

/// The same from bytes; `name` is for messages.
pub fn parse(name: &Path, bytes: &[u8]) -> Result<Sets> {
    read(name, Cursor::new(bytes))
}

/// What is wrong with an array: the rest of a sentence about it.
#[derive(Debug, PartialEq)]
struct Flaw {
    problem: String,
    remedy: &'static str,
}

impl From<&str> for Flaw {
    fn from(problem: &str) -> Self {
        Self { problem: problem.into(), remedy: "write it again, such as by np.savez" }
    }
}

impl Flaw {
    fn of_type(kind: &str) -> Self {
        let remedy = match kind.as_bytes().first() {
            Some(b'U' | b'S' | b'O') => NAMED_CLASSES,
            Some(b'f' | b'c') => "save it as x.astype(np.float32)",
            _ => "save it as numbers without structure, such as x.astype(np.int64)",
        };
        Self { problem: format!("whose type is {kind}, which is no plain number"), remedy }
    }
}

/// One array.
#[derive(Debug, PartialEq)]
struct Array {
    shape: Vec<usize>,
    numbers: Numbers,
}

impl Array {
    /// Takes apart an `.npy` file.
    fn parse(bytes: &[u8]) -> std::result::Result<Self, Flaw> {
        let cut = || Flaw::from("which is truncated");
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("which is no array of NumPy")?;
        let (length, rest) = match rest {
            [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err(cut()),
        };
        if length > MAXIMUM_HEADER {
            return Err("whose header is too long".into());
        }
        let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
        let header = str::from_utf8(header).map_err(|_| "whose header is no text")?;
        let Header { kind, shape, by_columns } = header_of(header)
            .ok_or_else(|| Flaw::from(format!("whose header is not understood ({})", header.trim()).as_str()))?;
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let count = count.filter(|&count| count <= data.len()).ok_or_else(cut)?;
        let numbers = numbers(&kind, data, count)?;
        let numbers = match numbers {
            numbers if !by_columns || shape.len() < 2 => numbers,
            Numbers::Bytes(numbers) => Numbers::Bytes(by_rows(&numbers, &shape)),
            Numbers::Integers(numbers) => Numbers::Integers(by_rows(&numbers, &shape)),
            Numbers::Floats(numbers) => Numbers::Floats(by_rows(&numbers, &shape)),
            Numbers::Doubles(numbers) => Numbers::Doubles(by_rows(&numbers, &shape)),
        };
        Ok(Self { shape, numbers })
    }
}

/// Row by row, what stands column by column: with the first index running fastest, as Fortran has it.
fn by_rows<T: Copy>(numbers: &[T], shape: &[usize]) -> Vec<T> {
    let mut place = vec![0; shape.len()];
    let mut rows = Vec::with_capacity(numbers.len());
    for _ in 0..numbers.len() {
        let at = place.iter().zip(shape).rev().fold(0, |at, (index, size)| at * size + index);
        rows.push(numbers[at]);
        for (index, size) in place.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *size {
                break;
            }
            *index = 0;
        }
    }
    rows
}

/// What a header says.
struct Header {
    kind: String,
    shape: Vec<usize>,
    by_columns: bool,
}

fn header_of(header: &str) -> Option<Header> {
    let value = |key: &str| {
        let at = ['\'', '"'].into_iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")));
        Some(at?.1.trim_start().strip_prefix(':')?.trim_start())
    };
    let kind = value("descr")?;
    let quote = kind.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let kind = kind[1..].split(quote).next()?.to_owned();
    let shape = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = shape.split(',').map(|size| size.trim().trim_end_matches('L')).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
    Some(Header { kind, shape, by_columns: value("fortran_order")?.starts_with("True") })
}

/// `count` numbers of a type such as `<f4`.
fn numbers(kind: &str, data: &[u8], count: usize) -> std::result::Result<Numbers, Flaw> {
    macro_rules! read {
        ($type:ty, $variant:ident, $as:ty) => {{
            const SIZE: usize = size_of::<$type>();
            let (numbers, rest) = data.as_chunks::<SIZE>();
            if numbers.len() != count || !rest.is_empty() {
                return Err(Flaw::from(format!("which announces {count} numbers, and holds {} bytes", data.len()).as_str()));
            }
            let big = kind.starts_with('>');
            let read = |bytes: &[u8; SIZE]| if big { <$type>::from_be_bytes(*bytes) } else { <$type>::from_le_bytes(*bytes) };
            Ok(Numbers::$variant(numbers.iter().map(|bytes| read(bytes) as $as).collect()))
        }};
    }
    let kind_of = kind.trim_start_matches(['<', '>', '|', '=']);
    // Truth values are black and white.
    if kind_of == "b1" && data.len() == count {
        return Ok(Numbers::Floats(data.iter().map(|&byte| f32::from(u8::from(byte != 0))).collect()));
    }
    match kind_of {
        "u1" => read!(u8, Bytes, u8),
        "i1" => read!(i8, Integers, i64),
        "u2" => read!(u16, Integers, i64),
        "i2" => read!(i16, Integers, i64),
        "u4" => read!(u32, Integers, i64),
        "i4" => read!(i32, Integers, i64),
        "i8" => read!(i64, Integers, i64),
        "u8" => read!(u64, Integers, i64),
        "f2" => {
            let read: std::result::Result<Numbers, Flaw> = read!(u16, Integers, i64);
            let Numbers::Integers(halves) = read? else { return Err(Flaw::of_type(kind_of)) };
            Ok(Numbers::Floats(halves.into_iter().map(|bits| half::f16::from_bits(bits as u16).to_f32()).collect()))
        }
        "f4" => read!(f32, Floats, f32),
        "f8" => read!(f64, Doubles, f64),
        other => Err(Flaw::of_type(other)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    /// An `.npy` file.
    pub fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    /// An archive of arrays.
    pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            writer.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_of_every_type_are_the_same_numbers() {
        let floats = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        let big: Vec<u8> = [1i32, -2].iter().flat_map(|number| number.to_be_bytes()).collect();
        let cases: [(&str, Vec<u8>, Numbers); 5] = [
            ("|u1", vec![1, 2], Numbers::Bytes(vec![1, 2])),
            ("|b1", vec![1, 0], Numbers::Floats(vec![1.0, 0.0])),
            ("<f4", floats(&[0.5, 1.0]), Numbers::Floats(vec![0.5, 1.0])),
            (">i4", big, Numbers::Integers(vec![1, -2])),
            ("<u8", [1u64, 2].iter().flat_map(|number| number.to_le_bytes()).collect(), Numbers::Integers(vec![1, 2])),
        ];
        for (kind, data, numbers) in cases {
            assert_eq!(Array::parse(&npy(kind, "(2,)", &data)), Ok(Array { shape: vec![2], numbers }), "{kind}");
        }
        let halves = npy("<f2", "(2,)", &[0x00, 0x38, 0x00, 0x3c]);
        assert_eq!(Array::parse(&halves).unwrap().numbers, Numbers::Floats(vec![0.5, 1.0]));
        let refused = |bytes: &[u8]| Array::parse(bytes).unwrap_err().problem;
        assert!(refused(&npy("<U5", "(2,)", &[0; 40])).contains("whose type is U5"));
        for (kind, remedy) in [("<U5", "np.unique"), ("|O", "np.unique"), ("<f16", "np.float32"), ("<M8[s]", "np.int64")] {
            assert!(Array::parse(&npy(kind, "(2,)", &[0; 40])).unwrap_err().remedy.contains(remedy), "{kind}");
        }
        assert!(refused(&npy("|u1", "(3,)", &[1, 2])).contains("truncated"));
        assert!(refused(&npy("|u1", "(1,)", &[1, 2])).contains("announces 1 numbers"));
        assert!(refused(&npy("|u1", "(4294967296, 4294967296)", &[1])).contains("truncated"));
        assert!(refused(b"abc").contains("no array"));
    }

    #[test]
    fn what_stands_by_columns_is_the_same_array() {
        let text = String::from_utf8(npy("|u1", "(2, 3, 2)", &[0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11])).unwrap_err();
        let bytes = text.into_bytes();
        let place = bytes.windows(5).position(|word| word == b"False").unwrap();
        let by_columns = [&bytes[..place], b"True ", &bytes[place + 5..]].concat();
        let expected = Array { shape: vec![2, 3, 2], numbers: Numbers::Bytes((0..12).collect()) };
        assert_eq!(Array::parse(&by_columns), Ok(expected));
    }

    #[test]
    fn names_tell_what_is_for_testing() {
        let images = |count: u8| npy("|u1", &format!("({count}, 1, 2)"), &vec![7; 2 * usize::from(count)]);
        let labels = |count: u8| npy("|u1", &format!("({count},)"), &(0..count).collect::<Vec<_>>());
        let parse = |arrays: &[(&str, Vec<u8>)]| parse(Path::new("it.npz"), &npz(arrays));
        let both =
            parse(&[("x_test", images(1)), ("y_train", labels(3)), ("X_train", images(3)), ("y_test", labels(1))]).unwrap();
        assert_eq!((both.train.labels, both.test.unwrap().labels), (Numbers::Bytes(vec![0, 1, 2]), Numbers::Bytes(vec![0])));
        assert!(parse(&[("X", images(2)), ("y", labels(2))]).unwrap().test.is_none());
        let message = parse(&[("a", images(2))]).unwrap_err().to_string();
        assert!(message.contains("holds a.npy") && message.contains("x_train"), "{message}");
        let one_hot = npy("|u1", "(2, 3)", &[0; 6]);
        assert!(parse(&[("x", images(2)), ("y", one_hot)]).unwrap_err().to_string().contains("several labels"));
        let one_hot = npy("|u1", "(2, 3)", &[0, 1, 0, 0, 0, 1]);
        assert!(parse(&[("x", images(2)), ("y", one_hot)]).unwrap_err().to_string().contains("argmax"));
        let objects = npy("|O", "(2,)", &[0; 16]);
        assert!(parse(&[("x", objects), ("y", labels(2))]).unwrap_err().to_string().contains("np.stack"));
        assert!(super::parse(Path::new("it"), b"PK\x03\x04").unwrap_err().to_string().contains("no whole .npz"));
    }
}
