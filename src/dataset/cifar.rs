//! The binary format of CIFAR-10: records of a label and 32×32 pixels of red, then of green, then of blue.

use super::{ImageShape, Images};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
const CLASSES: u8 = 10;
/// The most that one file may hold: 1 GiB, above thirty times what the real ones do.
const MAXIMUM_BYTES: u64 = 1 << 30;
const AGAIN: &str = "run `ffcl-gpu data fetch cifar10`, or use --dataset digits, which needs no files";

/// Reads the batches of the training set and the test set.
pub fn load(train: &[PathBuf], test: &Path) -> Result<(Images, Images)> {
    let mut all = none();
    for path in train {
        read(path, &mut all)?;
    }
    let mut tested = none();
    read(test, &mut tested)?;
    Ok((all, tested))
}

/// Takes apart the bytes of one file; `name` is for messages.
pub fn parse(name: &Path, bytes: &[u8]) -> Result<Images> {
    let mut images = none();
    append(name, bytes, &mut images)?;
    Ok(images)
}

fn none() -> Images {
    Images { pixels: Vec::new(), labels: Vec::new(), shape: SHAPE, features: None }
}

fn refusal(path: &Path, problem: String) -> Error {
    Error::Format { path: path.to_owned(), problem, remedy: AGAIN.into() }
}

/// Appends the records of a file.
fn read(path: &Path, images: &mut Images) -> Result<()> {
    let unreadable = |source| Error::file("read", path, source, "check the file and its permissions");
    // Asked before the file is opened, since opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(refusal(path, "is not a regular file".into()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    append(path, &bytes, images)
}

fn append(path: &Path, bytes: &[u8], images: &mut Images) -> Result<()> {
    let refuse = |problem| Err(refusal(path, problem));
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) || bytes.len() as u64 > MAXIMUM_BYTES {
        return refuse(format!("holds {} bytes, which is no whole number of CIFAR-10 records of {RECORD} bytes", bytes.len()));
    }
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let label = record[0];
        if label >= CLASSES {
            return refuse(format!("holds an unknown label: label {label} at index {index} is out of range 0..=9"));
        }
        images.labels.push(label);
        images.pixels.extend(&record[1..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{DatasetName, Places};

    fn record(label: u8, first: u8) -> Vec<u8> {
        std::iter::once(label).chain((0..PIXELS).map(|pixel| first.wrapping_add((pixel / 1024) as u8))).collect()
    }

    fn write(folder: &Path, test: &[u8]) {
        std::fs::create_dir_all(folder).unwrap();
        for batch in 1..=5 {
            std::fs::write(folder.join(format!("data_batch_{batch}.bin")), [record(batch, 10), record(9, 20)].concat()).unwrap();
        }
        std::fs::write(folder.join("test_batch.bin"), test).unwrap();
    }

    fn places(folder: &Path) -> Places {
        Places { data_dir: Some(folder.into()), cache: None }
    }

    #[test]
    fn batches_are_read_in_order_from_each_folder() {
        for inner in ["", "cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"] {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join(inner), &record(3, 30));
            let data = DatasetName::Cifar10.load(&places(folder.path())).unwrap();
            assert_eq!((data.train.count(), data.test.count(), data.train.shape, data.classes()), (10, 1, SHAPE, 10));
            assert_eq!(data.train.labels, [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
            assert_eq!((data.test.labels, data.class_names[3].as_str()), (vec![3], "cat"));
            assert_eq!([0, 1024, 2048].map(|pixel| data.train.image(1)[pixel]), [20, 21, 22]);
        }
    }

    #[test]
    fn damage_is_an_error_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&[u8], &str); 4] = [
            (&[], "holds 0 bytes"),
            (&record(1, 0)[..3000], "holds 3000 bytes"),
            (&[record(1, 0), vec![0]].concat(), "holds 3074 bytes"),
            (&[record(1, 0), record(10, 0)].concat(), "label 10 at index 1"),
        ];
        for (test, part) in cases {
            write(folder.path(), test);
            let message = DatasetName::Cifar10.load(&places(folder.path())).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("test_batch.bin") && !message.contains('\n'), "{message}");
        }
        std::fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
        let python = tempfile::tempdir().unwrap();
        std::fs::create_dir(python.path().join("cifar-10-batches-py")).unwrap();
        let message = DatasetName::Cifar10.load(&places(python.path())).unwrap_err().to_string();
        assert!(message.contains("as pickles of Python") && message.contains("data fetch cifar10"), "{message}");
        let message = DatasetName::Cifar10.load(&places(folder.path())).unwrap_err().to_string();
        assert!(message.contains("lacks data_batch_4.bin") && message.contains("data fetch cifar10"), "{message}");
    }
}
