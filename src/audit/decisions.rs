//! What becomes of labels: by a table of suspects, or by what a person decided about them.

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::train::Verdict;
use std::path::Path;

/// The largest share of the images that a copy leaves out without `--force`.
const MOST: f64 = 0.1;

const REMEDY: &str =
    "give a suspects.csv of audit, or a table with the columns index and decision (keep, drop or relabel) and, to relabel, label";

/// The label that each training image keeps or gets; none where it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    labels: Vec<Option<u8>>,
}

impl Decisions {
    /// Suspects are left out, or get the label that is proposed for them.
    pub fn of_suspects<'v>(given: &[u8], suspects: impl Iterator<Item = &'v Verdict>, relabel: bool) -> Self {
        let mut labels: Vec<Option<u8>> = given.iter().copied().map(Some).collect();
        suspects.for_each(|verdict| labels[verdict.index] = relabel.then_some(verdict.proposed));
        Self { labels }
    }

    /// Those of a table about the training images of `dataset`. Where it has a column `decision`, that says for each row whether the image is
    /// kept, dropped or gets the class in the column `label`; else its rows are suspects, as in [`Decisions::of_suspects`].
    pub fn read(path: &Path, dataset: &Dataset, relabel: bool) -> Result<Self> {
        let fail = |problem: String| Error::Format { path: path.to_owned(), problem, remedy: REMEDY.into() };
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error, REMEDY))?;
        // Spreadsheets begin with a mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut table = csv::Reader::from_reader(bytes);
        let names = table.headers().map_err(|error| fail(format!("is no table: {error}")))?.clone();
        let column = |name: &str| names.iter().position(|other| other.trim().eq_ignore_ascii_case(name));
        let Some(index) = column("index") else { return Err(fail("has no column index".into())) };
        let (given, decision, content) = (column("given"), column("decision"), column("content"));
        let contents = if content.is_some() { dataset.train.contents() } else { Vec::new() };
        let label = column(if decision.is_some() { "label" } else { "proposed" });
        let class = |name: &str| dataset.class_names.iter().position(|other| other == name).map(|class| class as u8);
        let mut labels: Vec<Option<u8>> = dataset.train.labels.iter().copied().map(Some).collect();
        let mut seen = vec![false; labels.len()];
        for (row, record) in table.records().enumerate() {
            // Behind the names, and from 1.
            let line = row + 2;
            let record = record.map_err(|error| fail(format!("is no table: {error}")))?;
            let field = |column: Option<usize>| column.and_then(|column| record.get(column)).map_or("", str::trim);
            let image = field(Some(index)).parse::<usize>().ok().filter(|&image| image < labels.len()).ok_or_else(|| {
                fail(format!(
                    "has {:?} in line {line}, and the training images are 0 to {}",
                    field(Some(index)),
                    labels.len() - 1
                ))
            })?;
            if std::mem::replace(&mut seen[image], true) {
                return Err(fail(format!("decides twice about image {image}, again in line {line}")));
            }
            let now = &dataset.class_names[usize::from(dataset.train.labels[image])];
            if given.is_some() && field(given) != now {
                let given = field(given);
                return Err(fail(format!(
                    "is about other data: in line {line} image {image} is labelled {given:?}, and here {now:?}"
                )));
            }
            if contents.get(image).is_some_and(|content_here| field(content) != format!("{content_here:016x}")) {
                return Err(fail(format!("is about other data: in line {line} image {image} has another content")));
            }
            let relabelled = || {
                let name = field(label);
                class(name).ok_or_else(|| fail(format!("has the class {name:?} in line {line}, which this data has not")))
            };
            labels[image] = match (decision.map(|column| field(Some(column))), relabel) {
                (Some("keep" | ""), _) => continue,
                (Some("drop"), _) | (None, false) => None,
                (Some("relabel"), _) | (None, true) => Some(relabelled()?),
                (Some(other), _) => {
                    return Err(fail(format!("has the decision {other:?} in line {line}, which is not keep, drop or relabel")));
                }
            };
        }
        Ok(Self { labels })
    }

    /// Refuses to lose a class, or more than a tenth of the images.
    pub fn check(&self, dataset: &Dataset) -> Result<()> {
        let (dropped, all) = (self.labels.iter().filter(|label| label.is_none()).count(), self.labels.len());
        let lost = (0..dataset.classes()).find(|&class| {
            let has = |label: u8| usize::from(label) == class;
            dataset.train.labels.iter().any(|&label| has(label)) && !self.labels.iter().flatten().any(|&label| has(label))
        });
        let problem = match lost {
            Some(class) => format!("loses the class {}", dataset.class_names[class]),
            None if dropped as f64 > MOST * all as f64 => format!("leaves out {dropped} of {all} images"),
            None => return Ok(()),
        };
        Err(Error::Configuration(format!("the clean copy {problem}, and was not written; look at the suspects, or add --force")))
    }

    /// The labels.
    pub fn labels(&self) -> &[Option<u8>] {
        &self.labels
    }

    /// How many images are left out, and how many get another label.
    pub fn counts(&self, given: &[u8]) -> (usize, usize) {
        let dropped = self.labels.iter().filter(|label| label.is_none()).count();
        let changed = self.labels.iter().zip(given).filter(|(label, given)| label.is_some_and(|label| label != **given)).count();
        (dropped, changed)
    }

    /// Lays the decisions over the training images.
    pub fn apply(&self, dataset: &mut Dataset) {
        let kept: Vec<usize> = (0..self.labels.len()).filter(|&image| self.labels[image].is_some()).collect();
        dataset.train.labels.iter_mut().zip(&self.labels).for_each(|(label, new)| *label = new.unwrap_or(*label));
        if kept.len() < self.labels.len() {
            dataset.train = dataset.train.select(&kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::digits;
    use tempfile::TempDir;

    fn read(table: &str, relabel: bool) -> std::result::Result<Decisions, String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, table).unwrap();
        let mut dataset = digits::generate_with_counts(1, 40, 10);
        dataset.train.labels = (0..40).map(|image| image % 10).collect();
        Decisions::read(&path, &dataset, relabel).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_suspects_unless_a_person_decided() {
        let suspects = "\u{feff}index,file,given,proposed\n3,,3,5\n12,,2,7\n";
        let changed = |decisions: Decisions| {
            let at = |image: usize| decisions.labels[image];
            ((at(3), at(12)), decisions.labels.iter().flatten().count())
        };
        assert_eq!(changed(read(suspects, false).unwrap()), ((None, None), 38));
        assert_eq!(changed(read(suspects, true).unwrap()), ((Some(5), Some(7)), 40));
        let decided = "index,given,decision,label\n3,3,keep,\n12,2,relabel,0\n13,3,drop,\n";
        assert_eq!(changed(read(decided, false).unwrap()), ((Some(3), Some(0)), 39));
    }

    #[test]
    fn tables_about_other_data_are_refused() {
        for (table, part) in [
            ("a,b\n1,2\n", "no column index"),
            ("index\n40\n", "0 to 39"),
            ("index\n4\n4\n", "twice"),
            ("index,given\n3,4\n", "other data"),
            ("index,decision\n3,maybe\n", "\"maybe\" in line 2"),
            ("index,decision,label\n3,relabel,11\n", "the class \"11\""),
        ] {
            let error = read(table, false).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn classes_and_many_images_are_not_lost_by_accident() {
        let mut dataset = digits::generate_with_counts(1, 40, 10);
        dataset.train.labels = (0..40).map(|image| if image == 0 { 9 } else { image % 9 }).collect();
        let without = |images: &[usize]| {
            let mut labels: Vec<Option<u8>> = dataset.train.labels.iter().copied().map(Some).collect();
            images.iter().for_each(|&image| labels[image] = None);
            Decisions { labels }
        };
        without(&[1, 2, 3, 4]).check(&dataset).unwrap();
        assert!(without(&[1, 2, 3, 4, 5]).check(&dataset).unwrap_err().to_string().contains("5 of 40"));
        assert!(without(&[0]).check(&dataset).unwrap_err().to_string().contains("the class 9"));
        let decisions = without(&[0, 7]);
        assert_eq!(decisions.counts(&dataset.train.labels), (2, 0));
        decisions.apply(&mut dataset);
        assert_eq!((dataset.train.count(), dataset.train.labels[0], dataset.train.labels[6]), (38, 1, 8));
    }
}
