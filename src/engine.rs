//! The `Backend` trait, by which training, verification and benchmarks drive the GPU and the CPU alike.

use crate::config::{Augmentation, TrainingConfig};
use crate::dataset::Dataset;
use crate::diagnosis::{LayerSums, SAMPLE};
use crate::error::{Error, Result};
use crate::layout::{EVALUATION_METRICS, Step};
use crate::model::Parameters;
use crate::waiting::{Waiting, wait};
use serde::Serialize;
use std::ops::ControlFlow;

/// Where a run computes, for people and for `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceDescription {
    /// The adapter's or processor's name.
    pub name: String,
    /// "vulkan", "metal", "dx12", "gl" or "cpu".
    pub backend: String,
    /// "discrete", "integrated", "virtual", "software", "other" or "cpu".
    pub kind: String,
    /// Driver and version, as far as known.
    pub driver: String,
}

impl DeviceDescription {
    /// A processor that acts as a GPU: GPUs have other speeds.
    pub fn is_software(&self) -> bool {
        self.kind == "software"
    }

    /// Whether what it allocates is main memory.
    pub fn shares_main_memory(&self) -> bool {
        self.kind == "software" || self.kind == "integrated"
    }
}

impl std::fmt::Display for DeviceDescription {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({}", self.name, self.backend)?;
        if self.kind != self.backend {
            write!(formatter, ", {}", self.kind)?;
        }
        if !self.driver.is_empty() {
            write!(formatter, ", {}", self.driver)?;
        }
        write!(formatter, ")")
    }
}

/// The numbers of one epoch, as the device sums them up.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochMetrics {
    /// `[slot][layers + 1]`: sums over the epoch's images of each layer's loss, then the count of right answers.
    pub training: Vec<Vec<f32>>,
    /// `[replica][3]`: right answers on the test set by A, B and the ensemble.
    pub test: Vec<[f32; EVALUATION_METRICS]>,
    /// `[slot][layer]`: the diagnostics of the layers.
    pub layers: Vec<Vec<LayerSums>>,
    /// Images on which the layers were diagnosed.
    pub sample: usize,
}

/// A callback: it gets the number of steps done since its last call, and stops the training by `Break`.
pub type Progress<'a> = dyn FnMut(usize) -> ControlFlow<()> + 'a;

/// What a device holds for every weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The weight itself.
    Weights,
    /// Adam's first moment of it.
    FirstMoments,
    /// Adam's second moment of it.
    SecondMoments,
    /// The weight when the epoch began, of the network only.
    EpochStart,
}

/// A device with both models of every replica and the data set on it. What waits for the device has two names: one that blocks, and
/// one that ends in `_async`, by which it is made.
pub trait Backend {
    /// Where it computes.
    fn device(&self) -> &DeviceDescription;

    /// Bytes that it keeps allocated for the run.
    fn memory(&self) -> u64;

    /// Dispatches that a training step takes, on devices that have such.
    fn dispatches_per_step(&self) -> Option<usize> {
        None
    }

    /// Replaces a quantity of all weights.
    fn write(&mut self, quantity: Quantity, values: &Parameters) -> Result<()>;

    /// Reads a quantity of all weights back.
    fn read(&mut self, quantity: Quantity) -> Result<Parameters> {
        wait(self.read_async(quantity))
    }

    /// [`Backend::read`], async, for callers that must not block.
    fn read_async(&mut self, quantity: Quantity) -> Waiting<'_, Parameters>;

    /// Replaces all parameters; moments are left as they are (zero, before the first step).
    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        self.write(Quantity::Weights, parameters)
    }

    /// Reads all parameters back.
    fn parameters(&mut self) -> Result<Parameters> {
        self.read(Quantity::Weights)
    }

    /// The sums that each row of the batch keeps over the running epoch, `[slot, layers + 1, batch]`.
    fn row_sums(&mut self) -> Result<Vec<f32>> {
        wait(self.row_sums_async())
    }

    /// [`Backend::row_sums`], async, for callers that must not block.
    fn row_sums_async(&mut self) -> Waiting<'_, Vec<f32>>;

    /// Replaces them; there must be as many.
    fn set_row_sums(&mut self, sums: &[f32]) -> Result<()>;

    /// Sets the share of wrong labels that is expected, for each replica, in units of 1 / [`crate::layout::WHOLE`]; where images are not
    /// selected, it does nothing.
    fn set_trust_rates(&mut self, rates: &[u32]) -> Result<()>;

    /// Loss and answer of each layer that selects images, for each image when it last came, `[layer][slot, images, 2]`
    /// ([`crate::layout::Trust::note`]); empty where images are not selected.
    fn trust_records_async(&mut self) -> Waiting<'_, Vec<Vec<u32>>>;

    /// Replaces them; there must be as many.
    fn set_trust_records(&mut self, records: &[Vec<u32>]) -> Result<()>;

    /// The softmax outputs on the test set: for each slot `[images, classes]`.
    fn probabilities(&mut self) -> Result<Vec<Vec<f32>>> {
        wait(self.probabilities_async())
    }

    /// [`Backend::probabilities`], async, for callers that must not block.
    fn probabilities_async(&mut self) -> Waiting<'_, Vec<Vec<f32>>>;

    /// What the networks say of the training images that their replica leaves out, in the order of [`crate::dataset::Folds::left_out`]:
    /// the probabilities of each layer that answers, for each slot `[images, classes]`, layer by layer; nothing where none leaves any out.
    fn judge(&mut self) -> Result<Vec<Vec<Vec<f32>>>> {
        wait(self.judge_async())
    }

    /// [`Backend::judge`], async, for callers that must not block.
    fn judge_async(&mut self) -> Waiting<'_, Vec<Vec<Vec<f32>>>>;

    /// Makes the order of `epoch` and zeroes the training sums.
    fn begin_epoch(&mut self, epoch: u32) -> Result<()>;

    /// Runs training steps, each of whole batches. `progress` is called with the number of steps done, and at the end with those that the
    /// device still works on; where it breaks, no further steps are begun. Returns the number of steps done.
    fn train(&mut self, steps: &[Step], progress: &mut Progress) -> Result<usize> {
        wait(self.train_async(steps, progress))
    }

    /// [`Backend::train`], async, for callers that must not block.
    fn train_async<'a>(&'a mut self, steps: &'a [Step], progress: &'a mut Progress) -> Waiting<'a, usize>;

    /// Evaluates on the test set and reads the epoch's numbers: the only wait of an epoch.
    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        wait(self.end_epoch_async())
    }

    /// [`Backend::end_epoch`], async, for callers that must not block.
    fn end_epoch_async(&mut self) -> Waiting<'_, EpochMetrics>;
}

