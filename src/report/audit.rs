//! Suspect labels on a page.

use super::pictures;
use crate::dataset::Images;
use crate::train::Doubt;
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
    /// Mean loss at the label, in nats.
    pub score: f64,
    /// Share of the answers that were the proposed class.
    pub agreement: f64,
}

/// What the page shows.
pub struct AuditPage<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// The training images.
    pub images: &'a Images,
    /// How they were looked at.
    pub how: String,
    /// Images that were looked at.
    pub checked: usize,
    /// Suspects, of which not all may be shown.
    pub count: usize,
    /// Those that are shown, in their order.
    pub shown: Vec<(&'a Doubt, AuditRow<'a>)>,
}

struct Suspect<'a> {
    /// None where the data is no images.
    uri: Option<String>,
    given: &'a str,
    proposed: &'a str,
    place: String,
    score: String,
    agreement: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    version: &'static str,
    dataset: &'a str,
    how: &'a str,
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
        let shown: Vec<Suspect> = self.shown.iter().map(|(doubt, row)| self.suspect(doubt, row)).collect();
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            dataset: self.dataset,
            how: &self.how,
            checked: self.checked,
            count: self.count,
            share: percent(self.count as f64 / self.checked.max(1) as f64),
            has_pictures: shown.iter().any(|suspect| suspect.uri.is_some()),
            shown,
        };
        page.render().map_err(|error| error.to_string())
    }

    fn suspect<'a>(&self, doubt: &Doubt, row: &'a AuditRow) -> Suspect<'a> {
        let pixels = (!self.images.has_features()).then(|| self.images.image(doubt.index));
        // Only its name: the folder is the one of its class.
        let file = row.file.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
        Suspect {
            uri: pixels.and_then(|pixels| pictures::of_image(self.images.shape, pixels)),
            given: row.given,
            proposed: row.proposed,
            place: file.map_or_else(|| format!("#{}", row.index), str::to_owned),
            score: format!("{:.2}", row.score),
            agreement: format!("{:.0} %", 100.0 * row.agreement),
        }
    }
}
