//! The recipe of an audit: a run whose networks tell which labels are wrong.

use super::{DataShape, Recipe, RunOptions, Trust, TrustRate};

/// Who selects: what networks leave out they do not learn by heart (docs/experiments/finding-wrong-labels.md).
const TRUST: Trust = Trust::Partner;
/// Steps that networks need to know what is odd, and within which bounds epochs make them up: what they learn afterwards is wrong labels.
const STEPS: usize = 1400;
const EPOCHS: (usize, usize) = (8, 30);
/// Images in a step, of which half are left to learn from at least, and how many steps small data has in an epoch at least.
const BATCH: (usize, usize) = (8, 64);
const LEAST_STEPS: usize = 16;
/// Images of at least so many pixels a side are shifted by one, which is nothing that they show.
const SHIFTED_FROM: usize = 16;
/// Units that are left out where numbers are features, of which networks learn labels by heart soonest.
const DROPOUT: f64 = 0.5;

/// An audit has few steps, in which heads at the network's rate learn too little to judge: the figures of
/// docs/experiments/finding-wrong-labels.md are of heads at this multiple.
const HEAD_RATE: f64 = 8.0;

impl RunOptions {
    /// These options, and where they say nothing those of an audit of such data.
    pub fn for_audit(&self, data: &DataShape) -> Self {
        let is_small = data.has_features || data.height.min(data.width) < SHIFTED_FROM;
        let (least, most) = BATCH;
        let batch_size = self.batch_size.unwrap_or((data.images / LEAST_STEPS).clamp(least, most).min((data.images / 2).max(1)));
        let trust = self.trust.unwrap_or(TRUST);
        // A method has a recipe of its own.
        let recipe = self.recipe.or(self.method.is_none().then_some(Recipe::Heads));
        let by_heads = recipe == Some(Recipe::Heads) && self.hidden_loss.is_none();
        let steps = (data.images / batch_size.max(1)).max(1);
        Self {
            recipe,
            head_rate: self.head_rate.or(by_heads.then_some(HEAD_RATE)),
            trust: Some(trust),
            trust_rate: self.trust_rate.or((trust != Trust::None).then_some(TrustRate::Auto)),
            epochs: Some(self.epochs.unwrap_or(STEPS.div_ceil(steps).clamp(EPOCHS.0, EPOCHS.1) as u32)),
            shift: Some(self.shift.unwrap_or(u32::from(!is_small))),
            batch_size: Some(batch_size),
            dropout: Some(self.dropout.unwrap_or(if data.has_features { DROPOUT } else { 0.0 })),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_gets_small_batches_and_more_epochs_and_what_is_given_stays() {
        let data = |images, side| DataShape { images, classes: 10, channels: 1, height: side, width: side, has_features: false };
        let recipe = |given: &str, data: DataShape| {
            let run = toml::from_str::<RunOptions>(given).unwrap().for_audit(&data);
            (run.batch_size.unwrap(), run.epochs.unwrap(), run.shift.unwrap(), run.dropout.unwrap(), run.recipe.unwrap())
        };
        assert_eq!(recipe("", data(60_000, 28)), (64, 8, 1, 0.0, Recipe::Heads));
        assert_eq!(recipe("", data(5000, 28)), (64, 18, 1, 0.0, Recipe::Heads));
        assert_eq!(recipe("", data(200, 8)), (12, 30, 0, 0.0, Recipe::Heads));
        assert_eq!(recipe("", data(5, 28)), (2, 30, 1, 0.0, Recipe::Heads));
        assert_eq!(recipe("", DataShape { has_features: true, ..data(60_000, 28) }), (64, 8, 0, 0.5, Recipe::Heads));
        let given = "batch-size = 32\nepochs = 3\nshift = 2\ndropout = 0.1\nrecipe = 'contrastive'";
        assert_eq!(recipe(given, data(200, 8)), (32, 3, 2, 0.1, Recipe::Contrastive));
    }
}
