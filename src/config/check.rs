//! What is refused about a run, each with the option that is at fault.

use super::hidden_loss::HiddenLossOptions;
use super::{
    Augmentation, HeadOptions, HiddenLoss, HiddenLossKind, Labelled, Method, PrototypeOptions, TrainingConfig, Trust, TrustRate,
};
use crate::error::{Error, Result};

/// Above this, sizes are surely mistakes; below it, no product of two of them overflows 64 bits.
const MAX_SIZE: usize = 1 << 24;
/// Above this the ranks of a batch, each row's loss beside every other's, would take longer than everything else.
const MAX_RANKED_BATCH: usize = 1 << 14;
/// A projection wider than any layer may be is a mistake.
const MAX_PROJECTION: usize = 1 << 16;

fn fail(message: impl Into<String>) -> Result<()> {
    Err(Error::Configuration(message.into()))
}

impl TrainingConfig {
    /// Every check that needs no data.
    pub fn check(&self) -> Result<()> {
        self.check_size()?;
        self.augmentation.check()?;
        self.check_method()?;
        self.check_trust()?;
        if self.few.labelled != Labelled::All {
            self.check_unlabelled()?;
        }
        self.architecture.check()
    }

    fn check_size(&self) -> Result<()> {
        if self.epochs == 0 {
            return fail("--epochs 0 trains nothing; give 1 or more");
        }
        if self.batch_size == 0 || self.batch_size > MAX_SIZE {
            return fail(format!("--batch-size {} is out of range; give 1 to {MAX_SIZE}", self.batch_size));
        }
        if self.replicas == 0 || self.replicas > 1 << 15 {
            return fail(format!("--replicas {} is out of range; give 1 to {}", self.replicas, 1 << 15));
        }
        if self.max_steps == Some(0) {
            return fail("--max-steps 0 trains nothing; give 1 or more, or remove it");
        }
        // Kernels get it as f32, in which it must be neither 0 nor infinite.
        let rate = self.adam.learning_rate as f32;
        if !(rate.is_finite() && rate > 0.0) {
            return fail(format!("--learning-rate {:e} must be a positive number such as 1e-4", self.adam.learning_rate));
        }
        Ok(())
    }

    fn check_method(&self) -> Result<()> {
        // Above this a layer would hardly ever have a unit left.
        if !(0.0..=0.95).contains(&self.dropout) {
            return fail(format!("--dropout {} is out of range; give 0 to 0.95, such as 0.2", self.dropout));
        }
        self.hidden_loss.check(self.batch_size)?;
        if self.method == Method::Ffcl3 && (self.epochs < 3 || self.architecture.layer_count() < 2) {
            return fail("--method ffcl3 has three stages and needs a hidden layer; give --epochs 3 or more, and three widths");
        }
        Ok(())
    }

    fn check_trust(&self) -> Result<()> {
        let rate = match self.trust.trust_rate {
            TrustRate::Given(rate) => rate,
            TrustRate::Auto => 0.0,
        };
        if !(0.0..1.0).contains(&rate) {
            return fail(format!("--trust-rate {rate} is out of range; give 0 to less than 1, such as 0.2, or auto"));
        }
        if !(self.few.pseudo_threshold > 0.0 && self.few.pseudo_threshold <= 1.0) {
            return fail(format!(
                "--pseudo-threshold {} is out of range; give a number above 0, such as 0.9, up to 1 for none",
                self.few.pseudo_threshold
            ));
        }
        if self.trust.trust == Trust::None || self.method == Method::Inference {
            return Ok(());
        }
        if !self.learns_by_labels() {
            return fail(
                "--trust needs a hidden loss that uses labels; use --recipe contrastive, --recipe heads or --method backprop, or remove --trust",
            );
        }
        if self.trust.trust == Trust::CoTeaching && self.has_hidden_losses() && !matches!(self.hidden_loss, HiddenLoss::Head(_)) {
            return fail("--trust co-teaching is for --recipe heads and --method backprop; use --trust exchange with prototypes");
        }
        if self.batch_size > MAX_RANKED_BATCH {
            return fail(format!(
                "--batch-size {} is too large for --trust, which ranks the losses of the whole batch; give at most {MAX_RANKED_BATCH}",
                self.batch_size
            ));
        }
        Ok(())
    }

