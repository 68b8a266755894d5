//! Data sets that are dropped on the page: the kind of each file is known by its content.

use ffcl_gpu::dataset::file::{self, FileOptions};
use ffcl_gpu::dataset::folder::TEST_FRACTION;
use ffcl_gpu::dataset::framed::shows_digits;
use ffcl_gpu::dataset::labels::classes;
use ffcl_gpu::dataset::numbers::Numbers;
use ffcl_gpu::dataset::{Dataset, ImageShape, Images, Input, idx, npz, table};
use ffcl_gpu::{Error, Result};
use std::path::Path;

/// A file.
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The data set of one archive or table, or of two or four IDX files in any order.
pub fn read(files: &[File]) -> Result<Dataset> {
    match files {
        [one] if file::is_named_so(Path::new(&one.name)) => {
            let name = Path::new(&one.name);
            let options = FileOptions::held_back(TEST_FRACTION);
            let sets = if one.bytes.starts_with(b"PK") {
                npz::parse(name, &one.bytes)?
            } else {
                table::read(name, &one.bytes[..], &options)?
            };
            file::dataset(name, sets, &options)
        }
        [_, _] | [_, _, _, _] => idx_files(files),
        _ => Err(Error::Dataset(format!(
            "{} files are no data set; drop the four IDX files of MNIST (or of a relative) together, or one .npz or .csv file",
            files.len()
        ))),
    }
}

/// Images and labels find each other by their number; the more are trained on.
fn idx_files(files: &[File]) -> Result<Dataset> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for File { name, bytes } in files {
        let path = Path::new(name);
        match (idx::parse_images(path, bytes), idx::parse_labels(path, bytes)) {
            (Ok((height, width, pixels)), _) => images.push((name, ImageShape::gray(height, width), pixels)),
            (_, Ok(found)) => labels.push(found),
            // What is wrong with labels says less to who wanted to drop something else.
            (Err(error), _) => return Err(error),
        }
    }
    let mut pairs: Vec<Images> = Vec::new();
    for (name, shape, pixels) in images {
        let count = pixels.len() / shape.pixels().max(1);
        let position = labels.iter().position(|labels| labels.len() == count).ok_or_else(|| {
            Error::Dataset(format!("{name} holds {count} images, and no file as many labels; drop the files of one data set"))
        })?;
        pairs.push(Images { pixels, labels: labels.swap_remove(position), shape, features: None });
    }
    pairs.sort_by_key(Images::count);
    let no_images = || Error::Dataset("these files hold labels and no images; drop both".into());
    let train = pairs.pop().ok_or_else(no_images)?;
    let test = pairs.pop();
    let numbers = |images: &Images| Numbers::Bytes(images.labels.clone());
    let name = Path::new("these files");
    let found = classes(name, (&numbers(&train), test.as_ref().map(numbers).as_ref()), None, None)?;
    let train = Images { labels: found.train, ..train };
    let (test, alone) = match test.zip(found.test) {
        Some((test, labels)) => (Images { labels, ..test }, false),
        None => (train.clone(), true),
    };
    let digits = Some(shows_digits(&train));
    let input = Some(Input { digits, ..Input::default() });
    let mut dataset = Dataset { input, unlabelled: found.unlabelled, ..Dataset::of("mnist", train, test, found.names) };
    if alone {
        dataset.hold_out((dataset.train.count() as f64 * TEST_FRACTION) as usize)?;
    }
    dataset.check()?;
    Ok(dataset)
}
