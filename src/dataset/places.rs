//! Where the files of data sets are: in the folder that the user names, else in the cache that `data fetch` fills.

use super::catalogue::{DatasetName, Files, Format, KNOWN, Known};
use super::{Dataset, cifar, digits, idx};
use crate::error::{Error, Result};
use crate::home;
use crate::suggestion::nearest;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Takes the place of the platform's cache folder.
pub const CACHE_VARIABLE: &str = "FFCL_CACHE_DIR";

const DIGITS: &str = "use --dataset digits, which needs no files";

/// The folders to look in.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The user's own. It goes first, and downloads go there.
    pub data_dir: Option<PathBuf>,
    /// The program's.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The user's folder, if there is one, and the cache of this machine: `FFCL_CACHE_DIR`, or what the platform has for it.
    pub fn new(data_dir: Option<&Path>) -> Self {
        let own = std::env::var_os(CACHE_VARIABLE).filter(|path| !path.is_empty()).map(|path| home::expand(Path::new(&path)));
        let of_platform = || Some(directories::ProjectDirs::from("", "", "ffcl-gpu")?.cache_dir().join("data"));
        Self { data_dir: data_dir.map(Path::to_owned), cache: own.or_else(of_platform) }
    }

    /// The folder that a download of `files` goes to.
    pub fn target(&self, files: &Files) -> Result<PathBuf> {
        let root = self.data_dir.as_ref().or(self.cache.as_ref()).ok_or_else(|| {
            Error::Configuration(format!("this system names no cache folder; give --data-dir DIR, or set {CACHE_VARIABLE}"))
        })?;
        Ok(root.join(files.folders.first().unwrap_or(&"")))
    }

    /// The folders that may hold `files`. Sets share names of files: a folder of the set's own name goes first, and one that has
    /// the name of another set is not asked.
    fn folders(&self, files: &Files) -> Vec<PathBuf> {
        let is_of_another = |root: &Path| {
            let is_called = |files: &Files| files.folders.iter().any(|folder| root.ends_with(folder));
            !is_called(files) && KNOWN.iter().filter_map(|known| known.files.as_ref()).any(is_called)
        };
        let below = self.data_dir.iter().flat_map(|root| files.folders.iter().map(|folder| root.join(folder)));
        // torchvision keeps the files in a folder `raw` within that of the set.
        let own = self.data_dir.iter().flat_map(|root| [root.clone(), root.join("raw")]).filter(|root| !is_of_another(root));
        let cached = self.cache.iter().flat_map(|root| files.folders.first().map(|folder| root.join(folder)));
        below.chain(own).chain(cached).collect()
    }

    /// The paths of a data set's files, all in one folder: a mixture of two folders could be one of two data sets. `None` where
    /// they are not all there.
    pub fn find(&self, files: &Files) -> Result<Option<Vec<PathBuf>>> {
        for folder in self.folders(files) {
            if let Ok(found) = find_all(&folder, files.names)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The same, where they must be there.
    fn require(&self, known: &Known, files: &Files) -> Result<Vec<PathBuf>> {
        let (name, all) = (known.text, listed(files));
        if let Some(directory) = &self.data_dir {
            let no_folder = |source| {
                let remedy = format!(
                    "create it and put {all} into it or into its subfolder {}, or {DIGITS}",
                    files.folders.first().unwrap_or(&name)
                );
                Error::File { action: "open the data folder", path: directory.clone(), source, remedy }
            };
            if !fs::metadata(directory).map_err(no_folder)?.is_dir() {
                return Err(no_folder(ErrorKind::NotADirectory.into()));
            }
        }
        let mut lack = "no file found".to_owned();
        let mut fewest_absent = files.names.len();
        let folders = self.folders(files);
        for folder in &folders {
            match find_all(folder, files.names)? {
                Ok(found) => return Ok(found),
                // The folder that lacks the fewest files is the one that the user meant.
                Err(absent) if absent.len() < fewest_absent => {
                    fewest_absent = absent.len();
                    lack = format!("{} lacks {}", folder.display(), absent.join(", "));
                }
                Err(_) => {}
            }
        }
        if let Some(folder) = self.pickled(files) {
            let problem = format!("{} holds CIFAR-10 as pickles of Python, which are not read", folder.display());
            return Err(Error::Dataset(format!("{problem}; run `ffcl-gpu data fetch {name}`, which fetches the binary version")));
        }
        let looked: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let problem = format!("data set {name}: {lack}; looked for {all} in {}", looked.join(", "));
        let fetch = match files.downloads {
            [] => "get its files".to_owned(),
            _ => format!("run `ffcl-gpu data fetch {name}`"),
        };
        Err(if self.data_dir.is_some() {
            Error::Dataset(format!("{problem}; {fetch}, put all of them into one of these folders, or {DIGITS}"))
        } else {
            Error::Configuration(format!(
                "{problem}; {fetch}, name their folder by --data-dir DIR (or FFCL_DATA_DIR), or {DIGITS}"
            ))
        })
    }
}

impl Places {
    /// A folder with CIFAR-10 in the version for Python, which torchvision fetches.
    fn pickled(&self, files: &Files) -> Option<PathBuf> {
        const NAME: &str = "cifar-10-batches-py";
        let own = self.data_dir.iter().filter(|_| files.format == Format::Cifar);
        let mut folders = own.flat_map(|root| [root.join(NAME), root.join("cifar10").join(NAME), root.clone()]);
        folders.find(|folder| folder.ends_with(NAME) && folder.is_dir())
    }
}

impl DatasetName {
    /// Draws or reads it.
    pub fn load(self, places: &Places) -> Result<Dataset> {
        let known = self.known();
        let Some(files) = &known.files else { return Ok(digits::generate(digits::SEED)) };
        let paths = places.require(known, files)?;
        let (train, test) = match (files.format, &paths[..]) {
            (Format::Idx { transposed }, [train_images, train_labels, test_images, test_labels]) => {
                idx::load([train_images, train_labels, test_images, test_labels], known.classes.len(), transposed)?
            }
            (_, [train @ .., test]) => cifar::load(train, test)?,
            (_, []) => return Err(Error::Dataset(format!("data set {} has no files; report this as a bug", known.text))),
        };
        let dataset = Dataset::of(known.text, train, test, known.classes.iter().map(ToString::to_string).collect());
        dataset.check()?;
        Ok(dataset)
    }

    /// The known name that `text` is probably a slip of.
    pub fn nearest(text: &str) -> Option<&'static str> {
        let mut names = KNOWN.iter().map(|known| known.text);
        let begun = names.clone().find(|name| text.len() > 2 && name.starts_with(text));
        begun.or_else(|| nearest(text, &mut names))
    }
}

