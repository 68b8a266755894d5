//! Suspect labels on a page.

use super::pictures;
use crate::dataset::Images;
use askama::Template;
use serde::Serialize;

/// A training image, as tables and JSON have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditRow<'a> {
    /// Its place among the training images, from 0.
    pub index: usize,
    /// Its file in a folder; empty elsewhere.
    pub file: String,
    /// The label that it has.
    pub given: &'a str,
    /// What the networks take it for.
    pub proposed: &'a str,
    /// How likely the label is wrong, as the logarithm of the odds.
    pub score: f64,
    /// Share of the answers that were the proposed class.
    pub agreement: f64,
    /// What is the matter with it; empty where nothing is.
    pub kind: &'static str,
    /// Answers.
    pub judges: u32,
    /// How likely the label is wrong.
    pub probability: f64,
    /// What it shows, as a number in hexadecimal digits: copies have one number.
    pub content: String,
}

/// What the page shows.
pub struct AuditPage<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// The training images.
    pub images: &'a Images,
    /// How they were looked at.
    pub how: String,
    /// What was found, and what is to be known beside.
    pub notes: &'a [String],
    /// Images that were looked at.
    pub checked: usize,
    /// Suspects, of which not all may be shown.
    pub count: usize,
    /// Those that are shown, in their order.
    pub shown: Vec<AuditRow<'a>>,
}

struct Suspect<'a> {
    /// None where the data is no images.
    uri: Option<String>,
    given: &'a str,
    proposed: &'a str,
    place: String,
    probability: String,
    agreement: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    version: &'static str,
    dataset: &'a str,
    how: &'a str,
    notes: &'a [String],
    checked: usize,
    count: usize,
    share: String,
    shown: Vec<Suspect<'a>>,
    has_pictures: bool,
}

impl AuditPage<'_> {
    /// As HTML.
    pub(super) fn render(&self) -> Result<String, String> {
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let shown: Vec<Suspect> = self.shown.iter().map(|row| self.suspect(row)).collect();
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            dataset: self.dataset,
            how: &self.how,
            notes: self.notes,
            checked: self.checked,
            count: self.count,
            share: percent(self.count as f64 / self.checked.max(1) as f64),
            has_pictures: shown.iter().any(|suspect| suspect.uri.is_some()),
            shown,
        };
        page.render().map_err(|error| error.to_string())
    }

    fn suspect<'a>(&self, row: &'a AuditRow) -> Suspect<'a> {
        let pixels = (!self.images.has_features()).then(|| self.images.image(row.index));
        // Only its name: the folder is the one of its class.
        let file = row.file.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
        Suspect {
            uri: pixels.and_then(|pixels| pictures::of_image(self.images.shape, pixels)),
            given: row.given,
            proposed: row.proposed,
            place: file.map_or_else(|| format!("#{}", row.index), str::to_owned),
            probability: format!("{:.0} %", 100.0 * row.probability),
            agreement: format!("{:.0} %", 100.0 * row.agreement),
        }
    }
}
