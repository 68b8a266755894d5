//! Which files a folder holds, of which classes, and which of them are for testing. Nothing here depends on the order in which a
//! file system lists its files: they are ordered by a hash of their names, which also mixes the classes, so that the first N
//! images are a fair sample.

use super::layout::{Layout, children, is_part_name};
use super::{FolderOptions, Skipped, TEST_FRACTION};
use crate::dataset::checks::look_alikes;
use crate::dataset::input::{Reading, normal};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The folder of images without a label, beside those of the classes,
pub(super) const UNLABELLED: &str = "unlabelled";
/// and how others spell it.
const SPELLINGS: [&str; 3] = [UNLABELLED, "unlabeled", "nolabel"];

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
    /// The share that is held back for testing; none where the folder has a test set.
    pub test_fraction: Option<f64>,
    /// Whether that share is still to be taken out of the training files, by what they show.
    pub is_to_divide: bool,
    /// What is not read.
    pub left_out: Vec<String>,
    /// The folder of images without a label.
    pub unlabelled: Option<PathBuf>,
}

/// A class and its folder.
#[derive(Clone, Debug)]
struct Class {
    name: String,
    folder: PathBuf,
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
    /// Whether that share is still to be chosen among the test files, by what they show.
    pub is_to_divide: bool,
}

/// Lists a folder to train on; where it has no part for testing, that share of each class is taken from it; for an audit, none.
pub fn list(root: &Path, options: &FolderOptions) -> Result<Listing> {
    let FolderOptions { test_fraction, audit, reading, .. } = *options;
    let is_new = reading == Reading::Second;
    let (mut skipped, mut left_out) = (Vec::new(), Vec::new());
    let mut without = None;
    let mut to_learn = |train_root: &Path, skipped: &mut Vec<Skipped>, left_out: &mut Vec<String>| {
        let classes = class_folders(train_root, 2, reading, left_out)?;
        let by_class = of_classes(&classes, skipped)?;
        let mut unlabelled = Vec::new();
        for folder in unlabelled_folders(train_root, reading)? {
            let files = files(&folder, UNLABELLED, 0, skipped)?;
            if audit && is_new {
                left_out.push(format!("{}, {} images without labels: an audit looks at labels", folder.display(), files.len()));
            } else {
                unlabelled.extend(files.into_iter().map(|entry| Entry { has_label: false, ..entry }));
                without = Some(folder);
            }
        }
        Ok::<_, Error>((classes, by_class, unlabelled))
    };
    let (classes, mut train, mut test, fraction, is_to_divide) = match Layout::to_train(root)? {
        Layout::Split { train: None, .. } => return Err(no_test_images(root)),
        Layout::Split { train: Some(train_root), test: test_root } => {
            refuse_fraction(test_fraction, &test_root)?;
            let (classes, by_class, unlabelled) = to_learn(&train_root, &mut skipped, &mut left_out)?;
            let mut train = by_class.concat();
            train.extend(unlabelled);
            refuse_unlabelled(&test_root, reading)?;
            let mut test = Vec::new();
            for Class { name, folder } in class_folders(&test_root, 1, reading, &mut left_out)? {
                let Some(class) = classes.iter().position(|class| class.name == name) else {
                    let (folder, train) = (folder.display(), train_root.display());
                    return Err(Error::Dataset(format!("{folder} is a class that {train} lacks; add it there or remove it")));
                };
                test.extend(files(&folder, &name, class as u8, &mut skipped)?);
            }
            left_out.extend(beside(&[&train_root, &test_root])?);
            (classes, train, test, None, false)
        }
        Layout::Whole(root) if audit => {
            let (classes, by_class, unlabelled) = to_learn(&root, &mut skipped, &mut left_out)?;
            let mut train = by_class.concat();
            train.extend(unlabelled);
            (classes, train, Vec::new(), None, false)
        }
        Layout::Whole(root) => {
            let fraction = test_fraction.unwrap_or(TEST_FRACTION);
            if !(fraction > 0.0 && fraction < 1.0) {
                let problem = format!("--test-fraction {fraction} is out of range; give a number between 0 and 1, such as 0.2");
                return Err(Error::Configuration(problem));
            }
            let (classes, by_class, unlabelled) = to_learn(&root, &mut skipped, &mut left_out)?;
            let (mut train, test) = if is_new { (by_class.concat(), Vec::new()) } else { held_back(by_class, fraction) };
            train.extend(unlabelled);
            (classes, train, test, Some(fraction), is_new)
        }
    };
    if test.is_empty() && !audit && !is_to_divide {
        return Err(no_test_images(root));
    }
    train.sort_by(by_rank);
    test.sort_by(by_rank);
    let classes = classes.into_iter().map(|class| class.name).collect();
    Ok(Listing { classes, train, test, skipped, test_fraction: fraction, is_to_divide, left_out, unlabelled: without })
}

