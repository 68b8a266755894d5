//! Data sets that are one file: archives of NumPy arrays (`npz.rs`) and tables (`table.rs`). Their classes are numbers without names.

use super::framed::shows_digits;
use super::input::Reading;
use super::labels::{Labels, classes};
use super::numbers::{Found, Kind, Labelled, Sets, fail, image_shape, images, images_at_first, kind_at_first, plan};
pub use super::options::{FileOptions, Share};
use super::split::held_back;
use super::{AUDIT_TEST, Dataset, ImageShape, Images, Input, Origin, Taken, npz, numbered, table};
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

/// Reads a file.
pub fn load(path: &Path, options: &FileOptions) -> Result<Dataset> {
    dataset(path, open(path, |path, file| table::read(path, file, options), npz::read)?, options)
}

/// Reads rows to ask a model about, whose labels are not known: of a table all columns but the labels, if it has some, and of an archive
/// the test set or all that there is. `features`: the model reads features, if it does not say itself what it reads. Also what was decided
/// by what the file holds.
pub fn load_rows(path: &Path, shape: ImageShape, options: &FileOptions) -> Result<(Images, Vec<String>)> {
    let unlabelled = |labelled: Labelled| Ok(Sets { train: labelled, test: None, found: Found::default() });
    let sets = open(
        path,
        |path, file| unlabelled(table::read_rows(path, file, options)?),
        |path, file| unlabelled(npz::read_rows(path, file)?),
    )?;
    let own = image_shape(path, &sets.train.shape)?;
    if own.pixels() != shape.pixels() {
        let problem = format!("has rows of {} numbers, and the model reads {}", own.pixels(), shape.pixels());
        return Err(fail(path, problem, "give the columns that the model learned from"));
    }
    if options.reading == Reading::First {
        let kind = kind_of(options.features, [&sets.train].into_iter());
        return Ok((Images { shape, ..images_at_first(path, sets.train, own, kind, None)?.0 }, Vec::new()));
    }
    let plan = plan(path, &[&sets.train], &sets.found, options)?;
    let labels = vec![0; sets.train.labels.count()];
    Ok((Images { shape, ..images(path, sets.train, labels, own, &plan)?.0 }, plan.decided))
}

fn kind_of<'a>(features: bool, all: impl Iterator<Item = &'a Labelled>) -> Kind {
    if features { Kind::Features } else { kind_at_first(all) }
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
    let mut sets = open(path, |path, file| table::read(path, file, options), npz::read)?;
    let has_test_set = sets.test.is_some();
    sets.test.get_or_insert_with(|| sets.train.clone());
    let unlabelled = |dataset: Dataset| match dataset.unlabelled.is_empty() {
        true => Ok(dataset),
        false => Err(fail(path, "holds images without a label, and an audit looks at labels".into(), "leave them out")),
    };
    let options = FileOptions { share: Share { asked: None, ..options.share }, ..options.clone() };
    let mut dataset = read(path, sets, &options).and_then(unlabelled)?;
    if !has_test_set {
        dataset.test = dataset.train.head(AUDIT_TEST);
        dataset.held_out = Some(dataset.test.count());
    }
    if options.reading == Reading::Second {
        dataset.check()?;
    }
    Ok(dataset)
}

/// The data set of what a file holds; its name is the file's, without its ending.
pub fn dataset(path: &Path, sets: Sets, options: &FileOptions) -> Result<Dataset> {
    let dataset = read(path, sets, options)?;
    // What is only measured need not have all classes, nor what was read before there were checks.
    if options.like.is_none() && options.reading == Reading::Second {
        dataset.check()?;
    }
    Ok(dataset)
}

fn read(path: &Path, sets: Sets, options: &FileOptions) -> Result<Dataset> {
    let share = options.share;
    if sets.test.is_some() && share.asked.is_some() {
        let problem = format!("--test-fraction is for data without a test set, and {} has one; leave it out", path.display());
        return Err(Error::Configuration(problem));
    }
    let fraction = share.asked.unwrap_or(share.default);
    if sets.test.is_none() && !(fraction > 0.0 && fraction < 1.0) {
        let problem = format!("--test-fraction {fraction} is out of range; give a number between 0 and 1, such as 0.2");
        return Err(Error::Configuration(problem));
    }
    let name = path.file_stem().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let shape = image_shape(path, &sets.train.shape)?;
    let parts = match options.reading {
        Reading::First => at_first(path, sets, shape, options)?,
        Reading::Second => second(path, sets, shape, options)?,
    };
    let Parts { all, unlabelled, contents, test, classes, input, taken } = parts;
    let has_test_set = test.is_some();
    let mut dataset = match test {
        Some(test) => Dataset { unlabelled, ..Dataset::of(name, all, test, classes) },
        None => {
            let is_test = match &contents {
                Some(contents) => held_back(contents, &all.labels, &unlabelled, fraction),
                None => held_back_by_place(&all, &unlabelled, fraction),
            };
            let part = |test: bool| (0..all.count()).filter(|&index| is_test[index] == test).collect::<Vec<_>>();
            let (of_train, of_test) = (part(false), part(true));
            let places = (0..).zip(&of_train).filter(|&(_, &index)| unlabelled.binary_search(&(index as u32)).is_ok());
            let unlabelled = places.map(|(place, _)| place).collect();
            Dataset { unlabelled, ..Dataset::of(name, all.select(&of_train), all.select(&of_test), classes) }
        }
    };
    if dataset.labelled_count() == 0 && dataset.train.count() > 0 {
        return Err(fail(path, "holds no label to learn from".into(), "give a label to some of the images"));
    }
    if dataset.train.count() == 0 || dataset.test.count() == 0 {
        let what = if has_test_set {
            "holds a set without images"
        } else {
            "holds too few images of each class that differ to hold some back"
        };
        return Err(fail(path, what.into(), "add images"));
    }
    dataset.origin = Origin::File { test_fraction: (!has_test_set).then_some(fraction) };
    (dataset.input, dataset.taken) = (input, taken);
    Ok(dataset)
}

