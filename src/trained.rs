//! A trained model: opened from a run's folder or from a file of weights, and asked about images.

mod activations;
pub mod classes;
#[cfg(feature = "images")]
pub mod picture;
#[cfg(feature = "images")]
pub mod preparation;

use crate::dataset::{Dataset, Images};
use crate::engine::{Job, Open};
use crate::error::{Error, Result};
use crate::evaluation::{Answers, Evaluation};
use crate::model::Parameters;
use crate::output::checkpoint::CHECKPOINT;
use crate::output::description::ModelDescription;
use crate::output::weights::{self, MODEL, Opened, Undescribed};
use std::path::Path;

/// What a run's folder may hold, best first.
const FILES: [&str; 2] = [MODEL, CHECKPOINT];

/// Weights, and all else that a model's answers depend on.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    parameters: Parameters,
    description: ModelDescription,
    converted: Option<String>,
}

impl TrainedModel {
    /// Of weights that are at hand, such as a trainer's, which `ModelDescription::of` its job describes.
    pub fn new(parameters: Parameters, description: ModelDescription) -> Result<Self> {
        if description.fits(&parameters) {
            Ok(Self { parameters, description, converted: None })
        } else {
            Err(Error::Configuration("the description does not fit these weights; give the one of their job".into()))
        }
    }

    /// Reads a safetensors file, or that of a run's folder: its `model.safetensors`, else its `checkpoint.safetensors`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, Undescribed::Refuse)
    }

    /// The same; `undescribed` decides whether a file without a description is read as a plain network.
    pub fn open_as(path: &Path, undescribed: Undescribed) -> Result<Self> {
        let file = if path.is_dir() {
            let found = FILES.iter().map(|name| path.join(name)).find(|file| file.exists());
            found.ok_or_else(|| Error::Format {
                path: path.to_owned(),
                problem: format!("holds neither {} nor {}", FILES[0], FILES[1]),
                remedy: "give the folder of a run that has ended, or a safetensors file".into(),
            })?
        } else {
            path.to_owned()
        };
        let Opened { parameters, model, converted } = weights::open(&file, undescribed)?;
        Ok(Self { parameters, description: model, converted })
    }

    /// One pair of networks out of several.
    pub fn replica(mut self, replica: usize) -> Result<Self> {
        let last = self.description.replicas - 1;
        if replica > last {
            let message = format!("--replica {replica} is not in the model, whose pairs are counted from 0; give 0 to {last}");
            return Err(Error::Configuration(message));
        }
        let slots = 2 * replica..2 * replica + 2;
        self.parameters.slots = self.parameters.slots.drain(slots.clone()).collect();
        self.parameters.projections = self.parameters.projections.into_iter().skip(slots.start).take(slots.len()).collect();
        self.description.replicas = 1;
        Ok(self)
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Shapes, classes and the rest.
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// The type of the file's numbers, where they had to be converted to f32.
    pub fn converted(&self) -> Option<&str> {
        self.converted.as_deref()
    }

    /// Asks all networks about images, which must have the model's shape and labels that are classes (zeros, where the labels are
    /// not known), on the device that `open` opens: [`crate::cpu::backend::open`] is the processor.
    pub fn answers(&self, images: &Images, open: &Open) -> Result<Answers> {
        self.check(images)?;
        let (name, classes) = (self.description.dataset.clone(), self.description.classes.clone());
        let dataset = Dataset {
            statistics: Some(self.description.statistics()),
            origin: self.description.origin,
            // Nothing is trained, but a job has something to train on.
            ..Dataset::of(name, images.head(1), images.clone(), classes)
        };
        let config = self.description.config();
        let mut backend = open(Job { config: &config, dataset: &dataset })?;
        backend.set_parameters(&self.parameters)?;
        Ok(Answers::new(&backend.probabilities()?, dataset.classes()))
    }

    /// Compares the answers with the labels.
    pub fn evaluate(&self, images: &Images, open: &Open) -> Result<Evaluation> {
        Evaluation::new(&self.answers(images, open)?, &images.labels)
    }

    fn check(&self, images: &Images) -> Result<()> {
        let (model, classes) = (self.description.image, self.description.classes.len());
        // The shape of a foreign model's images is a guess, and features stand in a row: only their number counts.
        let has_no_shape = self.description.is_foreign() || self.description.features.is_some();
        let fits = images.shape == model || has_no_shape && images.shape.pixels() == model.pixels();
        if !fits {
            let message =
                format!("the images are {}, but the model reads {model}; give images like its training images", images.shape);
            return Err(Error::Configuration(message));
        }
        if images.has_features() != self.description.features.is_some() {
            let kind = |features: bool| if features { "rows of features" } else { "images" };
            let (given, reads) = (kind(images.has_features()), kind(!images.has_features()));
            return Err(Error::Configuration(format!(
                "these are {given}, but the model reads {reads}; give data like its training data"
            )));
        }
        if images.count() == 0 {
            return Err(Error::Configuration("there are no images to classify; give one or more".into()));
        }
        match images.labels.iter().position(|&label| usize::from(label) >= classes) {
            Some(index) => Err(Error::Configuration(format!(
                "image {index} has the label {}, and the model tells {classes} classes apart; give data of the model's classes",
                images.labels[index]
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
