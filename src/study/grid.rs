//! The cells of a study: every combination of data set, layers, number of training images and variant.

use super::fingerprint::fingerprint;
use super::request::{Study, joined};
use crate::config::{DataShape, Extent, Idle, RunOptions, TrainingConfig};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a cell is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellKey {
    /// The data to learn, as the study's file names it.
    pub dataset: String,
    /// Widths of the network.
    pub layers: Vec<usize>,
    /// Training images.
    pub train_images: usize,
    /// The variant's name.
    pub variant: String,
    /// Changes with every option of the run, with the data set's name, size and labels, with what is held out, and with the content of
    /// data that is no known set; not with the program's version.
    pub fingerprint: String,
}

impl std::fmt::Display for CellKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}, {} images, {}", self.dataset, joined(&self.layers), self.train_images, self.variant)
    }
}

/// One point of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What it is.
    #[serde(flatten)]
    pub key: CellKey,
    /// Steps of each seed's run.
    pub steps: u64,
    /// The run of the first seed.
    pub training: TrainingConfig,
}

/// The cells of `study` in their order; `datasets` are those that it names, held-out images already taken away.
pub fn cells(study: &Study, datasets: &[Dataset]) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (name, dataset) in study.datasets.iter().zip(datasets) {
        let available = dataset.train.count();
        let shapes: Vec<_> = study.layers.as_ref().map_or(vec![None], |shapes| shapes.iter().map(Some).collect());
        for shape in shapes {
            for &size in study.train_sizes.as_deref().unwrap_or(&[available]) {
                if size > available {
                    return Err(Error::Configuration(format!(
                        "train-sizes names {size}, but {name} has {available} images to train on; give no more"
                    )));
                }
                for (variant, own) in &study.variants {
                    let options = own.over(&study.base);
                    let layers = shape.cloned().or(options.layers.clone());
                    let (options, data) = (RunOptions { layers, ..options }, DataShape { images: size, ..dataset.into() });
                    let refused =
                        |error: Error| Error::Configuration(format!("variant {variant} with {size} images of {name}: {error}"));
                    let extent = Extent { seed: study.first_seed, ..Extent::default() };
                    let fitted = options.fit(&data, extent, Idle::Refused(&own.given())).map_err(refused)?;
                    let mut training = fitted.config;
                    let per_epoch = training.steps_per_epoch(size) as u64;
                    if let Some(steps) = study.steps {
                        training.epochs = u32::try_from(steps.div_ceil(per_epoch)).map_err(|_| {
                            Error::Configuration(format!("steps = {steps} takes too many epochs; give fewer steps"))
                        })?;
                    }
                    training.check()?;
                    let options = RunOptions { epochs: Some(training.epochs), ..fitted.complete };
                    let key = CellKey {
                        dataset: name.clone(),
                        layers: training.architecture.widths(),
                        train_images: size,
                        variant: variant.clone(),
                        fingerprint: fingerprint((&training, &options), dataset, size, study.hold_out)?,
                    };
                    cells.push(Cell { key, steps: per_epoch * u64::from(training.epochs), training });
                }
            }
        }
    }
    Ok(cells)
}

/// One of several machines that share a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// Whether it is the one that trains cell `cell`.
    pub fn has(&self, cell: usize) -> bool {
        cell % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("give i/n with i from 1 to n, such as 2/8".into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::dataset::digits;
    use crate::study::request::tests::study;

    pub fn grid(rest: &str) -> Result<Vec<Cell>> {
        let text = format!("title = 'A'\nseeds = 2\ndatasets = ['digits']\n{rest}");
        cells(&study(&text).unwrap(), &[digits::generate_with_counts(digits::SEED, 300, 20)])
    }

    #[test]
    fn every_combination_is_a_cell_and_variants_vary_fastest() {
        let axes = "train-sizes = [200, 300]\nlayers = [[784, 8, 10], [784, 10]]\n[base]\nbatch-size = 50\nepochs = 2";
        let cells = grid(&format!("{axes}\n[variants.b]\n[variants.a]\nepochs = 3\nrecipe = 'paper'")).unwrap();
        let shown: Vec<_> = cells.iter().map(|cell| (cell.key.to_string(), cell.steps)).collect();
        assert_eq!(shown.len(), 8);
        assert_eq!(shown[0], ("digits 784-8-10, 200 images, b".into(), 8));
        assert_eq!(shown[1], ("digits 784-8-10, 200 images, a".into(), 12));
        assert_eq!(shown[7], ("digits 784-10, 300 images, a".into(), 18));
        let fingerprints: std::collections::HashSet<_> = cells.iter().map(|cell| &cell.key.fingerprint).collect();
        assert_eq!(fingerprints.len(), 8);
    }

    #[test]
    fn steps_become_whole_epochs() {
        let cells = grid("steps = 10\ntrain-sizes = [200, 300]\n[base]\nbatch-size = 50\n[variants.a]").unwrap();
        let epochs: Vec<_> = cells.iter().map(|cell| (cell.training.epochs, cell.steps)).collect();
        assert_eq!(epochs, [(3, 12), (2, 12)]);
    }

    #[test]
    fn what_the_data_cannot_give_is_refused() {
        let refused = |rest| grid(rest).unwrap_err().to_string();
        assert!(refused("train-sizes = [301]\n[variants.a]").contains("has 300 images"));
        assert!(refused("train-sizes = [100]\n[variants.a]").contains("variant a with 100 images of digits: --batch-size 128"));
        assert!(refused("layers = [[783, 10]]\n[variants.a]").contains("784 pixels"));
    }

    #[test]
    fn shards_share_the_cells() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|text| text.parse().unwrap()).collect();
        for cell in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.has(cell)).count(), 1);
        }
        for wrong in ["", "1", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/5"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
