//! Every error of the reader, and that nothing a file can hold makes it panic or allocate what is not there.

use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;
use crate::dataset::{Dataset, DatasetName, Places};
use crate::random::{Generator, Stream};

const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Those that have MNIST's files and classes.
const TEN_CLASSES: [&str; 3] = ["mnist", "fashion-mnist", "kmnist"];

fn load(name: &str, directory: &Path) -> Result<Dataset> {
    let name: DatasetName = serde_json::from_value(name.into()).unwrap();
    name.load(&Places { data_dir: Some(directory.to_owned()), cache: None })
}

fn idx(sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, UNSIGNED_BYTE, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(body);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three training images of 2×4 and two test images, in the order of [`FILES`].
fn valid() -> [Vec<u8>; 4] {
    let pixels: Vec<u8> = (0..24).collect();
    [idx(&[3, 2, 4], &pixels), idx(&[3], &[5, 0, 9]), idx(&[2, 2, 4], &pixels[8..]), idx(&[2], &[9, 5])]
}

fn folder(files: &[Vec<u8>; 4]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in FILES.iter().zip(files) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// The message of loading valid files of which number `index` was replaced.
fn load_error(name: &str, index: usize, bytes: Vec<u8>) -> String {
    let mut files = valid();
    files[index] = bytes;
    message(load(name, folder(&files).path()))
}

/// The message of reading images from a file of these bytes, raw or compressed.
fn images_error(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images");
    fs::write(&path, bytes).unwrap();
    message(read_images(&path))
}

fn message<T>(result: Result<T>) -> String {
    let text = result.err().expect("an error").to_string();
    assert!(!text.contains('\n') && text.contains("; "), "one line with a remedy: {text}");
    text
}

#[track_caller]
fn assert_has(text: &str, phrases: &[&str]) {
    for phrase in phrases {
        assert!(text.contains(phrase), "{phrase:?} is not in {text:?}");
    }
}

#[test]
fn round_trip_raw_compressed_and_mixed() {
    let files = valid();
    let check = |dataset: Dataset| {
        assert_eq!((dataset.name.as_str(), dataset.classes()), ("mnist", 10));
        assert_eq!((dataset.train.shape, dataset.train.count()), (ImageShape::gray(2, 4), 3));
        assert_eq!(dataset.train.pixels, (0..24).collect::<Vec<u8>>());
        assert_eq!((dataset.train.labels, dataset.test.labels), (vec![5, 0, 9], vec![9, 5]));
        assert_eq!(dataset.test.pixels, (8..24).collect::<Vec<u8>>());
    };
    check(load("mnist", folder(&files).path()).unwrap());

    // In the subfolder; compressed, with the other spelling, and one compressed file without the suffix.
    let parent = tempfile::tempdir().unwrap();
    let inner = parent.path().join("mnist");
    fs::create_dir(&inner).unwrap();
    for (name, bytes) in
        ["train-images.idx3-ubyte.gz", FILES[1], "t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte.gz"].iter().zip(&files)
    {
        let bytes = if name.contains("t10k-images") { bytes.clone() } else { gzip(bytes) };
        fs::write(inner.join(name), bytes).unwrap();
    }
    check(load("mnist", parent.path()).unwrap());
    check(load("mnist", &inner).unwrap());

    // A folder of a file's name is passed over. The raw file wins over the compressed one; several gzip members are one stream.
    fs::create_dir(inner.join("t10k-images-idx3-ubyte")).unwrap();
    fs::write(inner.join("train-images-idx3-ubyte"), &files[0]).unwrap();
    fs::write(inner.join("train-images.idx3-ubyte.gz"), b"damaged").unwrap();
    fs::write(inner.join("t10k-labels-idx1-ubyte.gz"), [gzip(&files[3][..5]), gzip(&files[3][5..])].concat()).unwrap();
    check(load("mnist", &inner).unwrap());
    assert_eq!(read_labels(&inner.join(FILES[1])).unwrap(), [5, 0, 9]);
}

#[test]
fn missing_folder_and_files() {
    let parent = tempfile::tempdir().unwrap();
    let absent = parent.path().join("nowhere");
    let all = FILES.join(", ");
    assert_has(
        &message(load("mnist", &absent)),
        &["cannot open the data folder", "nowhere", &all, "subfolder mnist", "--dataset digits"],
    );
    fs::write(&absent, "").unwrap();
    assert_has(&message(load("mnist", &absent)), &["nowhere: not a directory"]);
    let [outer, inner] = [parent.path().display().to_string(), parent.path().join("kmnist").display().to_string()];
    let (first, then) = (format!("looked for {all} (each raw or .gz) in {inner}, "), format!(", {outer}, "));
    assert_has(
        &message(load("kmnist", parent.path())),
        &["data set kmnist: no file found", &first, &then, "--dataset digits, which needs no files"],
    );

    fs::create_dir(parent.path().join("kmnist")).unwrap();
    fs::write(parent.path().join("kmnist/t10k-labels.idx1-ubyte.gz"), "").unwrap();
    fs::write(parent.path().join("kmnist/train-images-idx3-ubyte"), "").unwrap();
    let lack = format!("{inner} lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte;");
    assert_has(&message(load("kmnist", parent.path())), &[&lack, &first]);
    assert_has(&message(read_images(&parent.path().join("none"))), &["cannot read", "none", "check the file"]);
    assert_has(&message(read_images(parent.path())), &["is not a regular file"]);
}

#[test]
fn wrong_headers() {
    let [images, labels, ..] = valid();
    assert_has(&images_error(b"<html>"), &["is not an IDX file: it begins with 3c 68 74 6d", "00 00 08 03", "download"]);
    assert_has(&images_error(&gzip(&gzip(&images))), &["it begins with 1f 8b"]);
    assert_has(&images_error(b""), &["is truncated: it holds 0 bytes, less than the IDX header's 16"]);
    assert_has(&images_error(&images[..15]), &["is truncated: it holds 15 bytes"]);
    assert_has(&images_error(&gzip(&images[..15])), &["is truncated: it holds 15 bytes"]);
    assert_has(&images_error(&[&[0, 0, 0x0d, 3], &images[4..]].concat()), &["type 0x0d, not unsigned bytes (type 0x08)"]);
    assert_has(&images_error(&idx(&[1, 1], &[0])), &["has 2 IDX dimension(s), where images have 3", "same data set"]);
    let swapped = load_error("mnist", 0, labels);
    assert_has(
        &swapped,
        &["train-images-idx3-ubyte has 1 IDX dimension(s), where images have 3; images and labels seem swapped"],
    );
    let swapped = load_error("mnist", 3, images);
    assert_has(&swapped, &["t10k-labels-idx1-ubyte has 3 IDX dimension(s), where labels have 1; images and labels seem swapped"]);
    assert_has(&images_error(&idx(&[0, 2, 4], &[])), &["is empty: its header announces 0 images of 2×4"]);
    assert_has(&load_error("mnist", 1, idx(&[0], &[])), &["train-labels-idx1-ubyte is empty: its header announces 0 labels"]);
    assert_has(&images_error(&idx(&[7, 0, 4], &[])), &["images without pixels: its header announces 7 images of 0×4"]);
}

#[test]
fn wrong_lengths_and_damaged_compression() {
    let [images, ..] = valid();
    assert_has(&images_error(&images[..39]), &["is truncated: its header announces 40 bytes, the file holds 39"]);
    assert_has(&images_error(&gzip(&images[..39])), &["is truncated: its header announces 40 bytes, the file holds 39"]);
    assert_has(
        &images_error(&[&images[..], &[0; 3]].concat()),
        &["has trailing bytes: its header announces 40 bytes, the file holds 43"],
    );
    let bomb = gzip(&[&images[..], &[0; 1 << 22]].concat());
    assert_has(&images_error(&bomb), &["has trailing bytes: its header announces 40 bytes, the file holds at least 41"]);

    let compressed = gzip(&images);
    assert_has(&images_error(&compressed[..5]), &["gzip stream breaks off after 0 of the 16 bytes of the header"]);
    let end = compressed.len();
    assert_has(&images_error(&compressed[..end - 4]), &["breaks off after 24 of the 24 bytes that its header announces"]);
    let mut checksum = compressed.clone();
    checksum[end - 8] ^= 1;
    assert_has(&images_error(&checksum), &["corrupt gzip stream", "checksum", "after 24 of the 24 bytes"]);
    let mut stream = compressed.clone();
    stream[10..14].fill(0xff);
    assert_has(&images_error(&stream), &["corrupt gzip stream"]);
    assert_has(
        &images_error(&[&compressed[..], b"garbage after the end"].concat()),
        &["has something else behind its gzip stream, which begins with 67 61 72 62"],
    );
}

/// None of these files holds what its header claims, so that each would fail if the claim were allocated.
#[test]
fn huge_claims_are_refused_by_the_header() {
    for sizes in [[1 << 31, 28, 28], [u32::MAX; 3], [1 << 31, 1, 1], [1, 1 << 15, (1 << 15) + 1]] {
        for bytes in [idx(&sizes, &[0; 9]), gzip(&idx(&sizes, &[0; 9]))] {
            assert_has(&images_error(&bytes), &["is too large: its header announces", "above the maximum of 1073741824 bytes"]);
        }
    }
    assert_has(
        &load_error("mnist", 1, gzip(&idx(&[u32::MAX], &[]))),
        &["is too large: its header announces 4294967295 labels, above"],
    );
    // The largest claim that passes is still compared with what is there.
    let largest = idx(&[1, 1 << 15, 1 << 15], &[0; 9]);
    assert_has(&images_error(&largest), &["announces 1073741840 bytes, the file holds 25"]);
    assert_has(&images_error(&gzip(&largest)), &["announces 1073741840 bytes, the file holds 25"]);
}

#[test]
fn files_that_contradict_each_other() {
    let count = load_error("mnist", 1, idx(&[4], &[0; 4]));
    assert_has(&count, &["train-images-idx3-ubyte holds 3 images, but", "train-labels-idx1-ubyte holds 4 labels;"]);
    let shape = load_error("mnist", 2, idx(&[2, 4, 2], &[0; 16]));
    assert_has(&shape, &["holds images of 2×4, but", "t10k-images-idx3-ubyte holds images of 4×2;"]);
    for name in TEN_CLASSES {
        let label = load_error(name, 1, idx(&[3], &[0, 13, 14]));
        assert_has(&label, &["train-labels-idx1-ubyte", "label 13 at index 1 is out of range 0..=9;"]);
        assert_has(&load_error(name, 3, idx(&[2], &[0, 10])), &["t10k-labels", "label 10 at index 1 is out of range 0..=9;"]);
    }
}

/// EMNIST's images stand column by column.
#[test]
fn emnist_is_turned_upright() {
    let folder = tempfile::tempdir().unwrap();
    let files = DatasetName::EmnistBalanced.known().files.as_ref().unwrap();
    let (images, labels) = (idx(&[2, 2, 3], &[0, 10, 20, 1, 11, 21, 0, 0, 0, 5, 6, 7]), idx(&[2], &[46, 0]));
    for (name, bytes) in files.names.iter().zip([&images, &labels, &images, &labels]) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let data = load("emnist-balanced", folder.path()).unwrap();
    assert_eq!((data.classes(), data.train.shape), (47, ImageShape::gray(3, 2)));
    assert_eq!(data.train.pixels, [0, 1, 10, 11, 20, 21, 0, 5, 0, 6, 0, 7]);
    assert_eq!((data.class_names[36].as_str(), data.class_names[46].as_str()), ("a", "t"));
    fs::write(folder.path().join(files.names[1]), idx(&[2], &[47, 0])).unwrap();
    assert_has(&message(load("emnist-balanced", folder.path())), &["label 47 at index 0 is out of range 0..=46"]);
}

#[test]
fn truncations_and_random_damage_never_panic() {
    let pixels: Vec<u8> = (0..90).map(|index| (index * 37 % 256) as u8).collect();
    // In memory: thousands of files would be slow.
    let read = |bytes: &[u8], kind| {
        let source = Source::new(Path::new("memory"), Cursor::new(bytes.to_vec()), bytes.len() as u64, kind)?;
        Ok::<_, Error>((source.sizes, source.read()?))
    };
    let mut random = Generator::new(1, Stream::Check, 0);
    let (mut accepted, mut refused) = (0, 0);
    for valid in [idx(&[10, 3, 3], &pixels), gzip(&idx(&[10, 3, 3], &pixels))] {
        for length in 0..valid.len() {
            let cut = &valid[..length];
            assert!(read(cut, Kind::Images).is_err() && read(cut, Kind::Labels).is_err(), "cut to {length} bytes");
        }
        for _ in 0..10_000 {
            let mut bytes = valid.clone();
            for _ in 0..=random.below(3) {
                // Half of the damage goes to the header, where it matters most.
                let range = if random.below(2) == 0 { 20 } else { bytes.len() as u32 };
                bytes[random.below(range) as usize] ^= 1 << random.below(8);
            }
            let _ = read(&bytes, Kind::Labels);
            match read(&bytes, Kind::Images) {
                Ok((sizes, body)) => {
                    assert_eq!(sizes.iter().product::<usize>(), body.len());
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused: the damage should do both");
}

/// Pinned facts of the real files; runs where `FFCL_DATA_DIR` names a folder that holds them.
#[test]
fn real_mnist() {
    let Some(directory) = std::env::var_os("FFCL_DATA_DIR") else { return };
    let directory = Path::new(&directory);
    let mnist = load("mnist", directory).unwrap();
    assert_eq!(mnist.train.count(), 60_000);
    assert_eq!(mnist.test.count(), 10_000);
    assert_eq!((mnist.train.shape, mnist.classes()), (ImageShape::gray(28, 28), 10));
    assert_eq!((mnist.train.labels[0], mnist.test.labels[0]), (5, 7));
    let sum = |images: &Images| images.pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
    assert_eq!((sum(&mnist.train), sum(&mnist.test)), (1_567_298_545, 264_923_200));
    assert_eq!(load("mnist", &directory.join("mnist")).unwrap().train, mnist.train);
}

/// The first number of each row is the class.
#[test]
fn extended_labels_are_labels() {
    let file = |columns: u32, numbers: &[u32]| -> Vec<u8> {
        let head = [0, 0, 12, 2].into_iter().chain((numbers.len() as u32 / columns.max(1)).to_be_bytes());
        head.chain(columns.to_be_bytes()).chain(numbers.iter().flat_map(|number| number.to_be_bytes())).collect()
    };
    let name = Path::new("qmnist-train-labels-idx2-int");
    let good = file(3, &[7, 1, 900, 0, 2, 3]);
    assert_eq!(parse_labels(name, &good).unwrap(), [7, 0]);
    let refused = |bytes: &[u8]| parse_labels(name, bytes).unwrap_err().to_string();
    assert!(refused(&file(3, &[256, 0, 0])).contains("label above 255"));
    assert!(refused(&good[..good.len() - 1]).contains("is truncated"));
    assert!(refused(&good[..10]).contains("is truncated"));
    assert!(refused(&[&good[..], &[0]].concat()).contains("trailing bytes"));
    assert!(refused(&file(0, &[])).contains("is empty"));
    assert!(parse_images(name, &good).is_err());
}
