//! Pictures that were decoded elsewhere, such as by a browser: the data set that [`super::load`] would make of their files.

use super::layout::{TEST, TRAIN, VALIDATION};
use super::listing::{Entry, MAX_CLASSES, UNLABELLED, is_unlabelled_name};
use super::picture::Picture;
use super::{
    Dataset, File, ImageShape, Images, Input, Origin, TEST_FRACTION, Taken, assemble, by_content, divided, shows_digits,
};
use crate::dataset::input::normal;
use crate::dataset::split;
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A picture's path within the folder that was given, taken apart.
struct Place<'a> {
    path: &'a str,
    /// Its number among all.
    number: usize,
    /// The folder that it stands in.
    class: String,
    /// Those above it.
    above: Vec<String>,
}

impl Place<'_> {
    fn is_in(&self, names: &[&str]) -> bool {
        self.above.iter().any(|folder| names.contains(&&**folder))
    }
}

/// The data set of pictures at `paths`, whose parts are separated by `/`; `pixels` of each are those of `shape`, one after the other.
pub fn of_pictures(name: impl Into<String>, paths: &[String], shape: ImageShape, pixels: &[u8]) -> Result<Dataset> {
    let fail = |problem: String| Err(Error::Dataset(problem));
    let size = shape.pixels();
    if size == 0 || pixels.len() != paths.len() * size {
        return fail(format!("{} pictures of {shape} do not have {} bytes", paths.len(), pixels.len()));
    }
    let (train, test) = split(places(paths)?);
    let names: BTreeSet<&String> = train.iter().map(|place| &place.class).filter(|class| *class != UNLABELLED).collect();
    let classes: Vec<String> = names.into_iter().cloned().collect();
    match classes.len() {
        0 | 1 => {
            let only = classes.first().map_or(String::new(), |class| format!(", {class}"));
            return fail(format!("all images with a label stand in one folder{only}; give a folder for each class"));
        }
        count if count > MAX_CLASSES => {
            return fail(format!("there are {count} folders of images; give at most {MAX_CLASSES} classes"));
        }
        _ => {}
    }
    let file = |place: &Place| -> File {
        let entry = match classes.binary_search(&place.class) {
            Ok(class) => Entry::new(PathBuf::from(place.path), &place.class, class as u8),
            Err(_) => Entry::unlabelled(PathBuf::from(place.path)),
        };
        let pixels = pixels[place.number * size..][..size].to_vec();
        (entry, Ok(Picture { channels: shape.channels, content: content(&pixels, shape), pixels }))
    };
    if let Some(place) = test.iter().find(|place| classes.binary_search(&place.class).is_err()) {
        return fail(match place.class == UNLABELLED {
            true => format!(
                "{} is an image without a label, and nothing can be measured on it; move it into the folder to learn from, or remove it",
                place.path
            ),
            false => format!("{} is a class for testing that there is none to learn of; add it or remove it", place.class),
        });
    }
    let (mut of_train, mut of_test): (Vec<File>, Vec<File>) = (train.iter().map(file).collect(), test.iter().map(file).collect());
    let test_fraction = test.is_empty().then_some(TEST_FRACTION);
    if let Some(fraction) = test_fraction {
        (of_train, of_test) = divided(of_train, fraction);
    }
    if of_test.is_empty() {
        return fail("there are too few images to learn from and to test on; add images".into());
    }
    of_train.sort_by(by_content);
    of_test.sort_by(by_content);
    let images = |part: &str, files: &[File]| assemble(part, files, &classes, shape, &mut Vec::new());
    let (of_train_images, of_test_images): (Images, Images) = (images("training", &of_train)?, images("test", &of_test)?);
    let unlabelled = (0..).zip(&of_train).filter(|(_, (entry, _))| !entry.has_label).map(|(place, _)| place).collect();
    let digits = Some(shows_digits(&of_train_images));
    let mut dataset = Dataset { unlabelled, ..Dataset::of(name, of_train_images, of_test_images, classes) };
    dataset.origin = Origin::Folder { test_fraction };
    dataset.input = Some(Input { digits, ..Input::default() });
    dataset.taken = Taken { labels: Some("the names of folders".into()), ..Taken::default() };
    dataset.check()?;
    Ok(dataset)
}

/// What a picture shows, as `picture.rs` has it of a file.
fn content(pixels: &[u8], shape: ImageShape) -> u64 {
    let places = shape.height * shape.width;
    // Grey is the same in every colour.
    let colour = |place: usize| (0..3).map(move |colour| pixels[(colour % shape.channels) * places + place]);
    let colours: Vec<u8> = (0..places).flat_map(colour).collect();
    let size = [(shape.width as u32).to_le_bytes(), (shape.height as u32).to_le_bytes()].concat();
    split::content(&[&size, &colours])
}

