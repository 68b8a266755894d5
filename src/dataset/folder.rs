//! Folders of image files: `train/<class>/*` and `test/<class>/*`, or `<class>/*` of which a part is held back for testing.

mod layout;
mod listing;
mod named;
mod picture;

use super::framed::shows_digits;
use super::input::Reading;
use super::split;
use super::{AUDIT_TEST, Dataset, ImageShape, Images, Input, Origin, Taken};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::MAX_WIDTH;
use crate::parallel;
use layout::Layout;
pub use layout::has_test_set;
use listing::{Entry, Listing, TestListing, list, list_test};
pub use named::of_pictures;
use picture::{Picture, Trouble};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The share of the images that is held back for testing where nothing else is said.
pub const TEST_FRACTION: f64 = 0.2;

/// How to read a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FolderOptions {
    /// The share of each class that is held back for testing; only for folders without `train` and `test`.
    pub test_fraction: Option<f64>,
    /// Resize every image to this.
    pub image_size: Option<ImageSize>,
    /// Make every image grey.
    pub grayscale: bool,
    /// Learn from all images of a folder without `train` and `test`, to look at their labels; some of them stand for a test set.
    pub audit: bool,
    /// Whether pictures that the model will be asked about are searched for digits; `None` where the images tell.
    pub digits: Option<bool>,
    /// By which rules.
    pub reading: Reading,
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Larger images would be wider than any layer may be.
const MAX_SIDE: usize = 4096;

impl Display for ImageSize {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.height, self.width)
    }
}

impl Serialize for ImageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        /// Either way of writing it.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Size {
            Side(usize),
            Text(String),
        }
        let text = match Size::deserialize(deserializer)? {
            Size::Side(side) => side.to_string(),
            Size::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Self { height, width }),
            _ => Err(format!("give N, or HxW as height and width, each 1 to {MAX_SIDE}, such as 32 or 24x32")),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The images.
    pub dataset: Dataset,
    /// The files that could not be read as images, and are left out.
    pub skipped: Vec<Skipped>,
    /// What the user should know about the layout of the folder.
    pub note: Option<String>,
    /// The files of the training images, in their order,
    pub train_files: Vec<PathBuf>,
    /// and of the test images.
    pub test_files: Vec<PathBuf>,
}

impl From<Dataset> for Loaded {
    /// Of data that is no folder.
    fn from(dataset: Dataset) -> Self {
        Self { dataset, skipped: Vec::new(), note: None, train_files: Vec::new(), test_files: Vec::new() }
    }
}

/// Images to measure a model on.
#[derive(Debug)]
pub struct LoadedTest {
    /// The folder's own name.
    pub name: String,
    /// The images, labelled by the place of their class in
    pub images: Images,
    /// the names of the classes.
    pub classes: Vec<String>,
    /// The files that could not be read as images, and are left out.
    pub skipped: Vec<Skipped>,
    /// Files of the folder that are not tested on.
    pub left_out: usize,
    /// The share of each class that is tested on, where the folder has no test set.
    pub test_fraction: Option<f64>,
}

