//! Whether files are the ones they should be.

use super::catalogue::{Content, Download, Files};
use super::gzip::Unpacked;
use super::idx::unreadable;
use super::places::find;
use crate::checksum::hexadecimal;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The checksums of what came out of an archive, as `sha256sum` writes and reads them. They stand beside the files.
pub(super) const SUMS: &str = "SHA256SUMS";

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has the checksum that it should have.
    Good,
    /// It has another.
    Wrong {
        /// The checksum it has.
        has: String,
    },
    /// Its checksum is not known.
    Unknown,
}

/// The SHA-256 of everything that comes, in hexadecimal digits.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hexadecimal(hash))
}

/// The SHA-256 of a file.
pub fn of_file(path: &Path) -> Result<String> {
    File::open(path).and_then(sha256).map_err(|error| unreadable(path, error))
}

/// Checks each of a data set's files, which `paths` names in their order.
pub fn check(files: &Files, paths: &[PathBuf]) -> Result<Vec<State>> {
    files.names.iter().zip(paths).map(|(name, path)| check_file(files, name, path)).collect()
}

fn check_file(files: &Files, name: &str, path: &Path) -> Result<State> {
    let has = of_file(path)?;
    // Many archives hold the same files, raw or compressed anew.
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    let is_own = |download: &&Download| download.name.strip_suffix(".gz") == Some(name);
    let Some(download) = files.downloads.iter().find(is_own) else {
        let folder = path.parent().unwrap_or(Path::new("."));
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(match recorded(folder).into_iter().find(|(file, _)| *file == own) {
            Some((_, sum)) => compare(has, &sum),
            None if is_compressed => State::Unknown,
            None => judge_raw(files, name, path, has)?,
        });
    };
    Ok(match download.content {
        _ if has == download.sha256 => State::Good,
        Content::Gzip(Some(sum)) if is_compressed => {
            // What cannot be unpacked is not what it should be.
            if unpacked(path).is_ok_and(|unpacked| unpacked == sum) { State::Good } else { State::Wrong { has } }
        }
        Content::Gzip(Some(sum)) => compare(has, sum),
        _ if is_compressed => State::Wrong { has },
        _ => judge_raw(files, name, path, has)?,
    })
}

/// Judges a raw file whose checksum is not known by the compressed one beside it, if that is there and good.
fn judge_raw(files: &Files, name: &str, path: &Path, has: String) -> Result<State> {
    let compressed = path.with_file_name(format!("{name}.gz"));
    if !compressed.is_file() || check_file(files, name, &compressed)? != State::Good {
        return Ok(State::Unknown);
    }
    let sum = unpacked(&compressed).map_err(|error| unreadable(&compressed, error))?;
    Ok(compare(has, &sum))
}

/// The checksum of what a file holds that is compressed by gzip.
fn unpacked(path: &Path) -> io::Result<String> {
    File::open(path).map(|file| Unpacked::new(BufReader::new(file))).and_then(sha256)
}

fn compare(has: String, sum: &str) -> State {
    if has == sum { State::Good } else { State::Wrong { has } }
}

/// The names and checksums that stand in a folder's [`SUMS`]; none where there is no such file.
pub(super) fn recorded(folder: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join(SUMS)).unwrap_or_default();
    let entry = |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    text.lines().filter_map(entry).collect()
}

/// Whether all that a download yields is in `folder`, with the right checksums.
pub(super) fn is_here(files: &Files, download: &Download, folder: &Path) -> Result<bool> {
    for file in download.yields() {
        // A file of the set may be there in another form; what comes out of an archive may be another set's.
        let name = files.names.iter().find(|name| file.strip_suffix(".gz") == Some(name)).unwrap_or(&file);
        let Some(path) = find(folder, name)? else { return Ok(false) };
        // Or it is there beside a damaged one that is read in its place.
        let own = folder.join(file);
        let is_good = check_file(files, name, &path)? == State::Good
            || own != path && own.is_file() && check_file(files, name, &own)? == State::Good;
        if !is_good {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fails where one of a data set's files in `folder` is not what it should be: a raw file is read in place of the one that was
/// fetched.
pub(super) fn require_right(files: &Files, folder: &Path) -> Result<()> {
    for name in files.names {
        if let Some(path) = find(folder, name)?
            && let State::Wrong { has } = check_file(files, name, &path)?
        {
            let problem = format!("is damaged (its checksum is {has}), and it is read in place of the file that was fetched");
            return Err(Error::Format { path, problem, remedy: "remove it; nothing has to be fetched again".into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetName;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn the_hash_is_sha_256() {
        // The standard's own examples.
        assert_eq!(sha256(&b"abc"[..]).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(&b""[..]).unwrap(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn files_of_unknown_origin_are_told_from_wrong_ones() {
        let folder = tempfile::tempdir().unwrap();
        let state = |set: DatasetName, name: &str, bytes: &[u8]| {
            let files = set.known().files.as_ref().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            check_file(files, files.names[1], &path).unwrap()
        };
        let is_wrong = |state| matches!(state, State::Wrong { .. });
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"abc").unwrap();
        let compressed = encoder.finish().unwrap();
        assert!(is_wrong(state(DatasetName::Mnist, "train-labels-idx1-ubyte", b"abc")));
        assert!(is_wrong(state(DatasetName::Mnist, "train-labels-idx1-ubyte.gz", &compressed)));
        assert!(is_wrong(state(DatasetName::Mnist, "train-labels-idx1-ubyte.gz", &compressed[..5])));
        assert!(is_wrong(state(DatasetName::Kmnist, "train-labels-idx1-ubyte.gz", &compressed)));
        assert_eq!(state(DatasetName::Kmnist, "train-labels-idx1-ubyte", b"abc"), State::Unknown);
        assert_eq!(state(DatasetName::Cifar10, "data_batch_2.bin", b"abc"), State::Unknown);
        std::fs::write(folder.path().join(SUMS), format!("{}  data_batch_2.bin\n", sha256(&b"abc"[..]).unwrap())).unwrap();
        assert_eq!(state(DatasetName::Cifar10, "data_batch_2.bin", b"abc"), State::Good);
        assert!(is_wrong(state(DatasetName::Cifar10, "data_batch_2.bin", b"abd")));
    }

    /// Raw and compressed anew count as MNIST; runs where `FFCL_DATA_DIR` names a folder that holds the files.
    #[test]
    fn real_mnist_is_good_however_it_is_compressed() {
        let Some(directory) = std::env::var_os("FFCL_DATA_DIR") else { return };
        let places = crate::dataset::Places { data_dir: Some(directory.into()), cache: None };
        let files = DatasetName::Mnist.known().files.as_ref().unwrap();
        let paths = places.find(files).unwrap().unwrap();
        assert_eq!(check(files, &paths).unwrap(), vec![State::Good; 4]);
    }
}
