//! What came out: a JSON line for each cell and seed, appended when a cell is done. A process that is killed while it writes
//! leaves at most a torn last line, which readers ignore and the next writer cuts off.

use super::grid::{CellKey, Shard};
use crate::diagnosis::Sign;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One seed's numbers of one cell. Accuracies are fractions; "single" is the mean of A and B, "ensemble" the mean of both softmax
/// outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// The study's title.
    pub study: String,
    /// The cell.
    #[serde(flatten)]
    pub cell: CellKey,
    /// The seed.
    pub seed: u64,
    /// Training images that it was measured on instead of the test set.
    pub hold_out: Option<usize>,
    /// On the training images as they passed by in the last epoch.
    pub train_accuracy: f64,
    /// After the last epoch.
    pub test_accuracy_a: f64,
    /// After the last epoch.
    pub test_accuracy_b: f64,
    /// After the last epoch.
    pub test_accuracy_single: f64,
    /// After the last epoch.
    pub test_accuracy_ensemble: f64,
    /// The best epoch's: chosen by the images that it is measured on, so it is no honest measure.
    pub best_test_accuracy_single: f64,
    /// That epoch, from 1.
    pub best_epoch: u32,
    /// What looked like failure after the last epoch.
    #[serde(default)]
    pub signs: Vec<Sign>,
    /// Epoch by epoch.
    pub curve: Curve,
    /// Steps taken.
    pub steps: u64,
    /// Wall time of the epochs, of all seeds that trained side by side.
    pub seconds: f64,
    /// How many those were.
    pub side_by_side: usize,
    /// Where it was trained.
    pub device: String,
    /// The program's version.
    pub version: String,
}

/// Numbers of each epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Test accuracy, mean of A and B.
    pub test_accuracy_single: Vec<f64>,
    /// Test accuracy of both together.
    pub test_accuracy_ensemble: Vec<f64>,
    /// `[epoch][layer]`: mean loss over the epoch's images and both models.
    pub layer_losses: Vec<Vec<f64>>,
    /// `[epoch][hidden layer]`: directions that share the variance of the activations, mean of A and B.
    #[serde(default)]
    pub participation_ratio: Vec<Vec<f64>>,
}

/// Every result in a study's folder, files in the order of their names, each cell and seed once. No folder holds no results.
pub fn read_all(folder: &Path) -> Result<Vec<SeedResult>> {
    let mut seen = HashSet::new();
    let mut results = Vec::new();
    for path in files(folder)? {
        for result in read(&path)? {
            if seen.insert((result.cell.clone(), result.seed)) {
                results.push(result);
            }
        }
    }
    Ok(results)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| Error::file("read the folder", folder, error, "give the folder of a study");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let is_results = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "results.jsonl" || (name.starts_with("results-") && name.ends_with(".jsonl"))
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>().map_err(fail)?;
    let mut paths: Vec<_> = paths.into_iter().filter(is_results).collect();
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<SeedResult>> {
    let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error, "make it readable, or move it away"))?;
    let lines = bytes[..whole(&bytes)].split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let parse = |(index, line)| {
        serde_json::from_slice(line).map_err(|error| Error::Format {
            path: path.to_owned(),
            problem: format!("holds something other than a result in line {}: {error}", index + 1),
            remedy: "remove that line; its cell will be trained again".into(),
        })
    };
    lines.map(parse).collect()
}

/// Bytes up to the end of the last whole line.
fn whole(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

/// The file that this process appends to.
pub struct Writer {
    path: PathBuf,
    file: File,
}

impl Writer {
    /// Opens or makes the file of a shard, or of the whole study, for this process alone.
    pub fn open(folder: &Path, shard: Option<Shard>) -> Result<Self> {
        let name = match shard {
            Some(Shard { index, count }) => format!("results-{index}-of-{count}.jsonl"),
            None => "results.jsonl".to_owned(),
        };
        let path = folder.join(name);
        let fail = |error| Error::file("write", &path, error, "give --out a folder that can be written");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        // Not every file system has locks; where there are none, nobody is kept out.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Configuration(format!(
                "{} is being written by another process; wait for it, or give each its own --shard",
                path.display()
            )));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        file.set_len(whole(&bytes) as u64).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self { path, file })
    }

    /// Appends a cell's results, and returns when they are on the disk.
    pub fn append(&mut self, results: &[SeedResult]) -> Result<()> {
        let lines: String = results.iter().map(|result| format!("{}\n", serde_json::json!(result))).collect();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::file("write", &self.path, error, "free some space and run again"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A result in which only what a test looks at has a meaning.
    pub fn result(variant: &str, train_images: usize, seed: u64, accuracy: f64) -> SeedResult {
        SeedResult {
            study: "A study".into(),
            cell: CellKey {
                dataset: "digits".into(),
                layers: vec![784, 10],
                train_images,
                variant: variant.into(),
                fingerprint: format!("{variant}{train_images}"),
            },
            seed,
            hold_out: None,
            train_accuracy: accuracy,
            test_accuracy_a: accuracy,
            test_accuracy_b: accuracy,
            test_accuracy_single: accuracy,
            test_accuracy_ensemble: accuracy,
            best_test_accuracy_single: accuracy,
            best_epoch: 1,
            signs: Vec::new(),
            curve: Curve {
                test_accuracy_single: vec![accuracy / 2.0, accuracy],
                test_accuracy_ensemble: vec![accuracy / 2.0, accuracy],
                layer_losses: vec![vec![1.0]; 2],
                participation_ratio: vec![Vec::new(); 2],
            },
            steps: 2,
            seconds: 1.0,
            side_by_side: 1,
            device: "a device".into(),
            version: "0".into(),
        }
    }

    #[test]
    fn lines_come_back_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_all(&folder.path().join("none")).unwrap(), []);
        let [first, second, third] = [1, 2, 3].map(|seed| result("a", 10, seed, 0.1));
        Writer::open(folder.path(), None).unwrap().append(&[first.clone(), second.clone()]).unwrap();
        let path = folder.path().join("results.jsonl");
        let torn = std::fs::read(&path).unwrap();
        std::fs::write(&path, &torn[..torn.len() - 9]).unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), std::slice::from_ref(&first));
        Writer::open(folder.path(), None).unwrap().append(std::slice::from_ref(&third)).unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), [first.clone(), third.clone()]);
        // Another shard's file counts too, and nothing counts twice.
        let shard = Some(Shard { index: 2, count: 2 });
        Writer::open(folder.path(), shard).unwrap().append(&[second.clone(), first.clone()]).unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), [second, first, third]);
    }

    #[test]
    fn two_writers_of_one_file_and_strange_lines_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path(), None).unwrap();
        assert!(Writer::open(folder.path(), None).err().unwrap().to_string().contains("another process"));
        drop(writer);
        std::fs::write(folder.path().join("results.jsonl"), "{}\n").unwrap();
        assert!(read_all(folder.path()).unwrap_err().to_string().contains("line 1"));
    }
}
