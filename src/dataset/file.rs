//! Data sets that are one file: archives of NumPy arrays (`npz.rs`) and tables (`table.rs`). Their classes are numbers without names.

use super::numbers::{Kind, Labelled, Sets, check_scales, fail, image_shape, images, kind, without_label};
use super::{AUDIT_TEST, Dataset, ImageShape, Images, Origin, npz, numbered, table};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// Whether a name is that of such a file.
pub fn is_named_so(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["npz", "csv", "tsv"].iter().any(|own| ending.eq_ignore_ascii_case(own))
}

/// How much of a file without a test set is held back for testing, always the same images of each class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// What was asked for. A file that has a test set refuses it.
    pub asked: Option<f64>,
    /// What is taken where nothing was asked for.
    pub default: f64,
}

/// How a file is read.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOptions {
    /// How much of it is for testing.
    pub share: Share,
    /// Numbers are features, even where they could be pixels.
    pub features: bool,
    /// The name of a table's column of labels; `None` takes one of the usual names.
    pub label_column: Option<String>,
}

/// Reads a file.
pub fn load(path: &Path, options: &FileOptions) -> Result<Dataset> {
    let sets = open(path, |path, file| table::read(path, file, options.label_column.as_deref()), npz::read)?;
    dataset(path, sets, options.share, options.features)
}

/// Reads rows to ask a model about, whose labels are not known: of a table all columns but the labels, if it has some, and of an archive
/// the test set or all that there is. `features`: the model reads features.
pub fn load_rows(path: &Path, shape: ImageShape, features: bool, label_column: Option<&str>) -> Result<Images> {
    let unlabelled = |labelled: Labelled| Ok(Sets { train: labelled, test: None });
    let sets = open(
        path,
        |path, file| unlabelled(table::read_rows(path, file, label_column)?),
        |path, file| unlabelled(npz::read_rows(path, file)?),
    )?;
    let own = image_shape(path, &sets.train.shape)?;
    let kind = if features { Kind::Features } else { kind(std::iter::once(&sets.train)) };
    let (images, _) = images(path, sets.train, own, kind)?;
    if own.pixels() == shape.pixels() {
        Ok(Images { shape, ..images })
    } else {
        let problem = format!("has rows of {} numbers, and the model reads {}", own.pixels(), shape.pixels());
        Err(fail(path, problem, "give the columns that the model learnt from"))
    }
}

fn open(
    path: &Path,
    table: impl FnOnce(&Path, BufReader<File>) -> Result<Sets>,
    archive: impl FnOnce(&Path, BufReader<File>) -> Result<Sets>,
) -> Result<Sets> {
    let unreadable = |error| Error::file("read", path, error, "give an .npz or .csv file that can be read");
    // Asked before the file is opened, since opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(fail(path, "is not a regular file".into(), "give an .npz or .csv file"));
    }
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut begin = Vec::new();
    file.by_ref().take(2).read_to_end(&mut begin).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if begin == b"PK" { archive(path, file) } else { table(path, file) }
}

/// Reads all rows of a file as training rows, in their order, those that would be held back for testing, too: to look at their labels. Where
/// the file has no test set, its first rows stand for one.
pub fn load_to_audit(path: &Path, options: &FileOptions) -> Result<Dataset> {
    let mut sets = open(path, |path, file| table::read(path, file, options.label_column.as_deref()), npz::read)?;
    let has_test_set = sets.test.is_some();
    if !without_label(&sets.train.labels).is_empty() {
        return Err(fail(path, "holds images without a label, and an audit looks at labels".into(), "leave them out"));
    }
    sets.test.get_or_insert_with(|| sets.train.clone());
    let mut dataset = dataset(path, sets, Share { asked: None, ..options.share }, options.features)?;
    if !has_test_set {
        dataset.test = dataset.train.head(AUDIT_TEST);
    }
    Ok(dataset)
}

