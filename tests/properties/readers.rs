//! Every check of data through every reader: what is refused is refused by all, what is counted is counted by all. Where a reader cannot meet a
//! check there is a reason. `cargo test --test properties readers -- --nocapture` prints the matrix.

#[path = "../../web/src/files.rs"]
mod page;

use ffcl_gpu::Result;
use ffcl_gpu::dataset::file::{self, FileOptions};
use ffcl_gpu::dataset::folder::{self, FolderOptions};
use ffcl_gpu::dataset::numbers::{Found, Labelled, Numbers, Sets};
use ffcl_gpu::dataset::{Dataset, DatasetName, Features, ImageShape, Images, Places, arrays, table};
use ffcl_gpu::text;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Sides of the pictures of the readers that take any.
const SIDE: usize = 8;

/// A picture, which its number tells from others, and its label.
#[derive(Clone, Copy, Debug)]
struct Row {
    number: u32,
    label: i64,
    is_dark: bool,
}

fn row(number: u32, label: i64) -> Row {
    Row { number, label, is_dark: false }
}

impl Row {
    fn pixels(&self, count: usize) -> Vec<u8> {
        let shade = |place: u32| (self.number * 37 + place * (3 + self.number % 7)) % 251;
        (0..count as u32).map(|place| if self.is_dark { (shade(place) % 2) as u8 } else { shade(place) as u8 }).collect()
    }
}

