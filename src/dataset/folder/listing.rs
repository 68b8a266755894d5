//! Which files a folder holds, of which classes, and which of them are for testing. Nothing here depends on the order in which a
//! file system lists its files: they are ordered by a hash of their names, which also mixes the classes, so that the first N
//! images are a fair sample.

use super::layout::{Layout, children};
use super::{Skipped, TEST_FRACTION};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The folder of images without a label, beside those of the classes.
pub(super) const UNLABELLED: &str = "unlabelled";

/// Labels are bytes.
pub(super) const MAX_CLASSES: usize = 256;

/// A file that may hold an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its class's place among all.
    pub class: u8,
    /// Whether that is known; else it says nothing.
    pub has_label: bool,
    /// A hash of class and name.
    rank: [u8; 32],
}

impl Entry {
    /// A file in the folder `class_name`.
    pub fn new(path: PathBuf, class_name: &str, class: u8) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let rank = Sha256::digest(format!("{class_name}/{file}")).into();
        Self { path, class, has_label: true, rank }
    }

    /// A file without a label.
    pub fn unlabelled(path: PathBuf) -> Self {
        Self { has_label: false, ..Self::new(path, UNLABELLED, 0) }
    }
}

/// What a folder holds.
#[derive(Debug)]
pub struct Listing {
    /// The classes' names, sorted.
    pub classes: Vec<String>,
    /// Files to learn from.
    pub train: Vec<Entry>,
    /// Files to test on.
    pub test: Vec<Entry>,
    /// What stands among the files and is none.
    pub skipped: Vec<Skipped>,
    /// The share that was held back for testing; none where the folder has a test set.
    pub test_fraction: Option<f64>,
}

/// Images to measure a model on.
#[derive(Debug)]
pub struct TestListing {
    /// The names of their classes, sorted.
    pub classes: Vec<String>,
    /// Files to test on.
    pub test: Vec<Entry>,
    /// What stands among the files and is none.
    pub skipped: Vec<Skipped>,
    /// Files of the folder that are not tested on.
    pub left_out: usize,
    /// The share that was held back; none where the folder has a test set, or where all is asked for.
    pub test_fraction: Option<f64>,
}

/// Lists a folder to train on; where it has no part for testing, that share of each class is taken from it; for an audit, none.
pub fn list(root: &Path, test_fraction: Option<f64>, audit: bool) -> Result<Listing> {
    let mut skipped = Vec::new();
    let (classes, mut train, mut test, fraction) = match Layout::to_train(root)? {
        Layout::Split { train: None, .. } => return Err(no_test_images(root)),
        Layout::Split { train: Some(train_root), test: test_root } => {
            refuse_fraction(test_fraction, &test_root)?;
            let classes = class_names(&train_root, 2)?;
            let mut train = of_classes(&train_root, &classes, &mut skipped)?.concat();
            train.extend(unlabelled(&train_root, &mut skipped)?);
            refuse_unlabelled(&test_root)?;
            let mut test = Vec::new();
            for name in class_names(&test_root, 1)? {
                let folder = test_root.join(&name);
                let Ok(class) = classes.binary_search(&name) else {
                    let (folder, train) = (folder.display(), train_root.display());
                    return Err(Error::Dataset(format!("{folder} is a class that {train} lacks; add it there or remove it")));
                };
                test.extend(files(&folder, &name, class as u8, &mut skipped)?);
            }
            (classes, train, test, None)
        }
        Layout::Whole(root) if audit => {
            let classes = class_names(&root, 2)?;
            let mut train = of_classes(&root, &classes, &mut skipped)?.concat();
            train.extend(unlabelled(&root, &mut skipped)?);
            (classes, train, Vec::new(), None)
        }
        Layout::Whole(root) => {
            let fraction = test_fraction.unwrap_or(TEST_FRACTION);
            if !(fraction > 0.0 && fraction < 1.0) {
                let problem = format!("--test-fraction {fraction} is out of range; give a number between 0 and 1, such as 0.2");
                return Err(Error::Configuration(problem));
            }
            let classes = class_names(&root, 2)?;
            let (mut train, test) = held_back(of_classes(&root, &classes, &mut skipped)?, fraction);
            train.extend(unlabelled(&root, &mut skipped)?);
            (classes, train, test, Some(fraction))
        }
    };
    if test.is_empty() && !audit {
        return Err(no_test_images(root));
    }
    train.sort_by(by_rank);
    test.sort_by(by_rank);
    Ok(Listing { classes, train, test, skipped, test_fraction: fraction })
}

/// Lists a folder to measure a model on: its part for testing; or that share of each class, the same files as in training; or, by a
/// share of 1, all of it.
pub fn list_test(root: &Path, test_fraction: Option<f64>) -> Result<TestListing> {
    let mut skipped = Vec::new();
    let all = test_fraction == Some(1.0);
    let fraction = test_fraction.unwrap_or(TEST_FRACTION);
    if !(fraction > 0.0 && fraction <= 1.0) {
        let problem = format!("--test-fraction {fraction} is out of range; give a number above 0 and up to 1, which is all");
        return Err(Error::Configuration(problem));
    }
    let (classes, mut test, left_out, test_fraction) = match Layout::find(root)? {
        Layout::Split { train, test } if all => {
            let roots: Vec<PathBuf> = train.into_iter().chain([test]).collect();
            let mut classes = Vec::new();
            for root in &roots {
                classes.extend(class_names(root, 1)?);
            }
            classes.sort();
            classes.dedup();
            let test = of_roots(&roots, &classes, &mut skipped)?;
            (classes, test, 0, None)
        }
        Layout::Split { train, test } => {
            refuse_fraction(test_fraction, &test)?;
            let mut left_out = 0;
            if let Some(train) = &train {
                for name in class_names(train, 1)? {
                    left_out += files(&train.join(&name), &name, 0, &mut Vec::new())?.len();
                }
            }
            refuse_unlabelled(&test)?;
            let classes = class_names(&test, 1)?;
            let test = of_roots(&[test], &classes, &mut skipped)?;
            (classes, test, left_out, None)
        }
        Layout::Whole(root) => {
            let classes = class_names(&root, 1)?;
            let by_class = of_classes(&root, &classes, &mut skipped)?;
            let (train, test) = if all { (Vec::new(), by_class.concat()) } else { held_back(by_class, fraction) };
            (classes, test, train.len(), (!all).then_some(fraction))
        }
    };
    if test.is_empty() {
        return Err(no_test_images(root));
    }
    test.sort_by(by_rank);
    Ok(TestListing { classes, test, skipped, left_out, test_fraction })
}