/// The data set of what a file holds; its name is the file's, without its ending. `features`: no number is taken for a pixel.
pub fn dataset(path: &Path, sets: Sets, share: Share, features: bool) -> Result<Dataset> {
    let name = path.file_stem().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let shape = image_shape(path, &sets.train.shape)?;
    let all = || [Some(&sets.train), sets.test.as_ref()].into_iter().flatten();
    let kind = if features { Kind::Features } else { kind(all()) };
    if let Some(test) = &sets.test {
        check_scales(path, &sets.train, test)?;
    }
    let images = |labelled: Labelled| images(path, labelled, shape, kind);
    let has_test_set = sets.test.is_some();
    let (train, unlabelled, test, fraction) = match sets.test {
        Some(_) if share.asked.is_some() => {
            let problem = format!("--test-fraction is for data without a test set, and {} has one; leave it out", path.display());
            return Err(Error::Configuration(problem));
        }
        Some(test) => {
            let ((train, unlabelled), (test, missing)) = (images(sets.train)?, images(test)?);
            if let Some(first) = missing.first() {
                let problem = format!("holds no label for image {first} to test on");
                return Err(fail(path, problem, "give a label to each image to test on, or leave it out"));
            }
            (train, unlabelled, test, None)
        }
        None => {
            let fraction = share.asked.unwrap_or(share.default);
            if !(fraction > 0.0 && fraction < 1.0) {
                let problem = format!("--test-fraction {fraction} is out of range; give a number between 0 and 1, such as 0.2");
                return Err(Error::Configuration(problem));
            }
            let (all, unlabelled) = images(sets.train)?;
            let (of_train, of_test) = held_back(&all, &unlabelled, fraction);
            let places = (0..).zip(&of_train).filter(|&(_, &index)| unlabelled.binary_search(&(index as u32)).is_ok());
            (all.select(&of_train), places.map(|(place, _)| place).collect(), all.select(&of_test), Some(fraction))
        }
    };
    if unlabelled.len() == train.count() && !unlabelled.is_empty() {
        return Err(fail(path, "holds no label to learn from".into(), "give a label to some of the images"));
    }
    if train.count() == 0 || test.count() == 0 {
        let what = if has_test_set { "holds a set without images" } else { "holds too few images to hold some back" };
        return Err(fail(path, what.into(), "add images"));
    }
    let classes = train.labels.iter().chain(&test.labels).max().map_or(0, |&last| usize::from(last) + 1);
    let origin = Origin::File { test_fraction: fraction };
    Ok(Dataset { origin, unlabelled, ..Dataset::of(name, train, test, numbered(classes)) })
}

/// The numbers of images to learn from, and of that share of each class to test on: by a hash of their places, so that they are always the
/// same. Those without labels are to learn from.
fn held_back(all: &Images, unlabelled: &[u32], fraction: f64) -> (Vec<usize>, Vec<usize>) {
    let rank = |index: usize| -> [u8; 32] { Sha256::digest((index as u64).to_le_bytes()).into() };
    let mut is_test = vec![false; all.count()];
    for class in 0..=u8::MAX {
        let is_own = |index: usize| all.labels[index] == class && unlabelled.binary_search(&(index as u32)).is_err();
        let mut own: Vec<usize> = (0..all.count()).filter(|&index| is_own(index)).collect();
        if own.is_empty() {
            continue;
        }
        own.sort_by_cached_key(|&index| rank(index));
        // A class of one image has it for learning.
        let most = own.len() - 1;
        let count = ((fraction * own.len() as f64).round() as usize).clamp(most.min(1), most);
        own[..count].iter().for_each(|&index| is_test[index] = true);
    }
    let part = |test: bool| (0..all.count()).filter(|&index| is_test[index] == test).collect();
    (part(false), part(true))
}

#[cfg(test)]
mod tests {
    use super::super::Features;
    use super::super::numbers::Numbers;
    use super::*;

    fn labelled(images: Numbers, shape: &[usize], labels: Numbers) -> Labelled {
        Labelled { images, shape: shape.to_vec(), labels }
    }

    fn of(train: Labelled, test: Option<Labelled>) -> Result<Dataset> {
        dataset(Path::new("dir/some.npz"), Sets { train, test }, Share { asked: None, default: 0.2 }, false)
    }