/// What is to be read.
#[derive(Clone, Default)]
struct Data {
    train: Vec<Row>,
    test: Option<Vec<Row>>,
    /// The names of classes, where a reader has some; else their numbers.
    names: Option<[&'static str; 2]>,
    /// A number in the place of a pixel of the first row.
    odd: Option<f64>,
    /// Added to all numbers.
    offset: f64,
}

/// What a reader made of it.
enum Read {
    Data(Box<Dataset>),
    Refused(String),
    /// It cannot meet this, and why.
    Hole(&'static str),
}

impl From<Result<Dataset>> for Read {
    fn from(result: Result<Dataset>) -> Self {
        match result {
            Ok(dataset) => Self::Data(Box::new(dataset)),
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

const BYTES: &str = "holds bytes";
const BOTH: &str = "always has a test set";
const NO_NAMES: &str = "classes have no names";
const NO_TEST: &str = "has no test set of its own";
const OF_TEN: &str = "classes are the ten of the set";
const NAMES: &str = "classes are names";
const MAPPED: &str = "Python gives labels as places";
const DIVIDED: &str = "rows come divided";

type Reader = fn(&Data) -> Read;

const READERS: [(&str, Reader); 9] = [
    ("folder", folder),
    ("idx", idx),
    ("cifar", cifar),
    ("npz", npz),
    ("csv", csv),
    ("python", python),
    ("page csv", page_csv),
    ("page idx", page_idx),
    ("page pictures", page_pictures),
];

fn gray(rows: &[Row], count: usize) -> Images {
    let shape = ImageShape::gray(count / SIDE, SIDE);
    let labels = rows.iter().map(|row| row.label as u8).collect();
    Images { pixels: rows.iter().flat_map(|row| row.pixels(count)).collect(), labels, shape, features: None }
}

fn folder(data: &Data) -> Read {
    if data.odd.is_some() || data.offset != 0.0 {
        return Read::Hole(BYTES);
    }
    if data.train.iter().any(|row| !(0..10).contains(&row.label)) {
        return Read::Hole(NAMES);
    }
    let root = tempfile::tempdir().unwrap();
    let name =
        |label: i64| data.names.and_then(|names| names.get(label as usize).map(ToString::to_string)).unwrap_or(label.to_string());
    let write = |part: &str, rows: &[Row]| {
        for (place, row) in rows.iter().enumerate() {
            let class = root.path().join(part).join(name(row.label));
            fs::create_dir_all(&class).unwrap();
            let head = format!("P5 {SIDE} {SIDE} 255\n").into_bytes();
            fs::write(class.join(format!("{place}.pgm")), [head, row.pixels(SIDE * SIDE)].concat()).unwrap();
        }
    };
    write(if data.test.is_some() { "train" } else { "" }, &data.train);
    data.test.iter().for_each(|test| write("test", test));
    folder::load(root.path(), &FolderOptions::default(), &|_, _| {}).map(|loaded| loaded.dataset).into()
}

fn be(sizes: &[usize], values: Vec<u8>) -> Vec<u8> {
    let sizes: Vec<u8> =
        [vec![0, 0, 8, sizes.len() as u8], sizes.iter().flat_map(|&size| (size as u32).to_be_bytes()).collect()].concat();
    [sizes, values].concat()
}

fn idx_files(rows: &[Row], side: usize) -> [Vec<u8>; 2] {
    let pixels = rows.iter().flat_map(|row| row.pixels(side * side)).collect();
    [be(&[rows.len(), side, side], pixels), be(&[rows.len()], rows.iter().map(|row| row.label as u8).collect())]
}

/// What bytes with ten classes cannot hold.
fn hole_of_known(data: &Data) -> Option<Read> {
    let has_odd_labels = data.train.iter().any(|row| !(0..10).contains(&row.label));
    match data {
        Data { odd: Some(_), .. } => Some(Read::Hole(BYTES)),
        Data { offset, .. } if *offset != 0.0 => Some(Read::Hole(BYTES)),
        Data { names: Some(_), .. } => Some(Read::Hole(OF_TEN)),
        Data { test: None, .. } => Some(Read::Hole(BOTH)),
        _ if has_odd_labels => Some(Read::Hole(OF_TEN)),
        _ => None,
    }
}

fn known(name: DatasetName, files: &[(&str, Vec<u8>)]) -> Read {
    let root = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(root.path().join(name), bytes).unwrap());
    name.load(&Places { data_dir: Some(root.path().into()), cache: None }).into()
}

fn idx(data: &Data) -> Read {
    if let Some(hole) = hole_of_known(data) {
        return hole;
    }
    let ([train_images, train_labels], [test_images, test_labels]) =
        (idx_files(&data.train, 28), idx_files(data.test.as_deref().unwrap(), 28));
    known(
        DatasetName::Mnist,
        &[
            ("train-images-idx3-ubyte", train_images),
            ("train-labels-idx1-ubyte", train_labels),
            ("t10k-images-idx3-ubyte", test_images),
            ("t10k-labels-idx1-ubyte", test_labels),
        ],
    )
}

fn cifar(data: &Data) -> Read {
    if let Some(hole) = hole_of_known(data) {
        return hole;
    }
    let records =
        |rows: &[Row]| rows.iter().flat_map(|row| [vec![row.label as u8], row.pixels(3072)].concat()).collect::<Vec<u8>>();
    let batches = data.train.chunks(data.train.len().div_ceil(5));
    let mut files: Vec<(String, Vec<u8>)> =
        (1..).zip(batches).map(|(batch, rows)| (format!("data_batch_{batch}.bin"), records(rows))).collect();
    files.push(("test_batch.bin".into(), records(data.test.as_deref().unwrap())));
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    known(DatasetName::Cifar10, &files)
}

/// Numbers of rows, in 64 bits where they are no bytes.
fn numbers(data: &Data, rows: &[Row]) -> Numbers {
    let pixels: Vec<u8> = rows.iter().flat_map(|row| row.pixels(SIDE * SIDE)).collect();
    if data.odd.is_none() && data.offset == 0.0 {
        return Numbers::Bytes(pixels);
    }
    let mut numbers: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel) + data.offset).collect();
    if let Some(odd) = data.odd {
        numbers[0] = odd;
    }
    Numbers::Doubles(numbers)
}

/// As `npz.rs` hands arrays over.
fn npz(data: &Data) -> Read {
    if data.names.is_some() {
        return Read::Hole(NO_NAMES);
    }
    let of = |rows: &[Row]| Labelled {
        images: numbers(data, rows),
        shape: vec![rows.len(), SIDE, SIDE],
        labels: Numbers::Integers(rows.iter().map(|row| row.label).collect()),
    };
    let sets = Sets { train: of(&data.train), test: data.test.as_deref().map(of), found: Found::default() };
    file::dataset(Path::new("it.npz"), sets, &FileOptions::default()).into()
}

fn csv_text(data: &Data) -> String {
    let names = (0..SIDE * SIDE).map(|column| format!(",pixel{column}")).collect::<String>();
    let numbers = numbers(data, &data.train).doubles();
    let line = |(row, numbers): (&Row, &[f64])| {
        format!("{}{}\n", row.label, numbers.iter().map(|number| format!(",{number}")).collect::<String>())
    };
    format!("label{names}\n{}", data.train.iter().zip(numbers.chunks(SIDE * SIDE)).map(line).collect::<String>())
}

fn hole_of_table(data: &Data) -> Option<Read> {
    match data {
        Data { names: Some(_), .. } => Some(Read::Hole(NO_NAMES)),
        Data { test: Some(_), .. } => Some(Read::Hole(NO_TEST)),
        _ => None,
    }
}

fn csv(data: &Data) -> Read {
    hole_of_table(data).unwrap_or_else(|| {
        let sets = table::read(Path::new("it.csv"), csv_text(data).as_bytes(), &FileOptions::default());
        sets.and_then(|sets| file::dataset(Path::new("it.csv"), sets, &FileOptions::default())).into()
    })
}

fn python(data: &Data) -> Read {
    if data.train.iter().any(|row| !(0..10).contains(&row.label)) {
        return Read::Hole(MAPPED);
    }
    if data.test.is_none() && data.odd.is_none() && data.offset == 0.0 {
        return Read::Hole(DIVIDED);
    }
    let of = |rows: &[Row]| match numbers(data, rows) {
        Numbers::Bytes(_) => (gray(rows, SIDE * SIDE), None),
        other => {
            let doubles = other.doubles();
            let offset = Features::offset_of(&doubles, SIDE * SIDE);
            let features = Some(Features::of_doubles(&doubles, SIDE * SIDE, offset.as_deref()));
            (Images { pixels: Vec::new(), features, ..gray(rows, SIDE * SIDE) }, offset)
        }
    };
    let (train, offset) = of(&data.train);
    let test = data.test.as_deref().map_or_else(|| train.clone(), |test| of(test).0);
    let classes = match data.names {
        Some(names) => names.map(str::to_owned).to_vec(),
        None => (0..10).map(|class| class.to_string()).collect(),
    };
    arrays::dataset(train, test, classes, Vec::new(), None, offset).into()
}

fn page_csv(data: &Data) -> Read {
    hole_of_table(data)
        .unwrap_or_else(|| page::read(&[page::File { name: "it.csv".into(), bytes: csv_text(data).into_bytes() }]).into())
}

fn page_idx(data: &Data) -> Read {
    if data.odd.is_some() || data.offset != 0.0 || data.train.iter().any(|row| !(0..256).contains(&row.label)) {
        return Read::Hole(BYTES);
    }
    if data.names.is_some() {
        return Read::Hole(NO_NAMES);
    }
    let rows = [Some(&data.train), data.test.as_ref()].into_iter().flatten();
    let files = rows
        .flat_map(|rows| idx_files(rows, SIDE))
        .map(|bytes| page::File { name: "it-ubyte".into(), bytes })
        .collect::<Vec<_>>();
    page::read(&files).into()
}

fn page_pictures(data: &Data) -> Read {
    if data.odd.is_some() || data.offset != 0.0 {
        return Read::Hole(BYTES);
    }
    if data.train.iter().any(|row| !(0..10).contains(&row.label)) {
        return Read::Hole(NAMES);
    }
    let name =
        |label: i64| data.names.and_then(|names| names.get(label as usize).map(ToString::to_string)).unwrap_or(label.to_string());
    let parts = [
        (if data.test.is_some() { "train" } else { "all" }, &data.train[..]),
        ("test", data.test.as_deref().unwrap_or_default()),
    ];
    let all = || parts.iter().flat_map(|(part, rows)| rows.iter().enumerate().map(move |(place, row)| (part, place, row)));
    let paths: Vec<String> = all().map(|(part, place, row)| format!("own/{part}/{}/{place}.png", name(row.label))).collect();
    let pixels: Vec<u8> = all().flat_map(|(.., row)| row.pixels(SIDE * SIDE)).collect();
    folder::of_pictures("own", &paths, ImageShape::gray(SIDE, SIDE), &pixels).into()
}

/// Two classes, sorted, of 60 and 30 rows.
fn sorted() -> Vec<Row> {
    (0..90).map(|number| row(number, i64::from(number >= 60))).collect()
}

fn given() -> Data {
    Data { train: sorted(), test: Some((100..110).map(|number| row(number, i64::from(number % 2))).collect()), ..Data::default() }
}

fn whole() -> Data {
    Data { train: sorted(), ..Data::default() }
}

fn with(data: Data, change: impl Fn(&mut Data)) -> Data {
    let mut data = data;
    change(&mut data);
    data
}

/// What a check expects.
enum Expected {
    /// An error with this in it.
    Refused(&'static [&'static str]),
    /// Something of the data set.
    Holds(fn(&Dataset) -> bool),
}

type Check = (&'static str, Data, Expected);

fn contents(images: &Images) -> BTreeSet<u64> {
    images.contents().into_iter().collect()
}

fn ones(images: &Images) -> usize {
    images.labels.iter().filter(|&&label| label == 1).count()
}

fn checks() -> Vec<Check> {
    let labels = |data: Data, of: fn(usize) -> i64| {
        with(data, |data| data.train.iter_mut().enumerate().for_each(|(place, row)| row.label = of(place)))
    };
    let one =
        |data: Data| with(data, |data| data.train.iter_mut().chain(data.test.iter_mut().flatten()).for_each(|row| row.label = 0));
    let doubled = with(whole(), |data| data.train = data.train.iter().flat_map(|&row| [row, row]).collect());
    vec![
        ("one class, own test set", one(given()), Expected::Refused(&["one class", "one folder"])),
        ("one class", one(whole()), Expected::Refused(&["one class", "one folder"])),
        (
            "class that only the test set has",
            with(given(), |data| data.test.iter_mut().flatten().for_each(|row| row.label += 5)),
            Expected::Refused(&["none to learn from", "a class that", "none to learn of"]),
        ),
        ("labels -1 and 1", labels(whole(), |place| if place % 2 == 0 { -1 } else { 1 }), Expected::Refused(&["--no-label"])),
        ("label 255 beside 0 and 1", labels(whole(), |place| [0, 1, 255][place % 3]), Expected::Refused(&["--no-label"])),
        ("names alike", with(given(), |data| data.names = Some(["Cat", "cat"])), Expected::Refused(&["differ by case"])),
        (
            "test set of another scale",
            with(given(), |data| data.test.iter_mut().flatten().for_each(|row| row.is_dark = true)),
            Expected::Refused(&["one scale"]),
        ),
        (
            "a number that is missing",
            with(whole(), |data| data.odd = Some(f64::NAN)),
            Expected::Refused(&["NaN", "lacks a value"]),
        ),
        ("a number that is infinite", with(whole(), |data| data.odd = Some(f64::INFINITY)), Expected::Refused(&["inf"])),
        (
            "copies between given sets are counted",
            with(given(), |data| data.test.iter_mut().flatten().for_each(|row| row.number -= 100)),
            Expected::Holds(|data| data.copies() == data.test.count()),
        ),
        ("copies stay on one side", doubled, Expected::Holds(|data| data.copies() == 0 && data.test.count() > 10)),
        (
            "moved rows keep their side",
            with(whole(), |data| data.train.reverse()),
            Expected::Holds(|data| {
                let at_first = contents(&data.test);
                data.test.count() > 10 && at_first == side_of_whole(data)
            }),
        ),
        (
            "classes with their counts are said",
            given(),
            Expected::Holds(|data| {
                data.said().iter().any(|line| line.starts_with("classes  ") && line.contains(" 60, ") && line.contains(" 30"))
            }),
        ),
        ("hold-out is of each class, own test set", given(), Expected::Holds(holds_out)),
        ("hold-out is of each class", whole(), Expected::Holds(holds_out)),
        ("a limit is of each class, own test set", given(), Expected::Holds(limits)),
        ("a limit is of each class", whole(), Expected::Holds(limits)),
        (
            "digits far from zero stay",
            with(whole(), |data| data.offset = 1.7e9),
            Expected::Holds(|data| {
                let features = data.train.features.as_ref().unwrap();
                features.statistics().deviation.iter().all(|&deviation| deviation > 30.0 && deviation < 120.0)
                    && data.input.as_ref().unwrap().offset.is_some()
                    && contents(&data.train).len() == data.train.count()
            }),
        ),
        (
            "nothing that is said commands a terminal",
            with(given(), |data| data.names = Some(["a\u{1b}[2J", "b"])),
            Expected::Holds(|data| {
                let said = data.said().join("");
                said.contains('\u{1b}') && !text::shown(&said).contains('\u{1b}')
            }),
        ),
    ]
}

/// Of a sorted set each class has its share, or it is refused: a known set is drawn in its order.
fn holds_out(data: &Dataset) -> bool {
    let mut data = data.clone();
    match data.hold_out(30) {
        Ok(()) => (9..=11).contains(&ones(&data.test)) && data.test.count() == 30,
        Err(error) => error.to_string().contains("is sorted"),
    }
}

fn limits(data: &Dataset) -> bool {
    let mut same = data.clone();
    match (data.limited(30), same.limit(30)) {
        (Ok(limited), Ok(())) => (9..=11).contains(&ones(&limited.train)) && limited.train == same.train,
        (Err(error), Err(_)) => error.to_string().contains("is sorted"),
        _ => false,
    }
}

/// The test set of the same rows in their first order, by the same reader: a fraction of the same size.
fn side_of_whole(data: &Dataset) -> BTreeSet<u64> {
    READERS
        .iter()
        .filter_map(|(_, reader)| match reader(&whole()) {
            Read::Data(other) if other.train.shape == data.train.shape && other.test.count() == data.test.count() => {
                Some(contents(&other.test))
            }
            _ => None,
        })
        .find(|test| *test == contents(&data.test))
        .unwrap_or_default()
}

#[test]
fn every_check_meets_every_reader() {
    let (mut wrong, mut met) = (Vec::new(), [0; READERS.len()]);
    println!("{:<42}{}", "", READERS.iter().map(|(name, _)| format!("{name:<15}")).collect::<String>());
    let mut reasons: Vec<&str> = Vec::new();
    for (check, data, expected) in checks() {
        let mut cells = String::new();
        for (place, (name, reader)) in READERS.iter().enumerate() {
            let cell = match (reader(&data), &expected) {
                (Read::Hole(reason), _) => {
                    let known = reasons.iter().position(|known| *known == reason);
                    format!(
                        "({})",
                        1 + known.unwrap_or_else(|| {
                            reasons.push(reason);
                            reasons.len() - 1
                        })
                    )
                }
                (Read::Refused(message), Expected::Refused(parts)) if parts.iter().any(|part| message.contains(part)) => {
                    "refused".into()
                }
                (Read::Data(data), Expected::Holds(holds)) if holds(&data) => "holds".into(),
                (read, _) => {
                    wrong.push(format!(
                        "{check}, {name}: {}",
                        match read {
                            Read::Refused(message) => message,
                            _ => "taken, and does not hold".into(),
                        }
                    ));
                    "WRONG".into()
                }
            };
            met[place] += usize::from(!cell.starts_with('('));
            cells.push_str(&format!("{cell:<15}"));
        }
        println!("{check:<42}{cells}");
    }
    println!(
        "holes: {}",
        reasons.iter().enumerate().map(|(place, reason)| format!("({}) {reason}", place + 1)).collect::<Vec<_>>().join("; ")
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(met.iter().all(|&met| met >= 4), "a reader that meets nearly nothing: {met:?}");
}