fn refuse_fraction(test_fraction: Option<f64>, test: &Path) -> Result<()> {
    if test_fraction.is_none() {
        return Ok(());
    }
    let test = test.display();
    Err(Error::Configuration(format!("--test-fraction is for folders without a test set, and {test} is one; leave it out")))
}

fn no_test_images(root: &Path) -> Error {
    Error::Dataset(format!("{} leaves no image to test on; add images", root.display()))
}

/// The files of classes that several folders have, or some of them.
fn of_roots(roots: &[PathBuf], classes: &[String], skipped: &mut Vec<Skipped>) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for root in roots {
        for (class, name) in classes.iter().enumerate().filter(|(_, name)| root.join(name).is_dir()) {
            all.extend(files(&root.join(name), name, class as u8, skipped)?);
        }
    }
    Ok(all)
}

/// The files without a label, to learn from.
fn unlabelled(root: &Path, skipped: &mut Vec<Skipped>) -> Result<Vec<Entry>> {
    let folder = root.join(UNLABELLED);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = files(&folder, UNLABELLED, 0, skipped)?;
    Ok(files.into_iter().map(|entry| Entry { has_label: false, ..entry }).collect())
}

fn refuse_unlabelled(test: &Path) -> Result<()> {
    let folder = test.join(UNLABELLED);
    if !folder.is_dir() {
        return Ok(());
    }
    Err(Error::Dataset(format!(
        "{} holds images without labels, and nothing can be measured on them; move it into the folder to learn from, or remove it",
        folder.display()
    )))
}

/// The files of each class; every class has some.
fn of_classes(root: &Path, classes: &[String], skipped: &mut Vec<Skipped>) -> Result<Vec<Vec<Entry>>> {
    let mut by_class = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let files = files(&root.join(name), name, class as u8, skipped)?;
        if files.is_empty() {
            let folder = root.join(name);
            let has_folders = skipped.iter().any(|skipped| skipped.path.parent() == Some(&folder));
            let problem = if has_folders {
                format!("{} holds folders and no files; put the images of a class into its folder itself", folder.display())
            } else {
                format!("{} holds no files; add images of this class or remove the folder", folder.display())
            };
            return Err(Error::Dataset(problem));
        }
        by_class.push(files);
    }
    Ok(by_class)
}

/// The files of all classes to learn from, and that share of each class.
pub(super) fn held_back(by_class: Vec<Vec<Entry>>, fraction: f64) -> (Vec<Entry>, Vec<Entry>) {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for mut files in by_class {
        files.sort_by(by_rank);
        // A class of one image has it for learning.
        let most = files.len() - 1;
        let count = ((fraction * files.len() as f64).round() as usize).clamp(most.min(1), most);
        train.extend(files.split_off(count));
        test.append(&mut files);
    }
    (train, test)
}

pub(super) fn by_rank(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    (&one.rank, &one.path).cmp(&(&other.rank, &other.path))
}

/// The names of a folder's folders but that of images without labels, sorted: as many as there must be at least.
fn class_names(folder: &Path, least: usize) -> Result<Vec<String>> {
    let fail = |problem: String| Err(Error::Dataset(format!("{} {problem}", folder.display())));
    let mut names = Vec::new();
    let children = children(folder)?;
    for path in children.iter().filter(|path| path.is_dir()) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(UNLABELLED) => {}
            Some(name) => names.push(name.to_owned()),
            None => return fail(format!("holds {path:?}, whose name is no UTF-8; rename it")),
        }
    }
    names.sort();
    match names.len() {
        0 if !children.is_empty() => fail(format!(
            "holds files, but no class folders, and may be one of them; give the folder above it{}",
            folder
                .parent()
                .filter(|above| !above.as_os_str().is_empty())
                .map_or_else(String::new, |above| format!(", {}", above.display()))
        )),
        0 => fail("holds no class folders; put images into train/CLASS and test/CLASS in it, or into CLASS".into()),
        count if count < least => {
            fail(format!("holds one class folder, {}; add another: one class leaves nothing to learn", names[0]))
        }
        count if count > MAX_CLASSES => fail(format!("holds {count} class folders; give at most {MAX_CLASSES}")),
        _ => Ok(names),
    }
}

/// The files of a class.
fn files(folder: &Path, name: &str, class: u8, skipped: &mut Vec<Skipped>) -> Result<Vec<Entry>> {
    let mut files = Vec::new();
    for path in children(folder)? {
        if path.is_dir() {
            skipped.push(Skipped { path, problem: "is a folder".into() });
            continue;
        }
        files.push(Entry::new(path, name, class));
    }
    Ok(files)
}
