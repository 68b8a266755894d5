//! What an audit writes: a table of suspect labels, a page with their pictures, and a cleaned copy of the data.

mod clean;
mod decisions;
mod kind;
mod stopped;

pub use clean::{Original, check_clean, write_clean};
pub use decisions::Decisions;
pub use kind::Kind;
pub use stopped::{CHECKPOINT, check_same, forget, is_stopped, keep, take_up};

use crate::dataset::{Copies, Dataset};
use crate::error::{Error, Result};
use crate::output::whole_file::write_whole;
use crate::report::{self, AuditPage, AuditRow};
use crate::train::{Verdict, Verdicts};
use std::path::{Path, PathBuf};

/// The table of suspects,
pub const TABLE: &str = "suspects.csv";
/// that of all images,
pub const SCORES: &str = "scores.csv";
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
    /// What is said of each label, and of all together.
    pub verdicts: Verdicts,
    /// Images that are there more than once.
    pub copies: Copies,
}

impl<'a> Findings<'a> {
    /// Of the training images of `dataset`.
    pub fn new(dataset: &'a Dataset, files: &'a [PathBuf], verdicts: Verdicts) -> Self {
        Self { dataset, files, verdicts, copies: Copies::of(dataset) }
    }

    /// An image for a table.
    pub fn row(&self, verdict: &Verdict) -> AuditRow<'a> {
        let name = |class: u8| self.dataset.class_names[usize::from(class)].as_str();
        let is_contradicted = self.copies.contradicted.binary_search(&(verdict.index as u32)).is_ok();
        AuditRow {
            index: verdict.index,
            file: self.files.get(verdict.index).map_or_else(String::new, |path| path.display().to_string()),
            given: name(verdict.label),
            proposed: name(verdict.proposed),
            score: verdict.score,
            agreement: verdict.agreement,
            kind: Kind::of(verdict, is_contradicted).name(),
            judges: verdict.judges,
            probability: verdict.wrong,
            content: format!("{:016x}", self.copies.contents[verdict.index]),
        }
    }

    /// Writes the table of suspects, and that of all images, in which suspects come first.
    pub fn write_tables(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(TABLE);
        self.write_table(&path, self.verdicts.suspects())?;
        let others = self.verdicts.ranked.iter().filter(|verdict| !verdict.is_suspect());
        self.write_table(&folder.join(SCORES), self.verdicts.suspects().chain(others))?;
        Ok(path)
    }

    fn write_table<'v>(&self, path: &Path, verdicts: impl Iterator<Item = &'v Verdict>) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let of_memory = |problem: String| Error::Format {
            path: path.to_owned(),
            problem: format!("cannot be made: {problem}"),
            remedy: "report this as a bug".into(),
        };
        // Written by itself, since a table without rows has a head, too.
        let head = ["index", "file", "given", "proposed", "score", "agreement", "kind", "judges", "probability", "content"];
        table.write_record(head).map_err(|error| of_memory(error.to_string()))?;
        for verdict in verdicts {
            let AuditRow { index, file, given, proposed, score, agreement, kind, judges, probability, content } =
                self.row(verdict);
            let [score, agreement, probability] = [score, agreement, probability].map(|number| format!("{number:.4}"));
            let (index, judges) = (index.to_string(), judges.to_string());
            let record = [&index, &file, given, proposed, &score, &agreement, kind, &judges, &probability, &content];
            table.write_record(record).map_err(|error| of_memory(error.to_string()))?;
        }
        let bytes = table.into_inner().map_err(|error| of_memory(error.to_string()))?;
        write_whole(path, &bytes)
    }

    /// Writes the page, with the pictures of the first `most` suspects. `how` says how they were found, `notes` what is to be known beside.
    pub fn write_page(&self, folder: &Path, most: usize, how: String, notes: &[String]) -> Result<PathBuf> {
        let path = folder.join(PAGE);
        let shown = self.verdicts.suspects().take(most).map(|verdict| self.row(verdict));
        let page = AuditPage {
            dataset: &self.dataset.name,
            images: &self.dataset.train,
            how,
            notes,
            checked: self.verdicts.ranked.len(),
            count: self.verdicts.suspects().count(),
            shown: shown.collect(),
        };
        report::write_audit(&path, &page)?;
        Ok(path)
    }

    /// What the networks say of all labels together, and what is to be known of copies, in sentences.
    pub fn summary(&self) -> Vec<String> {
        let (count, checked) = (self.verdicts.suspects().count(), self.verdicts.ranked.len());
        let mut lines = vec![match self.verdicts.wrong {
            Some(wrong) => format!(
                "about {:.0} of {checked} labels are wrong ({:.0} to {:.0}); {count} are listed, of which about {:.0} are wrong",
                wrong.about,
                wrong.low,
                wrong.high,
                self.verdicts.expected()
            ),
            None => format!("nothing is said of {checked} labels"),
        }];
        let Copies { within, contradicted, tested, .. } = &self.copies;
        if !within.is_empty() {
            let (within, contradicted) = (within.len(), contradicted.len());
            lines.push(format!(
                "{within} training images have copies, {contradicted} of them with other labels ({SCORES}, kind duplicate)"
            ));
        }
        if !tested.is_empty() {
            lines.push(format!("{} training images are in the test set, too", tested.len()));
        }
        lines
    }

    /// What the networks know too little of, with what helps.
    pub fn warnings(&self) -> Vec<String> {
        if self.verdicts.wrong.is_none() {
            return vec![
                "the networks know too little of this data to say which labels are wrong: no label is judged; give more images, more --epochs, or features of a trained network".into(),
            ];
        }
        let named = |&class: &u8| {
            let count = self.dataset.train.labels.iter().filter(|&&label| label == class).count();
            format!("{} ({count} images)", self.dataset.class_names[usize::from(class)])
        };
        let unknown: Vec<String> = self.verdicts.unknown.iter().map(named).collect();
        if unknown.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "the networks know too little of {}: these labels are not judged; give more such images",
            unknown.join(", ")
        )]
    }
}