/// Lists a folder to measure a model on: its part for testing; or that share of each class, the same files as in training; or, by a
/// share of 1, all of it.
pub fn list_test(root: &Path, test_fraction: Option<f64>, reading: Reading) -> Result<TestListing> {
    let (mut skipped, mut left) = (Vec::new(), Vec::new());
    let all = test_fraction == Some(1.0);
    let fraction = test_fraction.unwrap_or(TEST_FRACTION);
    if !(fraction > 0.0 && fraction <= 1.0) {
        let problem = format!("--test-fraction {fraction} is out of range; give a number above 0 and up to 1, which is all");
        return Err(Error::Configuration(problem));
    }
    let (classes, mut test, left_out, test_fraction, is_to_divide) = match Layout::find(root)? {
        Layout::Split { train, test } if all => {
            let roots: Vec<PathBuf> = train.into_iter().chain([test]).collect();
            let mut names = Vec::new();
            let mut folders = Vec::new();
            for root in &roots {
                folders.extend(class_folders(root, 1, reading, &mut left)?);
            }
            names.extend(folders.iter().map(|class| class.name.clone()));
            names.sort();
            names.dedup();
            let mut test = Vec::new();
            for Class { name, folder } in &folders {
                let class = names.binary_search(name).unwrap_or_default();
                test.extend(files(folder, name, class as u8, &mut skipped)?);
            }
            (names, test, 0, None, false)
        }
        Layout::Split { train, test } => {
            refuse_fraction(test_fraction, &test)?;
            let mut left_out = 0;
            if let Some(train) = &train {
                for Class { name, folder } in class_folders(train, 1, reading, &mut left)? {
                    left_out += files(&folder, &name, 0, &mut Vec::new())?.len();
                }
            }
            refuse_unlabelled(&test, reading)?;
            let classes = class_folders(&test, 1, reading, &mut left)?;
            let test = of_classes(&classes, &mut skipped)?.concat();
            (classes.into_iter().map(|class| class.name).collect(), test, left_out, None, false)
        }
        Layout::Whole(root) => {
            let classes = class_folders(&root, 1, reading, &mut left)?;
            let by_class = of_classes(&classes, &mut skipped)?;
            let is_to_divide = !all && reading == Reading::Second;
            let (train, test) = if all || is_to_divide { (Vec::new(), by_class.concat()) } else { held_back(by_class, fraction) };
            let names = classes.into_iter().map(|class| class.name).collect();
            (names, test, train.len(), (!all).then_some(fraction), is_to_divide)
        }
    };
    if test.is_empty() {
        return Err(no_test_images(root));
    }
    test.sort_by(by_rank);
    Ok(TestListing { classes, test, skipped, left_out, test_fraction, is_to_divide })
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

/// The folders of images without a label.
fn unlabelled_folders(root: &Path, reading: Reading) -> Result<Vec<PathBuf>> {
    Ok(children(root)?.into_iter().filter(|path| path.is_dir() && is_unlabelled(path, reading)).collect())
}

fn is_unlabelled(folder: &Path, reading: Reading) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == UNLABELLED || reading == Reading::Second && is_unlabelled_name(name)
}

/// However it is spelled.
pub(super) fn is_unlabelled_name(name: &str) -> bool {
    let letters: String = name.chars().filter(|letter| letter.is_alphabetic()).flat_map(char::to_lowercase).collect();
    SPELLINGS.contains(&letters.as_str())
}