/// The names of a data set's files, for a message.
pub(super) fn listed(files: &Files) -> String {
    let either = if files.format == Format::Cifar { "" } else { " (each raw or .gz)" };
    format!("{}{either}", files.names.join(", "))
}

/// The path of each file, or the names of those that the folder lacks.
fn find_all<'a>(folder: &Path, names: &[&'a str]) -> Result<std::result::Result<Vec<PathBuf>, Vec<&'a str>>> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for &name in names {
        match find(folder, name)? {
            Some(path) => found.push(path),
            None => absent.push(name),
        }
    }
    Ok(if absent.is_empty() { Ok(found) } else { Err(absent) })
}

/// The path under which `folder` holds `file`, if it does: IDX files may be compressed, and some archives write `.idx` for `-idx`.
pub(super) fn find(folder: &Path, file: &str) -> Result<Option<PathBuf>> {
    let variant = file.replacen("-idx", ".idx", 1);
    let candidates = [file.to_owned(), variant.clone(), format!("{file}.gz"), format!("{variant}.gz")];
    let count = if variant == file { 1 } else { candidates.len() };
    for candidate in &candidates[..count] {
        let path = folder.join(candidate);
        match fs::metadata(&path) {
            // Some archives unpack to folders of the same names beside the files.
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(Some(path)),
            Err(source) if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(idx::unreadable(&path, source)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_folder_goes_before_the_cache() {
        let (own, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = DatasetName::Mnist.known().files.as_ref().unwrap();
        let write = |folder: &Path, names: &[&str]| {
            fs::create_dir_all(folder).unwrap();
            names.iter().for_each(|name| fs::write(folder.join(name), "").unwrap());
        };
        let places = Places { data_dir: Some(own.path().into()), cache: Some(cache.path().into()) };
        assert!(places.find(files).unwrap().is_none());
        write(&cache.path().join("mnist"), files.names);
        write(own.path(), &files.names[..3]);
        assert_eq!(places.find(files).unwrap().unwrap()[0], cache.path().join("mnist/train-images-idx3-ubyte"));
        write(own.path(), files.names);
        assert_eq!(places.find(files).unwrap().unwrap()[0], own.path().join("train-images-idx3-ubyte"));
        write(&own.path().join("mnist"), files.names);
        assert_eq!(places.find(files).unwrap().unwrap()[0], own.path().join("mnist/train-images-idx3-ubyte"));
        assert_eq!(places.target(files).unwrap(), own.path().join("mnist"));
        // The folders of torchvision.
        let torch = tempfile::tempdir().unwrap();
        write(&torch.path().join("MNIST/raw"), files.names);
        for (inner, set, is_there) in [
            ("", DatasetName::Mnist, true),
            ("MNIST", DatasetName::Mnist, true),
            ("MNIST/raw", DatasetName::Mnist, true),
            ("MNIST/raw", DatasetName::FashionMnist, false),
            ("MNIST", DatasetName::Kmnist, false),
            ("", DatasetName::FashionMnist, false),
        ] {
            let places = Places { data_dir: Some(torch.path().join(inner)), cache: None };
            assert_eq!(places.find(set.known().files.as_ref().unwrap()).unwrap().is_some(), is_there, "{inner} {set}");
        }
        // MNIST's files have the names of Fashion-MNIST's.
        let others = Places { data_dir: Some(own.path().join("mnist")), cache: None };
        assert!(others.find(files).unwrap().is_some());
        assert!(others.find(DatasetName::FashionMnist.known().files.as_ref().unwrap()).unwrap().is_none());
    }

    #[test]
    fn nothing_anywhere_says_how_to_get_it() {
        let cache = tempfile::tempdir().unwrap();
        let places = Places { data_dir: None, cache: Some(cache.path().into()) };
        for known in KNOWN.iter().filter(|known| known.files.as_ref().is_some_and(|files| !files.downloads.is_empty())) {
            let error = known.name.load(&places).unwrap_err();
            let message = error.to_string();
            let fetch = format!("`ffcl-gpu data fetch {}`", known.text);
            for part in [&fetch, "--data-dir", "FFCL_DATA_DIR", known.files.as_ref().unwrap().names[0], "no file found"] {
                assert!(message.contains(part) && !message.contains('\n'), "{part}: {message}");
            }
            assert!(error.is_usage() && message.contains(&cache.path().display().to_string()), "{message}");
        }
    }

    #[test]
    fn slips_of_the_pen_are_seen() {
        for (text, meant) in
            [("mnits", Some("mnist")), ("fashion", Some("fashion-mnist")), ("cifar-10", Some("cifar10")), ("zebras", None)]
        {
            assert_eq!(DatasetName::nearest(text), meant, "{text}");
        }
    }
}