/// Brings a file into the shape that a model reads, channel by channel; an error is the rest of a sentence about the file.
pub type Prepare<'a> = &'a (dyn Fn(&Path) -> std::result::Result<Vec<u8>, String> + Sync);

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// A callback, from any thread: files done, files in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Reads the images of a folder. Files that are no images are left out, unless nothing of a class is left.
pub fn load(root: &Path, options: &FolderOptions, progress: Progress) -> Result<Loaded> {
    let Listing { classes, train, test, mut skipped, test_fraction, is_to_divide, left_out, unlabelled } = list(root, options)?;
    let entries: Vec<&Entry> = train.iter().chain(&test).collect();
    let size = options.image_size.or_else(|| entries.iter().find_map(|entry| picture::size(&entry.path)));
    // Without a size nothing can be read, and the files say why.
    let size = size.unwrap_or(ImageSize { height: 1, width: 1 });
    check_size(1, size)?;
    let most_channels = if options.grayscale { 1 } else { 3 };
    // Each image once by itself and once among all.
    let bytes = 2 * entries.len() as u128 * (most_channels * size.height * size.width) as u128;
    memory::require_or(bytes, "the images of this folder", "give a smaller --image-size, or --grayscale")?;

    let done = AtomicUsize::new(0);
    let read = |entry: &&Entry| {
        let picture = picture::read(&entry.path, size, options);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, entries.len());
        picture
    };
    let pictures: Vec<_> = parallel::map(&entries, read);
    let of_other_size = |(entry, picture): (&&Entry, &std::result::Result<_, Trouble>)| match picture {
        Err(Trouble::Size(other)) => Some((entry.path.clone(), *other)),
        _ => None,
    };
    if let Some((path, other)) = entries.iter().zip(&pictures).find_map(of_other_size) {
        let possible = possible_size(most_channels, size);
        return Err(Error::Configuration(format!(
            "{} has {other} pixels, where the first image has {size}; give --image-size {possible} (or another) to resize all",
            path.display(),
        )));
    }
    let channels = pictures.iter().flatten().map(|picture| picture.channels).max().unwrap_or(1);
    check_size(channels, size)?;
    let shape = ImageShape { channels, height: size.height, width: size.width };
    let mut pictures = pictures.into_iter();
    let mut to_learn: Vec<File> = train.into_iter().zip(pictures.by_ref()).collect();
    let mut to_test: Vec<File> = test.into_iter().zip(pictures).collect();
    let is_new = options.reading == Reading::Second;
    if let Some(fraction) = test_fraction.filter(|_| is_to_divide) {
        (to_learn, to_test) = divided(to_learn, fraction);
    }
    if is_new {
        to_learn.sort_by(by_content);
        to_test.sort_by(by_content);
    }
    let train = assemble("training", &to_learn, &classes, shape, &mut skipped)?;
    let stands_for_test = options.audit && to_test.is_empty();
    let test = if stands_for_test { train.head(AUDIT_TEST) } else { assemble("test", &to_test, &classes, shape, &mut skipped)? };
    if test.count() == 0 {
        return Err(Error::Dataset(format!("{} leaves no image to test on; add images", root.display())));
    }
    let read = to_learn.iter().filter(|(_, picture)| picture.is_ok());
    let without_label = (0..).zip(read).filter(|(_, (entry, _))| !entry.has_label).map(|(place, _)| place).collect();
    let files =
        |files: &[File]| files.iter().filter(|(_, picture)| picture.is_ok()).map(|(entry, _)| entry.path.clone()).collect();
    let (train_files, test_files) = (files(&to_learn), files(&to_test));
    let mut dataset = Dataset { unlabelled: without_label, ..Dataset::of(own_name(root), train, test, classes) };
    dataset.origin = Origin::Folder { test_fraction };
    dataset.held_out = stands_for_test.then(|| dataset.test.count());
    if is_new {
        let without = unlabelled.map_or_else(String::new, |folder| format!("; {} has none", folder.display()));
        dataset.taken = Taken { labels: Some(format!("the names of folders{without}")), left_out, decided: Vec::new() };
        let digits = options.digits.unwrap_or_else(|| shows_digits(&dataset.train));
        if digits && options.digits.is_none() {
            dataset
                .taken
                .decided
                .push("the images are framed as MNIST's are, so pictures are searched for digits (--find-digits=false)".into());
        }
        dataset.input = Some(Input { digits: Some(digits), ..Input::default() });
        dataset.check()?;
    }
    let note = Layout::find(root)?.note();
    Ok(Loaded { dataset, skipped, note, train_files, test_files })
}

/// A file, and what it holds.
type File = (Entry, std::result::Result<Picture, Trouble>);

/// What a file shows; nothing where it cannot be read.
fn content((_, picture): &File) -> Option<u64> {
    picture.as_ref().ok().map(|picture| picture.content)
}

/// Files in an order that does not change where they are moved or renamed; copies by their names.
fn by_content(one: &File, other: &File) -> std::cmp::Ordering {
    (content(one), one.0.class, &one.0.path).cmp(&(content(other), other.0.class, &other.0.path))
}

/// Files to learn from, and that share of each class to test on, by what they show. What cannot be read is to learn from: it is named there.
fn divided(files: Vec<File>, fraction: f64) -> (Vec<File>, Vec<File>) {
    let contents: Vec<u64> = files.iter().map(|file| content(file).unwrap_or_default()).collect();
    let labels: Vec<u8> = files.iter().map(|(entry, _)| entry.class).collect();
    let without = (0..)
        .zip(&files)
        .filter(|(_, file)| !file.0.has_label || content(file).is_none())
        .map(|(place, _)| place)
        .collect::<Vec<u32>>();
    let is_test = split::held_back(&contents, &labels, &without, fraction);
    let (test, train): (Vec<_>, Vec<_>) = files.into_iter().zip(is_test).partition(|(_, is_test)| *is_test);
    let alone = |pairs: Vec<(File, bool)>| pairs.into_iter().map(|(file, _)| file).collect();
    (alone(train), alone(test))
}