    #[test]
    fn images_of_label_minus_one_are_learnt_from_without() {
        let pixels = |count: u8| Numbers::Bytes((0..count).collect());
        let whole = |labels: Numbers| of(labelled(pixels(12), &[12, 1], labels), None);
        let numbers = [0, -1, 1, 0, 1, -1, -1, 0, 1, 0, 1, -1];
        for labels in [Numbers::Integers(numbers.to_vec()), Numbers::Floats(numbers.map(|label| label as f32).to_vec())] {
            let data = whole(labels).unwrap();
            // A fifth of four images of each class is held back.
            assert_eq!((data.train.count(), data.test.count(), data.classes()), (10, 2, 2));
            let without: Vec<u8> = data.unlabelled.iter().map(|&image| data.train.image(image as usize)[0]).collect();
            assert_eq!(without, [1, 5, 6, 11]);
        }
        let both = |test: i64| {
            let test = labelled(pixels(1), &[1, 1], Numbers::Integers(vec![test]));
            of(labelled(pixels(3), &[3, 1], Numbers::Integers(vec![1, -1, 0])), Some(test))
        };
        assert_eq!(both(1).unwrap().unlabelled, [1]);
        let refused = [
            (both(-1), "no label for image 0 to test on"),
            (whole(Numbers::Integers(vec![-1; 12])), "no label to learn from"),
            (whole(Numbers::Integers(vec![-2; 12])), "no whole number from 0 to 255"),
        ];
        for (result, part) in refused {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn fractions_and_bytes_are_the_same_images() {
        let bytes = labelled(Numbers::Bytes(vec![0, 255, 51, 102]), &[2, 1, 2], Numbers::Bytes(vec![0, 1]));
        let fractions = labelled(Numbers::Floats(vec![0.0, 1.0, 0.2, 0.4]), &[2, 2], Numbers::Floats(vec![0.0, 1.0]));
        let whole = labelled(Numbers::Floats(vec![0.0, 255.0, 51.0, 102.0]), &[2, 2], Numbers::Integers(vec![0, 1]));
        let expected = of(bytes.clone(), Some(bytes)).unwrap();
        assert_eq!((expected.name.as_str(), expected.classes(), expected.train.shape), ("some", 2, ImageShape::gray(1, 2)));
        assert!(!expected.origin.has_class_names());
        for other in [fractions.clone(), whole.clone()] {
            let found = of(other.clone(), Some(other)).unwrap();
            assert_eq!((&found.train.pixels, &found.test.labels), (&expected.train.pixels, &expected.test.labels));
        }
        let message = of(whole.clone(), Some(fractions)).unwrap_err().to_string();
        assert!(message.contains("up to 255 to learn from, and up to 1 to test on"), "{message}");
        // One scale for both: fractions beside whole numbers are whole numbers, too.
        let dark = labelled(Numbers::Floats(vec![0.0, 1.0, 1.0, 0.0]), &[2, 2], Numbers::Integers(vec![0, 1]));
        assert_eq!(of(whole, Some(dark)).unwrap().test.pixels, [0, 1, 1, 0]);
    }

    #[test]
    fn what_can_be_no_pixels_is_features() {
        let labels = || Numbers::Integers(vec![0, 1]);
        for numbers in [Numbers::Floats(vec![-0.42, 2.8, 0.0, 0.1]), Numbers::Floats(vec![0.0, 1.0, 0.5, 0.25])] {
            let Numbers::Floats(expected) = numbers.clone() else { unreachable!() };
            let data = of(labelled(numbers.clone(), &[2, 2], labels()), Some(labelled(numbers, &[2, 2], labels()))).unwrap();
            assert_eq!((&data.train.features, data.train.pixels.len()), (&Some(Features::of(expected, 2)), 0));
        }
        let large = labelled(Numbers::Integers(vec![1, 256]), &[2, 1], labels());
        let bytes = labelled(Numbers::Bytes(vec![1, 2]), &[2, 1], labels());
        // One kind for both sets, and features where they are asked for.
        let data = of(bytes.clone(), Some(large)).unwrap();
        assert_eq!(
            (data.train.features, data.test.features),
            (Some(Features::of(vec![1.0, 2.0], 1)), Some(Features::of(vec![1.0, 256.0], 1)))
        );
        let asked =
            dataset(Path::new("it"), Sets { train: bytes.clone(), test: Some(bytes) }, Share { asked: None, default: 0.2 }, true);
        assert!(asked.unwrap().train.has_features());
        let missing = labelled(Numbers::Floats(vec![1.0, f32::NAN]), &[2, 1], labels());
        let message = of(missing.clone(), Some(missing)).unwrap_err().to_string();
        assert!(message.contains("some.npz") && message.contains("NaN in row 1, column 0"), "{message}");
    }

    #[test]
    fn colours_stand_channel_by_channel() {
        let pixels = Numbers::Bytes(vec![1, 2, 3, 4, 5, 6]);
        let labels = || Numbers::Bytes(vec![0]);
        let behind = labelled(pixels.clone(), &[1, 1, 2, 3], labels());
        let before = labelled(pixels, &[1, 3, 1, 2], labels());
        let read = |one: Labelled| of(one.clone(), Some(one)).unwrap().train.pixels;
        assert_eq!(read(behind), [1, 4, 2, 5, 3, 6]);
        assert_eq!(read(before), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let bytes = |count: usize| Numbers::Bytes(vec![0; count]);
        for (shape, count, labels, part) in [
            (&[3usize, 2][..], 6, bytes(2), "2 labels for 3 images"),
            (&[2, 2, 2, 2], 16, bytes(2), "of the shape [2, 2, 2, 2]"),
            (&[2, 0], 0, bytes(2), "without pixels"),
            (&[2, 1], 2, Numbers::Integers(vec![0, 256]), "no whole number from 0 to 255"),
            (&[2, 1], 2, Numbers::Floats(vec![0.0, 0.5]), "no whole number from 0 to 255"),
            (&[1, 1], 1, bytes(1), "too few images"),
        ] {
            let message = of(labelled(bytes(count), shape, labels), None).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("some.npz"), "{message}");
        }
    }

    #[test]
    fn a_share_of_each_class_is_held_back_and_always_the_same() {
        let labels: Vec<u8> = (0..50).map(|index| index % 5).collect();
        let all = labelled(Numbers::Bytes((0..50).collect()), &[50, 1], Numbers::Bytes(labels));
        let one = of(all.clone(), None).unwrap();
        assert_eq!((one.train.count(), one.test.count()), (40, 10));
        for class in 0..5 {
            assert_eq!(one.test.labels.iter().filter(|&&label| label == class).count(), 2);
        }
        assert!(one.test.pixels.iter().zip(&one.test.labels).all(|(pixel, label)| pixel % 5 == *label));
        assert_eq!(of(all, None).unwrap().test.pixels, one.test.pixels);
    }
}
