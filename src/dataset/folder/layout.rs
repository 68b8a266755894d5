//! How a folder of images is laid out: which of its folders is for training and which for testing, by the names that people give
//! them, and below how many wrappers.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// What people call the folder to learn from,
pub(super) const TRAIN: [&str; 2] = ["train", "training"];
/// and the one to test on; where there is none, the one to choose by.
pub(super) const TEST: [&str; 2] = ["test", "testing"];
pub(super) const VALIDATION: [&str; 4] = ["val", "valid", "validation", "eval"];

/// Archives unpack to so many folders within each other.
const MOST_WRAPPERS: usize = 4;

/// Where class folders are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Some to learn from, others to test on.
    Split {
        /// To learn from; there may be none where a model is only measured.
        train: Option<PathBuf>,
        /// To test on.
        test: PathBuf,
    },
    /// All in one folder.
    Whole(PathBuf),
}

impl Layout {
    /// Of a folder for training, which must have a part to learn from.
    pub fn to_train(root: &Path) -> Result<Self> {
        match Self::find(root)? {
            Self::Split { train: None, test } => Err(Error::Dataset(format!(
                "{} is a folder for testing, and there is none of the name train with class folders beside it; add it",
                test.display()
            ))),
            layout => Ok(layout),
        }
    }

    /// Of any folder.
    pub fn find(root: &Path) -> Result<Self> {
        let mut root = root.to_owned();
        for _ in 0..MOST_WRAPPERS {
            let folders = folders(&root)?;
            let train = one_of(&folders, &TRAIN)?;
            let test = one_of(&folders, &TEST)?;
            let test = if test.is_none() && train.is_some() { one_of(&folders, &VALIDATION)? } else { test };
            match (train, test) {
                (train, Some(test)) => return Ok(Self::Split { train, test }),
                (Some(train), None) => {
                    let (root, train) = (root.display(), train.display());
                    return Err(Error::Dataset(format!(
                        "{train} is a folder for training, and {root} has none for testing beside it (test, testing, val, validation); add it, or give {train} to have a part of it held back"
                    )));
                }
                (None, None) => {}
            }
            // An archive often unpacks to a folder of its own.
            match &folders[..] {
                [only] if holds_folders(only) => root = only.clone(),
                _ => break,
            }
        }
        Ok(Self::Whole(root))
    }

    /// What a folder that is all in one should be told about the folder beside it.
    pub fn note(&self) -> Option<String> {
        let Self::Whole(root) = self else { return None };
        let own = root.file_name()?.to_str()?.to_lowercase();
        let parent = root.parent()?;
        let others: Vec<&str> = if TRAIN.contains(&&*own) { [TEST.as_slice(), &VALIDATION].concat() } else { return None };
        let other = one_of(&folders(parent).ok()?, &others).ok()??;
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Some(format!("{} is left out; --dataset {} tests on it", other.display(), parent.display()))
    }
}

/// Whether a name is what people call a part of a data set.
pub fn is_part_name(name: &str) -> bool {
    [&TRAIN[..], &TEST, &VALIDATION].concat().contains(&name.to_lowercase().as_str())
}

/// Whether a folder has images to test on in a folder of their own.
pub fn has_test_set(root: &Path) -> bool {
    matches!(Layout::find(root), Ok(Layout::Split { .. }))
}

/// The folders in a folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(children(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn holds_folders(folder: &Path) -> bool {
    folders(folder).is_ok_and(|folders| !folders.is_empty())
}

/// The one folder with class folders in it that has one of these names, in letters of any case.
fn one_of(folders: &[PathBuf], names: &[&str]) -> Result<Option<PathBuf>> {
    let is_called = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
        names.contains(&&*name) && holds_folders(path)
    };
    let mut found = folders.iter().filter(is_called);
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => Err(Error::Dataset(format!(
            "{} and {} have the same meaning; rename one of them, or give one of them alone",
            one.display(),
            other.display()
        ))),
        (one, _) => Ok(one.cloned()),
    }
}

/// What a folder holds, apart from hidden files and what macOS puts into archives.
pub(super) fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::file("read the folder", folder, error, "give a folder of images that can be read");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with('.') && name != "__MACOSX" {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
