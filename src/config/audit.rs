//! The recipe of an audit: a run whose networks tell which labels are wrong.

use super::{DataShape, RunOptions, Trust, TrustRate};
use crate::error::{Error, Result};

/// Who selects unless it is said: the partner's losses found more planted labels than a network's own (docs/explanation/results.md).
const TRUST: Trust = Trust::Partner;
/// Steps that networks need to know what is odd, and within which bounds epochs make them up: after too many, wrong labels are known by heart.
const STEPS: usize = 1500;
const EPOCHS: (usize, usize) = (15, 30);
/// Images in a step, and how many steps small data has in an epoch at least.
const BATCH: (usize, usize) = (8, 64);
const LEAST_STEPS: usize = 16;
/// Images of at least so many pixels a side are shifted by one, which is nothing that they show.
const SHIFTED_FROM: usize = 16;

impl RunOptions {
    /// These options, and where they say nothing those of an audit of such data.
    pub fn for_audit(&self, data: &DataShape) -> Result<Self> {
        let trust = self.trust.unwrap_or(TRUST);
        if trust == Trust::None {
            return Err(Error::Configuration(
                "--trust none finds no wrong labels; give --trust own, partner, exchange, output or co-teaching".into(),
            ));
        }
        let is_small = data.has_features || data.height.min(data.width) < SHIFTED_FROM;
        let (least, most) = BATCH;
        let batch_size = self.batch_size.unwrap_or((data.images / LEAST_STEPS).clamp(least, most).min(data.images));
        let steps = (data.images / batch_size.max(1)).max(1);
        Ok(Self {
            trust: Some(trust),
            trust_rate: Some(self.trust_rate.unwrap_or(TrustRate::Auto)),
            epochs: Some(self.epochs.unwrap_or(STEPS.div_ceil(steps).clamp(EPOCHS.0, EPOCHS.1) as u32)),
            shift: Some(self.shift.unwrap_or(u32::from(!is_small))),
            batch_size: Some(batch_size),
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_gets_small_batches_and_more_epochs_and_what_is_given_stays() {
        let data = |images, side| DataShape { images, classes: 10, channels: 1, height: side, width: side, has_features: false };
        let recipe = |given: &str, data: DataShape| {
            let run = toml::from_str::<RunOptions>(given).unwrap().for_audit(&data).unwrap();
            (run.batch_size.unwrap(), run.epochs.unwrap(), run.shift.unwrap(), run.trust.unwrap())
        };
        assert_eq!(recipe("", data(60_000, 28)), (64, 15, 1, Trust::Partner));
        assert_eq!(recipe("", data(5000, 28)), (64, 20, 1, Trust::Partner));
        assert_eq!(recipe("", data(200, 8)), (12, 30, 0, Trust::Partner));
        assert_eq!(recipe("", data(5, 28)), (5, 30, 1, Trust::Partner));
        assert_eq!(recipe("", DataShape { has_features: true, ..data(60_000, 28) }), (64, 15, 0, Trust::Partner));
        let given = "batch-size = 32\nepochs = 3\nshift = 2\ntrust = 'exchange'";
        assert_eq!(recipe(given, data(200, 8)), (32, 3, 2, Trust::Exchange));
        assert!(RunOptions { trust: Some(Trust::None), ..RunOptions::default() }.for_audit(&data(200, 8)).is_err());
    }
}