/// What a backend is built from.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The run.
    pub config: &'a TrainingConfig,
    /// Its data.
    pub dataset: &'a Dataset,
}

/// Opens a device and prepares a job on it.
pub type Open<'a> = dyn Fn(Job) -> Result<Box<dyn Backend>> + 'a;

impl Job<'_> {
    /// Checks the run against its data: shapes that fit, and labels that are classes. Backends rely on it.
    pub fn check(&self) -> Result<()> {
        let (train, test) = (&self.dataset.train, &self.dataset.test);
        self.config.check_against(self.dataset.learned_count(), train.pixels_per_image(), self.dataset.classes())?;
        if train.has_features() && self.config.augmentation != Augmentation::default() {
            let message =
                "--shift, --rotation, --scale, --elastic and --flip change images, and this data has features; leave them out";
            return Err(Error::Configuration(message.into()));
        }
        if !self.dataset.unlabelled.is_empty() {
            self.config.check_unlabelled()?;
            if self.dataset.labelled_count() == 0 {
                return Err(Error::Dataset("no training image has a label; give some to learn from".into()));
            }
        }
        if let Some(folds) = &self.dataset.folds
            && (folds.replicas() != self.config.replicas || !self.dataset.unlabelled.is_empty())
        {
            let message = "the folds of the data are those of other replicas, or of images without labels; fold it for this run";
            return Err(Error::Configuration(message.into()));
        }
        for (name, images) in [("training", train), ("test", test)] {
            let label = images.labels.iter().position(|&label| usize::from(label) >= self.dataset.classes());
            if let Some(index) = label {
                return Err(Error::Dataset(format!(
                    "label {} of {name} image {index} is not one of the {} classes; correct the data set",
                    images.labels[index],
                    self.dataset.classes()
                )));
            }
            if let Some(features) = &images.features {
                if features.count() != images.count() || features.width() != train.pixels_per_image() {
                    return Err(Error::Dataset(format!(
                        "the {name} set has not as many labels as {images:?}; correct the data set"
                    )));
                }
                features.check_finite()?;
            }
            let bytes = if train.has_features() { 0 } else { images.count() * train.pixels_per_image() };
            let sizes = (images.pixels_per_image(), images.pixels.len());
            if images.count() == 0 || images.has_features() != train.has_features() || sizes != (train.pixels_per_image(), bytes)
            {
                return Err(Error::Dataset(format!("the {name} images {images:?} hold {} bytes; correct the data set", sizes.1)));
            }
        }
        Ok(())
    }

    /// Steps of one epoch: whole batches of what a replica learns from.
    pub fn steps_per_epoch(&self) -> usize {
        self.config.steps_per_epoch(self.dataset.learned_count())
    }

    /// Checks steps before a backend takes them: whole batches that lie within the training set.
    pub fn check_steps(config: &TrainingConfig, images: usize, steps: &[Step]) -> Result<()> {
        if config.stages().is_empty() {
            let message = "a job of method Inference takes no training steps; give it the configuration of a run";
            return Err(Error::Configuration(message.into()));
        }
        let fits = |step: &Step| {
            let end = u64::from(step.first_row) + u64::from(step.row_count);
            step.row_count as usize == config.batch_size && end <= images as u64
        };
        match steps.iter().find(|step| !fits(step)) {
            Some(step) => Err(Error::Configuration(format!(
                "a step of {} rows at {} is not a whole batch of {} within {images} images",
                step.row_count, step.first_row, config.batch_size
            ))),
            None => Ok(()),
        }
    }
}

/// Images of the test set on which the layers are looked at: [`SAMPLE`], or as many as there are, or as leave no buffer above
/// `largest_buffer` bytes.
pub fn sample_size(config: &TrainingConfig, test_images: usize, largest_buffer: u64) -> usize {
    let widest = config.architecture.outputs().max().unwrap_or(1);
    // With room for the padding of a row.
    let row = 4 * (2 * config.replicas * (widest + 4)).max(config.architecture.inputs() + 4) as u64;
    ((largest_buffer / row).clamp(1, SAMPLE as u64) as usize).min(test_images)
}

/// Rows of an evaluation batch: large enough to amortise a dispatch, with no buffer above `largest_buffer` bytes.
pub fn evaluation_batch_size(config: &TrainingConfig, test_images: usize, largest_buffer: u64) -> usize {
    /// Scratch that grows with the replicas: 16 MiB for the widest layer of all slots.
    const SCRATCH: u64 = 16 << 20;
    let widest = config.architecture.widths().into_iter().max().unwrap_or(1);
    // With room for the padding of a row.
    let row = 4 * (2 * config.replicas * (widest + 4)) as u64;
    let rows = (SCRATCH.min(largest_buffer) / row) as usize;
    rows.clamp(1, 1024).min(test_images)
}