/// A file that was read and not yet divided.
struct Parts {
    all: Images,
    unlabelled: Vec<u32>,
    /// What each image or row holds; nothing where it is divided by place.
    contents: Option<Vec<u64>>,
    test: Option<Images>,
    classes: Vec<String>,
    input: Option<Input>,
    taken: Taken,
}

fn second(path: &Path, sets: Sets, shape: ImageShape, options: &FileOptions) -> Result<Parts> {
    let Sets { train, test, found } = sets;
    let known = options.like.as_ref().map(|like| &like.classes[..]);
    let Labels { names, train: labels, unlabelled, test: test_labels } =
        classes(path, (&train.labels, test.as_ref().map(|test| &test.labels)), options.no_label, known)?;
    let both: Vec<&Labelled> = [Some(&train), test.as_ref()].into_iter().flatten().collect();
    if let [train, test] = both[..] {
        check_scales(path, train, test)?;
    }
    let plan = plan(path, &both, &found, options)?;
    let (all, contents) = images(path, train, labels, shape, &plan)?;
    let test = test.zip(test_labels).map(|(test, labels)| images(path, test, labels, shape, &plan)).transpose()?;
    let decided = [&found.decided[..], &plan.decided].concat();
    let labels = found.label_column.as_ref().map(|column| match found.columns.is_empty() {
        true => column.clone(),
        false => format!("the column {column}, of {}", found.columns.len() + 1),
    });
    let mut taken = Taken { labels, left_out: found.left_out, decided };
    let is_digits = || (!all.has_features()).then(|| shows_digits(&all));
    let digits = options.digits.or_else(is_digits);
    if options.digits.is_none() && digits == Some(true) {
        taken
            .decided
            .push("the images are framed as MNIST's are, so pictures are searched for digits (--find-digits=false)".into());
    }
    // Names that are numbers only count.
    let is_named = |columns: &Vec<String>| columns.iter().any(|name| name.parse::<f64>().is_err());
    let columns = Some(found.columns).filter(is_named);
    let input = Input {
        numbers: Some(plan.meaning),
        colours: plan.colours,
        columns,
        label_column: found.label_column,
        offset: plan.offset,
        digits,
    };
    let test = test.map(|(test, _)| test);
    Ok(Parts { all, unlabelled, contents: Some(contents), test, classes: names, input: Some(input), taken })
}

/// Refuses the same measured in another unit in one of two sets: what learned from the one knows nothing of the other.
fn check_scales(path: &Path, train: &Labelled, test: &Labelled) -> Result<()> {
    let (train, test) = (train.images.range(), test.images.range());
    if train.is_of_other_scale(&test) {
        let problem = format!("holds {train} to learn from, and {test} to test on");
        return Err(fail(path, problem, "bring both to one scale, such as x_test * 255"));
    }
    Ok(())
}

/// As files were read before a model's description said it.
fn at_first(path: &Path, sets: Sets, shape: ImageShape, options: &FileOptions) -> Result<Parts> {
    let kind = kind_of(options.features, [Some(&sets.train), sets.test.as_ref()].into_iter().flatten());
    if let Some(test) = &sets.test {
        check_scales(path, &sets.train, test)?;
    }
    let images = |labelled: Labelled| images_at_first(path, labelled, shape, kind, options.no_label);
    let (all, unlabelled) = images(sets.train)?;
    let test = match sets.test.map(images).transpose()? {
        Some((_, missing)) if !missing.is_empty() => {
            let problem = format!("holds no label for image {} to test on", missing[0]);
            return Err(fail(path, problem, "give a label to each image to test on, or leave it out"));
        }
        test => test.map(|(test, _)| test),
    };
    let labels = all.labels.iter().chain(test.iter().flat_map(|test| &test.labels));
    let classes = labels.max().map_or(0, |&last| usize::from(last) + 1);
    Ok(Parts { all, unlabelled, contents: None, test, classes: numbered(classes), input: None, taken: Taken::default() })
}

/// Which images are to test on: that share of each class, by a hash of their places. Those without labels are to learn from.
fn held_back_by_place(all: &Images, unlabelled: &[u32], fraction: f64) -> Vec<bool> {
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
    is_test
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
        let options = FileOptions { reading: Reading::First, ..FileOptions::default() };
        dataset(Path::new("dir/some.npz"), Sets { train, test, found: Found::default() }, &options)
    }

    // Runs of before descriptions said how data was read go on with what they read then.

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
        assert!(message.contains("from 0 to 255 to learn from, and numbers from 0 to 1 to test on"), "{message}");
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
        let options = FileOptions { reading: Reading::First, features: true, ..FileOptions::default() };
        let sets = Sets { train: bytes.clone(), test: Some(bytes), found: Found::default() };
        let asked = dataset(Path::new("it"), sets, &options);
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
