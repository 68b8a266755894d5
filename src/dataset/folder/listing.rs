//! Which files a folder holds, of which classes, and which of them are for testing. Nothing here depends on the order in which a
//! file system lists its files: they are ordered by a hash of their names, which also mixes the classes, so that the first N
//! images are a fair sample.

use super::{Skipped, TEST_FRACTION};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Labels are bytes.
const MAX_CLASSES: usize = 256;

/// The folders of a data set that has been split already.
const TRAIN: &str = "train";
const TEST: &str = "test";

/// A file that may hold an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its class's place among all.
    pub class: u8,
    /// A hash of class and name.
    rank: [u8; 32],
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

/// Whether a folder has images to learn from and others to test on, each in a folder of their own.
pub fn has_test_set(root: &Path) -> bool {
    [TRAIN, TEST].iter().all(|split| holds_folders(&root.join(split)))
}

fn holds_folders(folder: &Path) -> bool {
    folder.is_dir() && children(folder).is_ok_and(|children| children.iter().any(|path| path.is_dir()))
}

/// Lists a folder; where it has no `test`, that share of each class is taken from it.
pub fn list(root: &Path, test_fraction: Option<f64>) -> Result<Listing> {
    let fail = |problem: String| Err(Error::Dataset(problem));
    let (train_root, test_root) = (root.join(TRAIN), root.join(TEST));
    let is_split = holds_folders(&train_root);
    if !is_split && holds_folders(&test_root) {
        return fail(format!(
            "{} has a folder test, but none of the name train with class folders in it; add it",
            root.display()
        ));
    }
    if is_split && !holds_folders(&test_root) {
        let (root, train) = (root.display(), train_root.display());
        return fail(format!(
            "{root} has a folder train, but no folder test; add it, or give {train} to have a part of it held back"
        ));
    }
    if is_split && test_fraction.is_some() {
        let problem =
            format!("--test-fraction is for folders without a test set, and {} is one; leave it out", test_root.display());
        return Err(Error::Configuration(problem));
    }
    let mut skipped = Vec::new();
    let first = if is_split { &train_root } else { root };
    let classes = class_names(first)?;
    let mut by_class = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let files = files(&first.join(name), name, class as u8, &mut skipped)?;
        if files.is_empty() {
            return fail(format!("{} holds no files; add images of this class or remove the folder", first.join(name).display()));
        }
        by_class.push(files);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    let fraction = test_fraction.unwrap_or(TEST_FRACTION);
    if is_split {
        train = by_class.concat();
        for name in class_names(&test_root)? {
            let folder = test_root.join(&name);
            let Ok(class) = classes.binary_search(&name) else {
                let train = train_root.display();
                return fail(format!("{} is a class that {train} lacks; add it there or remove it", folder.display()));
            };
            test.extend(files(&folder, &name, class as u8, &mut skipped)?);
        }
    } else {
        if !(fraction > 0.0 && fraction < 1.0) {
            let problem = format!("--test-fraction {fraction} is out of range; give a number between 0 and 1, such as 0.2");
            return Err(Error::Configuration(problem));
        }
        for mut files in by_class {
            files.sort_by(by_rank);
            // A class of one image has it for learning.
            let most = files.len() - 1;
            let count = ((fraction * files.len() as f64).round() as usize).clamp(most.min(1), most);
            train.extend(files.split_off(count));
            test.append(&mut files);
        }
    }
    if test.is_empty() {
        return fail(format!("{} leaves no image to test on; add images", root.display()));
    }
    train.sort_by(by_rank);
    test.sort_by(by_rank);
    Ok(Listing { classes, train, test, skipped, test_fraction: (!is_split).then_some(fraction) })
}

fn by_rank(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    (&one.rank, &one.path).cmp(&(&other.rank, &other.path))
}

/// The names of a folder's folders, sorted.
fn class_names(folder: &Path) -> Result<Vec<String>> {
    let fail = |problem: String| Err(Error::Dataset(format!("{} {problem}", folder.display())));
    let mut names = Vec::new();
    for path in children(folder)?.iter().filter(|path| path.is_dir()) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => names.push(name.to_owned()),
            None => return fail(format!("holds {path:?}, whose name is no UTF-8; rename it")),
        }
    }
    names.sort();
    match names.len() {
        0 => fail("holds no class folders; put images into train/CLASS and test/CLASS in it, or into CLASS".into()),
        1 => fail(format!("holds one class folder, {}; add another: one class leaves nothing to learn", names[0])),
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
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let rank = Sha256::digest(format!("{name}/{file}")).into();
        files.push(Entry { path, class, rank });
    }
    Ok(files)
}

/// What a folder holds, apart from hidden files.
fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::file("read the folder", folder, error, "give a folder of images that can be read");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
