//! The kinds of work that are measured.

use crate::config::{Recipe, TrainingConfig};
use crate::layout::Linear;
use crate::model::{Architecture, Product};

/// A kind of work that users do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Its name.
    pub name: String,
    /// The group that it belongs to; a group varies one thing.
    pub group: &'static str,
    /// What varies within the group, as a number.
    pub variable: usize,
    /// Layer widths.
    pub layers: Vec<usize>,
    /// Images in a step.
    pub batch_size: usize,
    /// Pairs of models.
    pub replicas: usize,
    /// Images of the training set, where whole epochs are measured; otherwise steps are.
    pub images: Option<usize>,
}

/// The groups, in the order of [`all`].
pub const GROUPS: [&str; 8] = ["paper", "replicas", "wide", "huge", "batch", "images", "depth", "width"];
/// What is measured unless something else is asked for.
pub const DEFAULT_GROUPS: [&str; 3] = ["paper", "replicas", "wide"];

/// Every regime. The paper's size alone is bound by latency, a wide network by arithmetic; replicas lie between.
pub fn all() -> Vec<Regime> {
    let paper = Regime {
        name: "paper".into(),
        group: "paper",
        variable: 1,
        layers: vec![784, 64, 64, 10],
        batch_size: 64,
        replicas: 1,
        images: None,
    };
    let vary = |group: &'static str, values: &[usize], set: fn(&mut Regime, usize)| {
        let regime = |&value: &usize| {
            let mut regime = Regime { name: format!("{group}-{value}"), group, variable: value, ..paper.clone() };
            set(&mut regime, value);
            regime
        };
        values.iter().map(regime).collect::<Vec<_>>()
    };
    let whole = |group: &'static str, layers: Vec<usize>, batch_size: usize| Regime {
        name: group.into(),
        group,
        layers,
        batch_size,
        ..paper.clone()
    };
    let mut regimes = vec![paper.clone()];
    regimes.extend(vary("replicas", &[8, 32, 128], |regime, value| regime.replicas = value));
    regimes.push(whole("wide", vec![784, 1000, 1000, 1000, 10], 512));
    regimes.push(whole("huge", vec![784, 4096, 4096, 10], 4096));
    regimes.extend(vary("batch", &[16, 64, 256, 1024], |regime, value| regime.batch_size = value));
    regimes.extend(vary("images", &[1000, 4000, 16000, 60000], |regime, value| regime.images = Some(value)));
    regimes.extend(vary("depth", &[2, 4, 8, 16], |regime, value| {
        regime.layers = [vec![784], vec![64; value - 1], vec![10]].concat();
    }));
    regimes.extend(vary("width", &[32, 64, 128, 256, 512], |regime, value| regime.layers = vec![784, value, value, 10]));
    regimes
}

impl Regime {
    /// The regime as a run of the paper's recipe.
    pub fn config(&self) -> TrainingConfig {
        TrainingConfig {
            layers: self.layers.clone(),
            batch_size: self.batch_size,
            replicas: self.replicas,
            ..Recipe::Paper.config()
        }
    }

    /// Bytes that a step moves at least, each tensor counted once each time a kernel reads or writes it, and neighbours in caches
    /// counted as one: images in and rows out; activations written, and read by the next layer, the loss (own and partner's) and
    /// the update; deltas written and read; weights read forward, and with both moments read and written by the update.
    pub fn bytes_per_step(&self, architecture: &Architecture) -> f64 {
        let layer = |product: Product| Linear::new(product.inner, product.columns, self.batch_size * product.rows);
        let layers: Vec<Linear> = architecture.products().map(layer).collect();
        let slots = 2.0 * self.replicas as f64;
        let first = 4 * layers.first().map_or(0, Linear::input_len);
        let gather = (self.batch_size * self.layers[0] + 3 * first) as f64 * self.replicas as f64;
        let per_slot: usize = layers.iter().map(|layer| 4 * (7 * layer.output_len() + 7 * layer.weight_len())).sum();
        gather + slots * per_slot as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_regime_is_a_run_and_has_its_group() {
        for regime in all() {
            regime.config().architecture().unwrap();
            assert!(GROUPS.contains(&regime.group), "{}", regime.group);
        }
        let names: std::collections::HashSet<_> = all().into_iter().map(|regime| regime.name).collect();
        assert_eq!(names.len(), all().len());
    }

    /// A step of the paper's size: 2 × 54,400 parameters of 28 bytes dominate.
    #[test]
    fn bytes_of_a_step_are_mostly_parameters() {
        let regime = &all()[0];
        let bytes = regime.bytes_per_step(&regime.config().architecture().unwrap());
        assert!((3.0e6..4.5e6).contains(&bytes), "{bytes}");
    }
}
