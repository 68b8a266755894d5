//! The description in a file of weights, so that it can be used without the run that made it.

use crate::config::{Method, Recipe, TrainingConfig};
use crate::dataset::input::{Input, Like, Meaning, Reading};
use crate::dataset::{ImageShape, Origin, Statistics};
use crate::engine::Job;
use crate::model::{Architecture, LayerParameters, Parameters};
use crate::train::Position;
use serde::{Deserialize, Serialize};

/// The key of a safetensors file's metadata under which this stands, as JSON. The only key: the file's bytes must not depend on the
/// order of a hash table.
pub(super) const KEY: &str = "ffcl-gpu";

/// The format that this program writes, and the newest that it reads. Since 2 a model of features has what they are standardised by; since 3
/// the network stands as `architecture`, a list of layers of a kind each, before as `layers`, the widths of dense ones.
pub(super) const FORMAT: u32 = 3;

/// The tensor that holds the same JSON as bytes: scripts that load tensors and save them again drop the metadata, and keep this.
pub const TENSOR: &str = "ffcl_gpu.description";

/// The data set of a model whose training data is unknown.
pub const UNKNOWN: &str = "unknown";

/// Everything but the weights that a model's answers depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The networks' shape.
    #[serde(alias = "layers")]
    pub architecture: Architecture,
    /// Pairs of networks.
    pub replicas: usize,
    /// Whether rows of hidden layers are brought to the length √width before the next layer reads them.
    pub normalize: bool,
    /// Subtracted from each pixel over 255, before
    pub mean: f64,
    /// the division by this; 0 and 1 where pixels were not standardised.
    pub deviation: f64,
    /// What features are standardised by; of models of images there is nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Statistics>,
    /// The images that it was trained on.
    pub image: ImageShape,
    /// What its classes stand for.
    pub classes: Vec<String>,
    /// The data set's name.
    pub dataset: String,
    /// What that is the name of. Files of old do not say.
    #[serde(default)]
    pub origin: Origin,
    /// Images at the end of the training set that were measured on instead of the test set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<usize>,
    /// How own data was read, and is to be read again. Known sets say nothing, nor do files of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
}

impl ModelDescription {
    /// Of what `job` trains.
    pub fn of(job: Job) -> Self {
        let (config, dataset) = (job.config, job.dataset);
        let (mean, deviation) = if config.standardize { dataset.pixel_statistics() } else { (0.0, 1.0) };
        Self {
            architecture: config.architecture.clone(),
            replicas: config.replicas,
            normalize: config.normalize,
            mean,
            deviation,
            features: dataset.feature_statistics(config.standardize),
            image: dataset.train.shape,
            classes: dataset.class_names.clone(),
            dataset: dataset.name.clone(),
            origin: dataset.origin,
            held_out: dataset.held_out,
            input: dataset.input.clone(),
        }
    }

    /// Whether the model's training data is unknown.
    pub fn is_foreign(&self) -> bool {
        self.origin == Origin::Known && self.dataset == UNKNOWN
    }

    /// Whether its classes have names, and not only numbers.
    pub fn has_class_names(&self) -> bool {
        !self.is_foreign() && self.origin.has_class_names()
    }

    /// By which rules data is read for it, and what files are read like. A model of own data from before there were descriptions of that is
    /// asked as it was then.
    pub fn reading(&self) -> (Reading, Option<Like>) {
        let known = || Input { numbers: Some(Meaning::Pixels { white: 255.0 }), ..Input::default() };
        let is_known = self.origin == Origin::Known && !self.is_foreign() && self.features.is_none();
        let input = self.input.clone().or_else(|| is_known.then(known));
        let like = |input| Like { input, classes: self.classes.clone(), width: self.image.pixels() };
        (if input.is_some() { Reading::Second } else { Reading::First }, input.map(like))
    }

    /// Whether these are the numbers of a model that can be described so.
    pub fn fits(&self, parameters: &Parameters) -> bool {
        let shapes = || self.architecture.layers().map(|layer| layer.weight_shape());
        let slot_fits = |slot: &Vec<LayerParameters>| {
            slot.iter().all(LayerParameters::is_whole) && slot.iter().map(|layer| &layer.shape).cloned().eq(shapes())
        };
        self.architecture.check().is_ok()
            && self.replicas > 0
            && self.replicas.checked_mul(2) == Some(parameters.slots.len())
            && parameters.slots.iter().all(slot_fits)
            && self.image.checked_pixels() == Some(self.architecture.inputs())
            && self.classes.len() == self.architecture.classes()
            && self.mean.is_finite()
            && self.deviation.is_finite()
            && self.deviation > 0.0
            && self.features.as_ref().is_none_or(|features| features.fit(self.architecture.inputs()))
            && self.input.as_ref().is_none_or(|input| input.fits(self.architecture.inputs()))
    }

    /// A job's configuration by which it answers and learns nothing. The job's data set must have [`Self::statistics`].
    pub fn config(&self) -> TrainingConfig {
        TrainingConfig {
            architecture: self.architecture.clone(),
            replicas: self.replicas,
            batch_size: 1,
            normalize: self.normalize,
            standardize: true,
            method: Method::Inference,
            ..Recipe::default().config()
        }
    }

    /// What its images or features are standardised by.
    pub fn statistics(&self) -> Statistics {
        let of_pixels = || Statistics { mean: vec![self.mean], deviation: vec![self.deviation] };
        self.features.clone().unwrap_or_else(of_pixels)
    }
}

/// What stands in the metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Version of this structure and of the tensors' names.
    pub format: u32,
    /// The model.
    pub model: ModelDescription,
    /// What else a checkpoint needs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<CheckpointHeader>,
}

/// The part of the metadata that only checkpoints have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CheckpointHeader {
    /// Where the run stands; with the seed, all that its random numbers depend on.
    pub position: Position,
    /// Seed of replica 0.
    pub seed: u64,
    /// SHA-256 of the data, see [`crate::dataset::Dataset::checksum`].
    pub data: String,
    /// SHA-256 of this header's text with nothing here, and of all tensors' names and bytes in the order of the names.
    pub sha256: String,
}