/// Takes paths apart; the one folder around all is the folder that was given.
fn places(paths: &[String]) -> Result<Vec<Place<'_>>> {
    let parts: Vec<Vec<&str>> =
        paths.iter().map(|path| path.split('/').filter(|part| !matches!(*part, "" | ".")).collect()).collect();
    let root = parts.first().and_then(|parts| parts.first());
    let around = usize::from(parts.iter().all(|parts| parts.len() > 2 && parts.first() == root));
    paths
        .iter()
        .zip(parts)
        .enumerate()
        .map(|(number, (path, parts))| match &parts[around.min(parts.len())..] {
            [above @ .., class, _] => {
                let class = if is_unlabelled_name(class) { UNLABELLED.into() } else { normal(class) };
                Ok(Place { path, number, class, above: above.iter().map(|folder| folder.to_lowercase()).collect() })
            }
            _ => Err(Error::Dataset(format!("{path} stands in no folder; put it into the folder of its class"))),
        })
        .collect()
}

/// Those to learn from, and those to test on, by the names of their folders as `layout.rs` has them. Where there are none of the latter,
/// some of the former are held back.
fn split(places: Vec<Place>) -> (Vec<Place>, Vec<Place>) {
    let any = |names: &[&str]| places.iter().any(|place| place.is_in(names));
    let (has_train, has_test) = (any(&TRAIN), any(&TEST));
    let for_testing: &[&str] = if has_test {
        &TEST
    } else if has_train {
        &VALIDATION
    } else {
        &[]
    };
    let (test, others): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| place.is_in(for_testing));
    let train = others.into_iter().filter(|place| test.is_empty() || !has_train || place.is_in(&TRAIN)).collect();
    (train, test)
}

#[cfg(test)]
mod tests {
    use super::super::{FolderOptions, load};
    use super::*;
    use image::{Rgb, RgbImage};

    /// Writes a folder of pictures that differ, and gives what a browser would of it, and what the program reads.
    fn both(files: &[&str], root: &str) -> (Result<Dataset>, Result<Dataset>) {
        let folder = tempfile::tempdir().unwrap();
        let (mut paths, mut pixels) = (Vec::new(), Vec::new());
        for (number, file) in (1u8..).zip(files) {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let picture = RgbImage::from_fn(2, 2, |x, y| Rgb([number, x as u8, y as u8]));
            picture.save(path).unwrap();
            paths.push(format!("{root}{file}"));
            pixels.extend(crate::decode::planes(picture.into(), 2, 2));
        }
        let shape = ImageShape { channels: 3, height: 2, width: 2 };
        let read = load(folder.path(), &FolderOptions::default(), &|_, _| {}).map(|loaded| loaded.dataset);
        (of_pictures("pictures", &paths, shape, &pixels), read)
    }

    #[test]
    fn pictures_are_the_data_set_that_their_folder_is() {
        let whole: Vec<String> = (0..30).map(|number| format!("{}/{number}.png", ["a", "b", "unlabelled"][number % 3])).collect();
        let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
        let split = ["train/a/1.png", "train/b/2.png", "train/unlabelled/3.png", "Test/a/4.png", "val/b/5.png"];
        let validation = ["Training/a/1.png", "Training/b/2.png", "valid/a/3.png", "valid/b/4.png"];
        for (files, unlabelled) in [(&whole[..], 10), (&split[..], 1), (&validation[..], 0)] {
            for root in ["", "colours/", "./colours/"] {
                let (own, read) = both(files, root);
                let (own, read) = (own.unwrap(), read.unwrap());
                assert!(own.train == read.train && own.test == read.test, "{files:?} in {root:?}");
                assert_eq!(own.unlabelled, read.unlabelled);
                assert_eq!((own.unlabelled.len(), own.class_names, own.origin), (unlabelled, read.class_names, read.origin));
            }
        }
    }

    #[test]
    fn what_the_program_refuses_of_a_folder_is_refused_here() {
        for (files, part) in [
            (&["a/1.png", "a/2.png", "unlabelled/3.png"][..], "one folder, a"),
            (&["train/a/1.png", "train/b/2.png", "test/c/3.png"], "c is a class"),
            (&["train/a/1.png", "train/b/2.png", "test/unlabelled/3.png"], "without a label"),
            (&["a/1.png", "b/2.png"], "too few images"),
        ] {
            let (own, read) = both(files, "");
            assert!(read.is_err(), "{files:?}");
            let message = own.unwrap_err().to_string();
            assert!(message.contains(part), "{files:?}: {message}");
        }
        let shape = ImageShape::gray(1, 1);
        assert!(of_pictures("pictures", &["1.png".into()], shape, &[0]).is_err());
        assert!(of_pictures("pictures", &["a/1.png".into()], shape, &[]).is_err());
    }
}