fn refuse_unlabelled(test: &Path, reading: Reading) -> Result<()> {
    let Some(folder) = unlabelled_folders(test, reading)?.into_iter().next() else { return Ok(()) };
    Err(Error::Dataset(format!(
        "{} holds images without labels, and nothing can be measured on them; move it into the folder to learn from, or remove it",
        folder.display()
    )))
}

/// What stands beside the folders to learn from and to test on.
fn beside(parts: &[&Path; 2]) -> Result<Vec<String>> {
    let Some(root) = parts[0].parent() else { return Ok(Vec::new()) };
    let others = children(root)?.into_iter().filter(|path| parts.iter().all(|part| path != part));
    Ok(others.map(|path| format!("{}, which is beside {}", path.display(), parts[0].display())).collect())
}

/// The files of each class; every class has some.
fn of_classes(classes: &[Class], skipped: &mut Vec<Skipped>) -> Result<Vec<Vec<Entry>>> {
    let mut by_class = Vec::new();
    for (class, Class { name, folder }) in classes.iter().enumerate() {
        let files = files(folder, name, class as u8, skipped)?;
        if files.is_empty() {
            let has_folders = skipped.iter().any(|skipped| skipped.path.parent() == Some(folder));
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
fn held_back(by_class: Vec<Vec<Entry>>, fraction: f64) -> (Vec<Entry>, Vec<Entry>) {
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

fn by_rank(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    (&one.rank, &one.path).cmp(&(&other.rank, &other.path))
}

/// The classes that a folder's folders are, but images without labels and what this program wrote, by their names: as many as there must be
/// at least.
fn class_folders(root: &Path, least: usize, reading: Reading, left_out: &mut Vec<String>) -> Result<Vec<Class>> {
    let fail = |problem: String| Err(Error::Dataset(format!("{} {problem}", root.display())));
    let is_new = reading == Reading::Second;
    let mut classes = Vec::new();
    let children = children(root)?;
    let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) = children.iter().partition(|path| path.is_dir());
    for folder in folders.into_iter().filter(|folder| !is_unlabelled(folder, reading)) {
        match folder.file_name().and_then(|name| name.to_str()) {
            Some(_) if is_new && is_own_output(folder) => {
                left_out.push(format!("{}, which this program wrote", folder.display()));
            }
            Some(name) => {
                let name = if is_new { normal(name) } else { name.to_owned() };
                classes.push(Class { name, folder: folder.clone() });
            }
            None => return fail(format!("holds {folder:?}, whose name is no UTF-8; rename it")),
        }
    }
    classes.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    if let Some((one, other)) = look_alikes(&names).filter(|_| is_new) {
        return fail(format!("holds the classes '{one}' and '{other}', {}", crate::dataset::checks::ALIKE));
    }
    if is_new && names.len() > 1 && names.iter().all(|name| is_part_name(name)) {
        return fail(format!(
            "holds {}, which are no classes but parts, and have no class folders; put the images of each class into a folder of its own in them",
            names.join(" and ")
        ));
    }
    if is_new && !files.is_empty() && !classes.is_empty() {
        left_out.push(format!("{} files in {}, beside the class folders", files.len(), root.display()));
    }
    match names.len() {
        0 if !children.is_empty() => fail(format!(
            "holds files, but no class folders, and may be one of them; give the folder above it{}",
            root.parent()
                .filter(|above| !above.as_os_str().is_empty())
                .map_or_else(String::new, |above| format!(", {}", above.display()))
        )),
        0 => fail("holds no class folders; put images into train/CLASS and test/CLASS in it, or into CLASS".into()),
        count if count < least => {
            fail(format!("holds one class folder, {}; add another: one class leaves nothing to learn", names[0]))
        }
        count if count > MAX_CLASSES => fail(format!("holds {count} class folders; give at most {MAX_CLASSES}")),
        _ => Ok(classes),
    }
}

/// Whether a folder is a run, an audit or a study, or holds some.
fn is_own_output(folder: &Path) -> bool {
    const OUTPUTS: [&[&str]; 3] = [&["config.json", "metrics.jsonl"], &["audit.json"], &["study.json"]];
    let is_output = |folder: &Path| OUTPUTS.iter().any(|names| names.iter().all(|name| folder.join(name).is_file()));
    is_output(folder) || children(folder).is_ok_and(|inner| inner.iter().any(|path| path.is_dir() && is_output(path)))
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