/// Reads the images of a folder that a model is to be measured on, each prepared as the model needs it, as [`ImageShape`] says; a
/// share of 1 takes all of the folder. Files that cannot be prepared are left out, unless nothing of a class is left.
pub fn load_test(
    root: &Path,
    test_fraction: Option<f64>,
    reading: Reading,
    shape: ImageShape,
    prepare: Prepare,
    progress: Progress,
) -> Result<LoadedTest> {
    let TestListing { classes, mut test, mut skipped, mut left_out, test_fraction, is_to_divide } =
        list_test(root, test_fraction, reading)?;
    if let Some(fraction) = test_fraction.filter(|_| is_to_divide) {
        let contents: Vec<Option<u64>> = parallel::map(&test, |entry: &Entry| picture::content(&entry.path));
        let without: Vec<u32> = (0..).zip(&contents).filter(|(_, content)| content.is_none()).map(|(place, _)| place).collect();
        let contents: Vec<u64> = contents.iter().map(|content| content.unwrap_or_default()).collect();
        let labels: Vec<u8> = test.iter().map(|entry| entry.class).collect();
        let is_test = split::held_back(&contents, &labels, &without, fraction);
        left_out = is_test.iter().filter(|&&is_test| !is_test).count();
        let mut is_test = is_test.into_iter();
        test.retain(|_| is_test.next() == Some(true));
    }
    let bytes = 2 * test.len() as u128 * shape.pixels() as u128;
    memory::require_or(bytes, "the images of this folder", "evaluate it in parts")?;
    let done = AtomicUsize::new(0);
    let all = test.len();
    let read = |entry: &Entry| {
        let pixels = prepare(&entry.path);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
        pixels.map(|pixels| Picture { channels: shape.channels, pixels, content: 0 }).map_err(Trouble::Bad)
    };
    let pictures: Vec<_> = parallel::map(&test, read);
    let files: Vec<File> = test.into_iter().zip(pictures).collect();
    let images = assemble("test", &files, &classes, shape, &mut skipped)?;
    Ok(LoadedTest { name: own_name(root), images, classes, skipped, left_out, test_fraction })
}

/// A folder's own name, wherever it lies: it goes into files that others get.
fn own_name(root: &Path) -> String {
    let own = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    own.unwrap_or_else(|| "images".to_owned())
}

/// Refuses images that no layer can take, with a size that one can.
fn check_size(channels: usize, size: ImageSize) -> Result<()> {
    let pixels = channels * size.height * size.width;
    if pixels <= MAX_WIDTH {
        return Ok(());
    }
    let (possible, colours) = (possible_size(channels, size), if channels == 1 { "" } else { " in colours" });
    Err(Error::Configuration(format!(
        "images of {size} pixels{colours} are {pixels} numbers, and a network reads at most {MAX_WIDTH}; give --image-size {possible}, for example"
    )))
}

/// The size itself, or one of the same proportions whose longer side is the usual one, if so many pixels are too many.
fn possible_size(channels: usize, size: ImageSize) -> ImageSize {
    /// At this side all layers fit, in colours too, and training is fast.
    const USUAL_SIDE: usize = 64;
    if channels * size.height * size.width <= MAX_WIDTH {
        return size;
    }
    let longer = size.height.max(size.width);
    let side = |side: usize| (USUAL_SIDE * side).div_ceil(longer);
    ImageSize { height: side(size.height), width: side(size.width) }
}

/// Puts the images of a split together, and notes what has to be left out.
fn assemble(split: &str, files: &[File], classes: &[String], shape: ImageShape, skipped: &mut Vec<Skipped>) -> Result<Images> {
    let mut images =
        Images { pixels: Vec::with_capacity(files.len() * shape.pixels()), labels: Vec::new(), shape, features: None };
    let mut good = vec![false; classes.len()];
    for (entry, picture) in files {
        match picture {
            Ok(picture) => {
                good[usize::from(entry.class)] |= entry.has_label;
                images.labels.push(entry.class);
                // Grey is the same in every channel.
                let copies = shape.channels / picture.channels;
                images.pixels.extend(std::iter::repeat_n(&picture.pixels, copies).flatten());
            }
            Err(Trouble::Bad(problem)) => skipped.push(Skipped { path: entry.path.clone(), problem: problem.clone() }),
            Err(Trouble::Size(_)) => {}
        }
    }
    // Of a class that is not there at all, the listing has spoken.
    if let Some((lost, _)) = files.iter().find(|(entry, _)| entry.has_label && !good[usize::from(entry.class)]) {
        let problem = skipped.iter().find(|skipped| skipped.path == lost.path).map_or("", |skipped| &skipped.problem);
        return Err(Error::Dataset(format!(
            "no {split} image of class {} can be read; mend or remove them, such as {} ({problem})",
            classes[usize::from(lost.class)],
            lost.path.display(),
        )));
    }
    Ok(images)
}

#[cfg(test)]
mod tests;
