//! Copies of data without the labels that look wrong. Nothing of the original is touched.

use crate::dataset::catalogue::Format;
use crate::dataset::idx;
use crate::error::{Error, Result};
use crate::output::whole_file::write_whole_or;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const REMEDY: &str = "free some space, or give --write-clean a folder that can be written";
/// What stands for files of which no copy is made.
const LIST: &str = "clean.csv";

/// Where data came from.
#[derive(Clone, Debug)]
pub enum Original<'a> {
    /// The files of a known data set.
    Known {
        /// How they are to be read.
        format: Format,
        /// Their names.
        names: &'a [&'a str],
        /// Where they are, in the same order.
        paths: Vec<PathBuf>,
    },
    /// A folder of images.
    Folder {
        /// The files of the training images.
        train: &'a [PathBuf],
        /// Those of a test set of its own.
        test: Option<&'a [PathBuf]>,
        /// The names of the classes.
        classes: &'a [String],
    },
    /// Rows without files of their own: the copy is a list of rows and their labels.
    Rows {
        /// The names of the classes.
        classes: &'a [String],
    },
}

/// Refuses a folder in which something stands already, or that lies in one of the `original` folders.
pub fn check_clean(folder: &Path, original: &[&Path]) -> Result<()> {
    let refuse = |problem: String| Err(Error::Configuration(format!("--write-clean {} {problem}", folder.display())));
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            if entries.count() > 0 {
                return refuse("is not empty; give a new folder".into());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::file("look into", folder, error, "give --write-clean a new folder")),
    }
    // Where nothing can be made, that is known before anything else is done.
    if let Some(there) = folder.ancestors().find(|above| above.is_dir()) {
        tempfile::tempdir_in(there).map_err(|error| Error::file("write into", there, error, REMEDY))?;
    }
    // Of a folder that is not there yet, the nearest one above it is.
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = absolute.ancestors().find_map(|above| above.canonicalize().ok());
    for original in original {
        if let (Some(there), Ok(original)) = (&there, original.canonicalize())
            && there.starts_with(&original)
        {
            return refuse(format!("lies in {}, which is not touched; give a folder elsewhere", original.display()));
        }
    }
    Ok(())
}

/// Writes a copy of training images with the labels `given` into a new `folder`, and says what it is: of each the label that it keeps or
/// gets, or none where it is left out. The folder gets its name when all of it is there.
pub fn write_clean(folder: &Path, original: &Original, given: &[u8], labels: &[Option<u8>]) -> Result<String> {
    let failed = |error| Error::file("create the folder", folder, error, REMEDY);
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(above).map_err(failed)?;
    let unfinished = tempfile::Builder::new().prefix(".cleaning-").tempdir_in(above).map_err(failed)?;
    let copy = unfinished.path().join("copy");
    let what = Cleaning { folder: copy.clone(), labels, given }.write(original)?;
    // An empty folder may stand there, and gives way.
    let _ = std::fs::remove_dir(folder);
    std::fs::rename(&copy, folder).map_err(failed)?;
    Ok(what)
}

/// A cleaned copy in the making.
#[derive(Clone, Debug)]
struct Cleaning<'a> {
    /// Where the copy is made, before it gets its name.
    folder: PathBuf,
    /// The label that each training image keeps or gets; none where it is left out.
    labels: &'a [Option<u8>],
    given: &'a [u8],
}