    /// Whether every layer that learns has a loss of each image at its label.
    fn learns_by_labels(&self) -> bool {
        match self.method {
            Method::Local | Method::FrozenPartner => self.hidden_loss.has_label_losses(),
            method => method == Method::Backprop,
        }
    }

    /// Refuses what cannot learn where some training images have no labels.
    pub(crate) fn check_unlabelled(&self) -> Result<()> {
        if self.method == Method::Inference {
            return Ok(());
        }
        if !self.learns_by_labels() {
            return fail(
                "images without labels need a hidden loss that uses labels; use --recipe contrastive, --recipe heads or --method backprop, or label all images",
            );
        }
        if self.trust.trust != Trust::None {
            return fail("--trust needs a label for every image; remove --trust, or the images without labels");
        }
        if self.batch_size < 2 {
            return fail("--batch-size 1 cannot hold images both with and without labels; give 2 or more");
        }
        Ok(())
    }

    /// Checks the run against a data set of `images` training images with `pixels` numbers each and `classes` classes.
    pub fn check_against(&self, images: usize, pixels: usize, classes: usize) -> Result<()> {
        let (first, last) = (self.architecture.inputs(), self.architecture.classes());
        if first != pixels {
            return fail(format!(
                "--layers begins with {first}, but an image of this data set has {pixels} pixels; begin it with {pixels} or auto"
            ));
        }
        if last != classes {
            return fail(format!(
                "--layers ends with {last}, but this data set has {classes} classes; end it with {classes} or auto"
            ));
        }
        if self.batch_size > images {
            return fail(format!(
                "--batch-size {} is larger than the training set of {images} images; give at most {images}",
                self.batch_size
            ));
        }
        Ok(())
    }
}

impl Augmentation {
    fn check(&self) -> Result<()> {
        if self.shift > 64 || !(0.0..=180.0).contains(&self.rotation) || !(0.0..=0.5).contains(&self.scale) {
            return fail("--shift must be 0 to 64 pixels, --rotation 0 to 180 degrees, --scale 0 to 0.5");
        }
        if !(0.0..=16.0).contains(&self.elastic) {
            return fail("--elastic must be 0 to 16 pixels");
        }
        Ok(())
    }
}

impl PrototypeOptions {
    pub(super) fn check(&self) -> Result<()> {
        // Below this, exponents of the prototypes' softmax leave the range of f32.
        if !(self.temperature >= 1e-3 && self.temperature <= 1e3) {
            return fail(format!("--temperature {} is out of range; give 0.001 to 1000, such as 0.1", self.temperature));
        }
        if self.projection > MAX_PROJECTION {
            return fail(format!("--projection {} is too wide; give 1 to {MAX_PROJECTION}, or 0 for none", self.projection));
        }
        Ok(())
    }
}

impl HeadOptions {
    pub(super) fn check(&self) -> Result<()> {
        if !(0.01..=100.0).contains(&self.head_rate) {
            return fail(format!("--head-rate {} is out of range; give 0.01 to 100, such as 4", self.head_rate));
        }
        Ok(())
    }
}

impl HiddenLossOptions {
    /// Refuses what makes no sense with the loss that was chosen, or with any.
    pub(super) fn check(&self) -> Result<()> {
        self.prototypes.check()?;
        self.head.check()?;
        if self.cosine.centre && self.kind != HiddenLossKind::Cosine {
            return fail("--centre belongs to --hidden-loss cosine; add that (or --recipe paper), or leave --centre out");
        }
        Ok(())
    }
}
