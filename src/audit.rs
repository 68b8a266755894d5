//! What an audit writes: a table of suspect labels, a page with their pictures, and a cleaned copy of the data.

mod clean;
mod stopped;

pub use clean::{Original, check_clean, write_clean};
pub use stopped::{CHECKPOINT, check_same, forget, is_stopped, keep, take_up};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::output::whole_file::write_whole;
use crate::report::{self, AuditPage, AuditRow};
use crate::train::{Doubt, Doubts};
use std::path::{Path, PathBuf};

/// The table of suspects,
pub const TABLE: &str = "suspects.csv";
/// the page,
pub const PAGE: &str = "suspects.html";
/// and how they were found.
pub const RECORD: &str = "audit.json";

/// What an audit found out about a data set's labels.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// The data.
    pub dataset: &'a Dataset,
    /// The files of its training images, where it is a folder.
    pub files: &'a [PathBuf],
    /// Every training image that was seen, the most doubtful first.
    pub ranked: Vec<Doubt>,
}

impl<'a> Findings<'a> {
    /// Of the training images of `dataset`.
    pub fn new(dataset: &'a Dataset, files: &'a [PathBuf], doubts: &Doubts) -> Self {
        Self { dataset, files, ranked: doubts.ranked(&dataset.train.labels) }
    }

    /// Those whose label the networks would change, the most doubtful first.
    pub fn suspects(&self) -> impl Iterator<Item = &Doubt> {
        self.ranked.iter().filter(|doubt| doubt.is_suspect())
    }

    /// An image for a table.
    pub fn row(&self, doubt: &Doubt) -> AuditRow<'a> {
        let name = |class: u8| self.dataset.class_names[usize::from(class)].as_str();
        let file = self.files.get(doubt.index).map_or_else(String::new, |path| path.display().to_string());
        let (given, proposed) = (name(doubt.label), name(doubt.proposed));
        AuditRow { index: doubt.index, file, given, proposed, score: doubt.score, agreement: doubt.agreement }
    }

    /// Writes the table; `all` lists every image and not only suspects.
    pub fn write_table(&self, folder: &Path, all: bool) -> Result<PathBuf> {
        let path = folder.join(TABLE);
        let mut table = csv::Writer::from_writer(Vec::new());
        let of_memory = |problem: String| Error::Format {
            path: path.clone(),
            problem: format!("cannot be made: {problem}"),
            remedy: "report this as a bug".into(),
        };
        // Written by itself, since a table without rows has a head, too.
        table
            .write_record(["index", "file", "given", "proposed", "score", "agreement"])
            .map_err(|error| of_memory(error.to_string()))?;
        for doubt in self.ranked.iter().filter(|doubt| all || doubt.is_suspect()) {
            let AuditRow { index, file, given, proposed, score, agreement } = self.row(doubt);
            let numbers = [format!("{score:.4}"), format!("{agreement:.4}")];
            let record = [&index.to_string(), &file, given, proposed, &numbers[0], &numbers[1]];
            table.write_record(record).map_err(|error| of_memory(error.to_string()))?;
        }
        let bytes = table.into_inner().map_err(|error| of_memory(error.to_string()))?;
        write_whole(&path, &bytes)?;
        Ok(path)
    }

    /// Writes the page, with the pictures of the first `most` suspects. `how` says how they were found.
    pub fn write_page(&self, folder: &Path, most: usize, how: String) -> Result<PathBuf> {
        let path = folder.join(PAGE);
        let count = self.suspects().count();
        let shown = self.suspects().take(most).map(|doubt| (doubt, self.row(doubt)));
        let page = AuditPage {
            dataset: &self.dataset.name,
            images: &self.dataset.train,
            how,
            checked: self.ranked.len(),
            count,
            shown: shown.collect(),
        };
        report::write_audit(&path, &page)?;
        Ok(path)
    }
}