impl Cleaning<'_> {
    /// Writes the copy, and says what it is.
    fn write(&self, original: &Original) -> Result<String> {
        std::fs::create_dir_all(&self.folder).map_err(|error| Error::file("create the folder", &self.folder, error, REMEDY))?;
        match original {
            Original::Known { format: Format::Idx { .. }, names, paths } => self.idx(names, paths),
            Original::Known { format: Format::Cifar, names, paths } => self.cifar(names, paths),
            Original::Folder { train, test, classes } => self.images(train, *test, classes),
            Original::Rows { classes } => self.list(classes),
        }
    }

    /// The labels of images from `first` on that are left in, and their places.
    fn kept(&self, images: std::ops::Range<usize>) -> impl Iterator<Item = (usize, u8)> {
        let labels = self.labels.get(images.clone()).unwrap_or_default();
        images.zip(labels).filter_map(|(index, label)| Some((index, (*label)?)))
    }

    fn all(&self) -> impl Iterator<Item = (usize, u8)> {
        self.kept(0..self.labels.len())
    }

    fn save(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_whole_or(&self.folder.join(name), bytes, REMEDY)
    }

    /// Four files, of which those for testing are copies.
    fn idx(&self, names: &[&str], paths: &[PathBuf]) -> Result<String> {
        let ([image_name, label_name, ..], [images, ..]) = (names, paths) else {
            return Err(Error::Dataset("a data set of four files has fewer; report this as a bug".into()));
        };
        let (rows, columns, pixels) = idx::read_images(images)?;
        let labels: Vec<u8> = self.all().map(|(_, label)| label).collect();
        let size = rows * columns;
        let kept: Vec<u8> = self.all().flat_map(|(index, _)| &pixels[index * size..][..size]).copied().collect();
        self.save(image_name, &idx::bytes(&[labels.len(), rows, columns], &kept))?;
        self.save(label_name, &idx::bytes(&[labels.len()], &labels))?;
        for path in paths.get(2..).unwrap_or_default() {
            self.copy(path, &self.folder.join(path.file_name().unwrap_or_default()))?;
        }
        Ok(format!("{} of {} images, as IDX files for --data-dir", labels.len(), self.labels.len()))
    }

    /// The batches of CIFAR-10, each without what is left out of it.
    fn cifar(&self, names: &[&str], paths: &[PathBuf]) -> Result<String> {
        const RECORD: usize = 1 + 3 * 32 * 32;
        let batches = paths.len().saturating_sub(1);
        let (mut first, mut kept) = (0, 0);
        for (name, path) in names.iter().zip(paths).take(batches) {
            let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error, "check the file"))?;
            let records = bytes.len() / RECORD;
            let mut batch = Vec::with_capacity(bytes.len());
            for (index, label) in self.kept(first..first + records) {
                batch.push(label);
                batch.extend_from_slice(&bytes[(index - first) * RECORD + 1..(index - first + 1) * RECORD]);
                kept += 1;
            }
            self.save(name, &batch)?;
            first += records;
        }
        if let Some(test) = paths.last() {
            self.copy(test, &self.folder.join(test.file_name().unwrap_or_default()))?;
        }
        Ok(format!("{kept} of {} images, as files of CIFAR-10 for --data-dir", self.labels.len()))
    }

    /// A folder for each class, below `train` where there are images to test on.
    fn images(&self, train: &[PathBuf], test: Option<&[PathBuf]>, classes: &[String]) -> Result<String> {
        let root = if test.is_some() { self.folder.join("train") } else { self.folder.to_owned() };
        let mut kept = 0;
        for (index, label) in self.all() {
            let Some(path) = train.get(index) else { continue };
            let mut to = root.join(&classes[usize::from(label)]).join(path.file_name().unwrap_or_default());
            if label != self.given[index] {
                // Two classes may have files of one name.
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                to.set_file_name(format!("{}-{name}", classes[usize::from(self.given[index])]));
            }
            self.copy(path, &to)?;
            kept += 1;
        }
        for path in test.unwrap_or_default() {
            let class = path.parent().and_then(Path::file_name).unwrap_or_default();
            self.copy(path, &self.folder.join("test").join(class).join(path.file_name().unwrap_or_default()))?;
        }
        Ok(format!("{kept} of {} images, as a folder of classes", self.labels.len()))
    }

    fn list(&self, classes: &[String]) -> Result<String> {
        let mut list = "index,label\n".to_owned();
        for (index, label) in self.all() {
            // Classes of rows are numbers; text cannot fail to grow.
            let _ = writeln!(list, "{index},{}", classes[usize::from(label)]);
        }
        self.save(LIST, list.as_bytes())?;
        Ok(format!("{} of {} rows, as a list of their places and labels in {LIST}", self.all().count(), self.labels.len()))
    }

    /// Copies a file. Where another has its name, it gets a number.
    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::file("create the folder", folder, error, REMEDY))?;
        }
        let (mut free, mut number) = (to.to_owned(), 1u32);
        while free.exists() {
            number += 1;
            let stem = to.file_stem().unwrap_or_default().to_string_lossy();
            let ending = to.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
            free.set_file_name(format!("{stem}-{number}{ending}"));
        }
        std::fs::copy(from, &free).map(|_| ()).map_err(|error| Error::file("copy", from, error, REMEDY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const GIVEN: [u8; 4] = [0, 1, 1, 0];

    fn cleaned(folder: &Path, relabel: bool, original: &Original) -> String {
        write_clean(folder, original, &GIVEN, &[Some(0), Some(1), relabel.then_some(0), Some(0)]).unwrap()
    }

    #[test]
    fn idx_files_come_back_without_suspects_or_with_their_new_label() {
        let folder = TempDir::new().unwrap();
        let names = ["train-images", "train-labels", "test-images", "test-labels"];
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
        let pixels: Vec<u8> = (0..8).collect();
        std::fs::write(&paths[0], idx::bytes(&[4, 1, 2], &pixels)).unwrap();
        paths[1..].iter().for_each(|path| std::fs::write(path, idx::bytes(&[4], &GIVEN)).unwrap());
        let original = Original::Known { format: Format::Idx { transposed: false }, names: &names, paths: paths.clone() };
        let read = |folder: &Path| {
            (idx::read_images(&folder.join(names[0])).unwrap().2, idx::read_labels(&folder.join(names[1])).unwrap())
        };
        let (dropped, changed) = (folder.path().join("dropped"), folder.path().join("changed"));
        cleaned(&dropped, false, &original);
        assert_eq!(read(&dropped), (vec![0, 1, 2, 3, 6, 7], vec![0, 1, 0]));
        cleaned(&changed, true, &original);
        assert_eq!(read(&changed), (pixels, vec![0, 1, 0, 0]));
        assert_eq!(std::fs::read(changed.join("test-labels")).unwrap(), std::fs::read(&paths[3]).unwrap());
    }

    #[test]
    fn batches_of_cifar_keep_their_places() {
        let folder = TempDir::new().unwrap();
        let names = ["one", "two", "test"];
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
        let record = |label: u8| [vec![label], vec![7; 3072]].concat();
        for (path, labels) in paths.iter().zip([&GIVEN[..1], &GIVEN[1..], &GIVEN[..]]) {
            std::fs::write(path, labels.iter().flat_map(|&label| record(label)).collect::<Vec<_>>()).unwrap();
        }
        let out = folder.path().join("out");
        cleaned(&out, false, &Original::Known { format: Format::Cifar, names: &names, paths });
        assert_eq!(std::fs::read(out.join("one")).unwrap(), record(0));
        assert_eq!(std::fs::read(out.join("two")).unwrap(), [record(1), record(0)].concat());
    }

    #[test]
    fn folders_keep_their_classes_and_names_never_meet() {
        let folder = TempDir::new().unwrap();
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let file = |class: &str, name: &str| {
            let path = folder.path().join("data").join(class).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("{class}/{name}")).unwrap();
            path
        };
        let train = [file("cat", "a"), file("dog", "a"), file("dog", "b"), file("cat", "b")];
        let test = [file("dog", "t")];
        let original = Original::Folder { train: &train, test: Some(&test), classes: &classes };
        let out = folder.path().join("out");
        cleaned(&out, true, &original);
        let read = |path: &str| std::fs::read_to_string(out.join(path)).unwrap();
        assert_eq!(read("train/cat/dog-b"), "dog/b");
        assert_eq!([read("train/cat/b"), read("train/dog/a"), read("test/dog/t")], ["cat/b", "dog/a", "dog/t"]);
        assert!(!out.join("train/dog/b").exists() && train[2].exists());
        let alone = folder.path().join("alone");
        cleaned(&alone, false, &Original::Folder { train: &train, test: None, classes: &classes });
        assert!(alone.join("dog/a").exists() && !alone.join("dog/b").exists());
    }

    #[test]
    fn files_of_one_name_get_numbers_and_a_copy_that_fails_leaves_nothing_behind() {
        let folder = TempDir::new().unwrap();
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let file = |inner: &str| {
            let path = folder.path().join("data/cat").join(inner).join("a.png");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, inner).unwrap();
            path
        };
        let train = [file("one"), file("other"), file("third")];
        let original = Original::Folder { train: &train, test: None, classes: &classes };
        let out = folder.path().join("out");
        write_clean(&out, &original, &[0; 3], &[Some(0); 3]).unwrap();
        let read = |name: &str| std::fs::read_to_string(out.join("cat").join(name)).unwrap();
        assert_eq!(["a.png", "a-2.png", "a-3.png"].map(read), ["one", "other", "third"]);
        std::fs::remove_dir_all(&out).unwrap();
        std::fs::remove_file(&train[2]).unwrap();
        let error = write_clean(&out, &original, &[0; 3], &[Some(0); 3]).unwrap_err().to_string();
        assert!(error.contains("third") && !error.contains(".cleaning"), "{error}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["data"]);
    }

    #[test]
    fn rows_become_a_list() {
        let folder = TempDir::new().unwrap();
        // A folder that is there and empty is taken.
        cleaned(folder.path(), false, &Original::Rows { classes: &["0".to_owned(), "1".to_owned()] });
        assert_eq!(std::fs::read_to_string(folder.path().join(LIST)).unwrap(), "index,label\n0,0\n1,1\n3,0\n");
    }

    #[test]
    fn the_original_is_not_written_to() {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("cat")).unwrap();
        let refusal = |path: &Path| check_clean(path, &[&data]).map_err(|error| error.to_string());
        assert!(refusal(&data).unwrap_err().contains("not empty"));
        assert!(refusal(&data.join("cat/new/er")).unwrap_err().contains("elsewhere"));
        refusal(&folder.path().join("new/er")).unwrap();
    }
}
