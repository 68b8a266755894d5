//! Results brought into order: seeds of a cell together, cells that differ only by their variant together.

use super::grid::CellKey;
use super::manifest::Manifest;
use super::results::SeedResult;
use super::statistics::{mean_and_deviation, paired_interval};

/// A number of each seed.
pub type Measure = fn(&SeedResult) -> f64;

/// Mean of A and B.
pub const SINGLE: Measure = |result| result.test_accuracy_single;
/// Both together.
pub const ENSEMBLE: Measure = |result| result.test_accuracy_ensemble;

/// The results of one cell.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The cell.
    pub cell: &'a CellKey,
    /// Its results, by seed.
    pub results: Vec<&'a SeedResult>,
}

impl Row<'_> {
    /// Mean and sample deviation over the seeds.
    pub fn of(&self, measure: Measure) -> (f64, f64) {
        mean_and_deviation(self.results.iter().map(|result| measure(result)))
    }

    /// Number of seeds that both have, then mean and half the 95 % interval's width of `self` − `other` over them.
    pub fn minus(&self, other: &Row, measure: Measure) -> (usize, Option<(f64, f64)>) {
        let partner = |result: &SeedResult| other.results.iter().find(|other| other.seed == result.seed);
        let difference = |result: &&SeedResult| partner(result).map(|other| measure(result) - measure(other));
        let differences: Vec<_> = self.results.iter().filter_map(difference).collect();
        (differences.len(), paired_interval(&differences))
    }
}

/// Cells that differ by nothing but their variant.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The data that they learned.
    pub dataset: &'a str,
    /// Widths of the networks.
    pub layers: &'a [usize],
    /// Training images.
    pub train_images: usize,
    /// The cells, in the order of the variants.
    pub rows: Vec<Row<'a>>,
}

impl<'a> Group<'a> {
    /// The row of a variant.
    pub fn row(&self, variant: &str) -> Option<&Row<'a>> {
        self.rows.iter().find(|row| row.cell.variant == variant)
    }
}

/// A study's results in the order of its cells.
#[derive(Clone, Debug)]
pub struct Summary<'a> {
    /// The study.
    pub manifest: &'a Manifest,
    /// The groups that have results.
    pub groups: Vec<Group<'a>>,
    /// Cells that lack a seed.
    pub unfinished: Vec<&'a CellKey>,
}

impl<'a> Summary<'a> {
    /// Results that belong to no cell, such as those of an earlier state of the study's file, are left out.
    pub fn new(manifest: &'a Manifest, results: &'a [SeedResult]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut unfinished = Vec::new();
        for cell in manifest.cells.iter().map(|cell| &cell.key) {
            let is_own = |result: &&SeedResult| result.cell == *cell && manifest.all_seeds().any(|seed| seed == result.seed);
            let mut own: Vec<_> = results.iter().filter(is_own).collect();
            own.sort_by_key(|result| result.seed);
            if own.len() < manifest.seeds {
                unfinished.push(cell);
            }
            if own.is_empty() {
                continue;
            }
            let row = Row { cell, results: own };
            let fits = |group: &&mut Group| {
                (group.dataset, group.layers, group.train_images) == (&cell.dataset[..], &cell.layers[..], cell.train_images)
            };
            match groups.iter_mut().find(fits) {
                Some(group) => group.rows.push(row),
                None => groups.push(Group {
                    dataset: &cell.dataset,
                    layers: &cell.layers,
                    train_images: cell.train_images,
                    rows: vec![row],
                }),
            }
        }
        Self { manifest, groups, unfinished }
    }

    /// The variants that have results, in the study's order.
    pub fn variants(&self) -> Vec<&'a str> {
        let mut variants: Vec<&str> = Vec::new();
        for cell in &self.manifest.cells {
            let variant = cell.key.variant.as_str();
            if !variants.contains(&variant) && self.groups.iter().any(|group| group.row(variant).is_some()) {
                variants.push(variant);
            }
        }
        variants
    }

    /// The data sets that have results, in the study's order.
    pub fn datasets(&self) -> Vec<&'a str> {
        let mut datasets: Vec<_> = self.groups.iter().map(|group| group.dataset).collect();
        datasets.dedup();
        datasets
    }

    /// The groups of one data set.
    pub fn groups_of(&self, dataset: &str) -> impl Iterator<Item = &Group<'a>> {
        self.groups.iter().filter(move |group| group.dataset == dataset)
    }
}
