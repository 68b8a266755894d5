//! A run fitted to data: what the data decides of it, and what is refused of it.

use super::{RunOptions, TrainingConfig};
use crate::error::Result;

/// What a run needs to know of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Training images.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// Of an image: 1 for shades of grey, 3 for colours.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Whether its numbers are features, and not pixels.
    pub has_features: bool,
}

impl DataShape {
    /// Numbers of an image: the width of a network's input.
    pub fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// What is asked of a run beside the table of options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Seed of replica 0; replica r has `seed + r`.
    pub seed: u64,
    /// Independent pairs of models.
    pub replicas: usize,
    /// A fresh order each epoch, or the data set's own.
    pub shuffle: bool,
    /// Stop after so many steps.
    pub max_steps: Option<u64>,
}

impl Default for Extent {
    fn default() -> Self {
        Self { seed: 0, replicas: 1, shuffle: true, max_steps: None }
    }
}

/// What becomes of an idle option: one that changes nothing, because it belongs to something that the run does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle<'a> {
    /// It is refused, if it is one of these that a person wrote. Records of a run and recipes name every option, and nobody wrote those.
    Refused(&'a [String]),
    /// It is allowed: for searches that combine the values of several options, as scikit-learn's `GridSearchCV` does, where some
    /// combinations leave an option without effect.
    Allowed,
}

/// A run that fits its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The run.
    pub config: TrainingConfig,
    /// Every option with the value that it has in this run, those of other hidden losses included.
    pub complete: RunOptions,
}

impl RunOptions {
    /// Every check that needs no data, on a run as it would be on images like MNIST's.
    pub fn check(&self, extent: Extent, idle: Idle) -> Result<TrainingConfig> {
        let config = extent.of(self.config()?);
        config.check()?;
        if let Idle::Refused(typed) = idle {
            self.refuse_idle(typed)?;
        }
        Ok(config)
    }

    /// The run on such data, after every check that needs no more of it.
    pub fn fit(&self, data: &DataShape, extent: Extent, idle: Idle) -> Result<Fitted> {
        let options = self.for_data(data);
        let config = extent.of(options.fitted_to(data.pixels(), data.classes)?);
        config.check()?;
        if let Idle::Refused(typed) = idle {
            options.refuse_idle(typed)?;
        }
        config.check_against(data.images, data.pixels(), data.classes)?;
        Ok(Fitted { config, complete: options.complete(data.pixels(), data.classes) })
    }

    /// With what the data decides: features are standardised unless something else was asked for, since they have no scale in common, as
    /// grey pixels have, and so are colours, from which networks learn more then (docs/explanation/results.md).
    fn for_data(&self, data: &DataShape) -> Self {
        let is_standardized = data.has_features || data.channels > 1;
        Self { standardize: self.standardize.or(is_standardized.then_some(true)), ..self.clone() }
    }
}

impl Extent {
    fn of(self, run: TrainingConfig) -> TrainingConfig {
        let Self { seed, replicas, shuffle, max_steps } = self;
        TrainingConfig { seed, replicas, shuffle, max_steps, ..run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: DataShape = DataShape { images: 100, classes: 10, channels: 1, height: 28, width: 28, has_features: false };

    fn options(text: &str) -> RunOptions {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn features_and_colours_are_standardised_unless_it_was_said_otherwise() {
        let colours = DataShape { channels: 3, ..DIGITS };
        let features = DataShape { has_features: true, ..DIGITS };
        for (data, standardize) in [(DIGITS, false), (colours, true), (features, true)] {
            let fitted = |text: &str| options(text).fit(&data, Extent::default(), Idle::Allowed).unwrap();
            assert_eq!(fitted("batch-size = 50").config.standardize, standardize, "{data:?}");
            assert_eq!(fitted("batch-size = 50").complete.standardize, Some(standardize));
            for asked in [true, false] {
                assert_eq!(fitted(&format!("batch-size = 50\nstandardize = {asked}")).config.standardize, asked);
            }
        }
    }

    #[test]
    fn idle_options_are_refused_where_somebody_wrote_them_unless_they_are_allowed() {
        let heads = options("recipe = 'heads'\ntemperature = 0.3\nbatch-size = 50");
        let given = heads.given();
        let fit = |idle| heads.fit(&DIGITS, Extent::default(), idle).map(|fitted| fitted.config);
        assert!(fit(Idle::Refused(&given)).unwrap_err().to_string().contains("--temperature belongs to"));
        assert!(heads.check(Extent::default(), Idle::Refused(&given)).is_err());
        let allowed = fit(Idle::Allowed).unwrap();
        assert_eq!(allowed, fit(Idle::Refused(&[])).unwrap());
        assert_eq!(allowed.hidden_loss, options("recipe = 'heads'").config().unwrap().hidden_loss);
    }

    #[test]
    fn a_run_has_the_extent_that_was_asked_for_and_fits_its_data() {
        let extent = Extent { seed: 7, replicas: 3, shuffle: false, max_steps: Some(5) };
        let config = options("batch-size = 50").fit(&DIGITS, extent, Idle::Allowed).unwrap().config;
        assert_eq!((config.seed, config.replicas, config.shuffle, config.max_steps), (7, 3, false, Some(5)));
        let refused = |text: &str, extent| options(text).fit(&DIGITS, extent, Idle::Allowed).unwrap_err().to_string();
        assert!(refused("batch-size = 101", extent).contains("training set of 100 images"));
        assert!(refused("layers = [783, 10]\nbatch-size = 50", extent).contains("784 pixels"));
        assert!(refused("batch-size = 50", Extent { max_steps: Some(0), ..extent }).contains("--max-steps 0"));
    }
}
