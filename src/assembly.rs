//! Assembles a run on data: the configuration fitted to the data, labels made wrong or taken away where that was asked. Every run begins
//! here, whether the program, a study, Python or the page asks for it.

mod few;
mod noise;

use crate::config::{DataShape, Extent, Fitted, Idle, LabelNoise, Labelled, RunOptions, TrainingConfig};
use crate::dataset::Dataset;
use crate::engine::Job;
use crate::error::Result;
use std::borrow::Cow;

/// A run that can begin.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    /// The run.
    pub config: TrainingConfig,
    /// Every option with the value that it has in this run.
    pub complete: RunOptions,
    /// Its data; a copy only where labels change.
    pub dataset: Cow<'a, Dataset>,
    /// The labels before some were made wrong, if they were.
    pub truth: Option<Vec<u8>>,
}

impl Prepared<'_> {
    /// What backends and trainers take.
    pub fn job(&self) -> Job<'_> {
        Job { config: &self.config, dataset: &self.dataset }
    }
}

impl RunOptions {
    /// The run on this data. Data that others need as it is comes borrowed.
    pub fn on<'a>(&self, dataset: Cow<'a, Dataset>, extent: Extent, idle: Idle) -> Result<Prepared<'a>> {
        let Fitted { config, complete } = self.fit(&DataShape::from(&*dataset), extent, idle)?;
        let (dataset, truth) = with_labels_of(&config, dataset)?;
        Ok(Prepared { config, complete, dataset, truth })
    }
}

/// The data with labels made wrong or taken away as `config` asks, and the labels before some were made wrong, if they were.
pub fn with_labels_of<'a>(config: &TrainingConfig, mut dataset: Cow<'a, Dataset>) -> Result<(Cow<'a, Dataset>, Option<Vec<u8>>)> {
    let mut truth = None;
    if config.label_noise != LabelNoise::None {
        truth = dataset.to_mut().make_wrong(&config.label_noise)?;
    }
    if config.few.labelled != Labelled::All {
        dataset.to_mut().unlabel(config.few.labelled)?;
    }
    Ok((dataset, truth))
}

impl From<&Dataset> for DataShape {
    fn from(dataset: &Dataset) -> Self {
        let train = &dataset.train;
        Self {
            images: train.count(),
            classes: dataset.classes(),
            channels: train.shape.channels,
            height: train.shape.height,
            width: train.shape.width,
            has_features: train.has_features(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::features::Features;
    use crate::dataset::{Images, digits, numbered};

    fn options(text: &str) -> RunOptions {
        toml::from_str(text).unwrap()
    }

    fn on<'a>(text: &str, dataset: &'a Dataset) -> Result<Prepared<'a>> {
        let options = options(text);
        options.on(Cow::Borrowed(dataset), Extent::default(), Idle::Refused(&options.given()))
    }

    fn features() -> Dataset {
        let rows = |count: usize| Images {
            pixels: Vec::new(),
            labels: (0..count).map(|row| (row % 3) as u8).collect(),
            shape: crate::dataset::ImageShape::gray(1, 2),
            features: Some(Features::of((0..2 * count).map(|number| 100.0 + number as f32).collect(), 2)),
        };
        Dataset::of("features", rows(60), rows(20), numbered(3))
    }

    #[test]
    fn what_is_asked_of_labels_is_done_to_a_copy_and_data_that_stays_is_none() {
        let clean = digits::generate_with_counts(1, 300, 20);
        let plain = on("", &clean).unwrap();
        assert!(matches!(plain.dataset, Cow::Borrowed(_)) && plain.truth.is_none() && plain.dataset.unlabelled.is_empty());
        let wrong = on("label-noise = 'pair:0.5'", &clean).unwrap();
        assert_eq!(wrong.truth.as_ref(), Some(&clean.train.labels));
        assert_ne!(wrong.job().dataset.train.labels, clean.train.labels);
        let few = on("labelled = 100", &clean).unwrap();
        assert_eq!((few.dataset.labelled_count(), few.dataset.train.count()), (100, 300));
        assert!(few.truth.is_none() && clean.unlabelled.is_empty());
        // Labels are made wrong first: those that are left are of the wrong ones.
        let both = on("label-noise = 'pair:0.5'\nlabelled = 100", &clean).unwrap();
        let kept = |prepared: &Prepared| prepared.dataset.labelled_first()[..100].to_vec();
        assert!(
            kept(&both)
                .iter()
                .all(|&image| { both.dataset.train.labels[image as usize] == wrong.dataset.train.labels[image as usize] })
        );
        assert_eq!(both.truth, wrong.truth);
        // The whole set moves through where nobody else needs it.
        let pixels = clean.train.pixels.as_ptr();
        let owned = options("labelled = 100").on(Cow::Owned(clean), Extent::default(), Idle::Allowed).unwrap();
        assert_eq!(owned.dataset.train.pixels.as_ptr(), pixels);
    }

    #[test]
    fn the_data_decides_widths_and_standardisation() {
        let dataset = features();
        let prepared = on("hidden = [5]\nbatch-size = 20", &dataset).unwrap();
        assert_eq!(prepared.config.architecture.widths(), [2, 5, 3]);
        assert!(prepared.config.standardize && !on("batch-size = 20\nstandardize = false", &dataset).unwrap().config.standardize);
        let again = prepared.complete.on(Cow::Borrowed(&dataset), Extent::default(), Idle::Allowed).unwrap();
        assert_eq!(again.config, prepared.config);
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_is_copied() {
        let dataset = digits::generate_with_counts(1, 300, 20);
        for (text, part) in [
            ("batch-size = 301\nlabelled = 100", "--batch-size 301"),
            ("layers = [783, 10]", "784 pixels"),
            ("trust-rate = 0.2", "--trust-rate belongs to"),
            ("trust = 'own'\nlabelled = 100", "--trust"),
            ("recipe = 'paper'\nlabelled = 100", "images without labels"),
            ("labelled = 301", "--labelled 301"),
        ] {
            let error = on(text, &dataset).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
