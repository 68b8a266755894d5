//! What a run's folder holds, as a report needs it.

use crate::bounded_file;
use crate::dataset::{Dataset, ImageShape};
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::model::Parameters;
use crate::output::checkpoint::CHECKPOINT;
use crate::output::description::ModelDescription;
use crate::output::run_directory::{CONFIG, EVALUATION, LARGEST_CONFIG, read_metrics};
use crate::output::weights::MODEL;
use crate::output::weights::{self, Undescribed};
use crate::output::whole_file::write_whole;
use crate::text;
use crate::train::ReplicaReport;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The most that `evaluation.json` may have: 64 MiB, above ten times what 256 classes and the largest images need.
const LARGEST_EVALUATION: u64 = 64 << 20;

/// Mistakes that a report shows.
const MISTAKES: usize = 24;

/// What a run answered on its test set at the end, with the images that it was most wrong about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestAnswers {
    /// Accuracies, losses, confusion of all networks together.
    pub evaluation: Evaluation,
    /// What the classes stand for.
    pub classes: Vec<String>,
    /// The shape of an image.
    pub image: ImageShape,
    /// The pixels of the first mistakes, in the order of the evaluation's, each in Base64.
    pub mistakes: Vec<String>,
}

impl TestAnswers {
    /// An evaluation on the test set of `dataset`.
    pub fn new(evaluation: Evaluation, dataset: &Dataset) -> Self {
        // Features are no picture.
        let bytes = |image: usize| if dataset.test.has_features() { &[] } else { dataset.test.image(image) };
        let pixels = |image: usize| BASE64_STANDARD.encode(bytes(image));
        Self {
            mistakes: evaluation.mistakes.iter().take(MISTAKES).map(|mistake| pixels(mistake.image)).collect(),
            classes: dataset.class_names.clone(),
            image: dataset.test.shape,
            evaluation,
        }
    }

    /// Writes it into a run's folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(EVALUATION);
        let json = serde_json::to_vec(self).map_err(|error| damaged(&path, &error))?;
        write_whole(&path, &json)
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(EVALUATION);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = bounded_file::read(&path, LARGEST_EVALUATION, "check its permissions")?;
        let answers: Self = text::json(&bytes).map_err(|error| damaged(&path, &error))?;
        let classes = answers.classes.len();
        let square = |rows: &Vec<Vec<u64>>| rows.len() == classes && rows.iter().all(|row| row.len() == classes);
        let known = |class: usize| class < classes;
        let consistent = square(&answers.evaluation.confusion)
            && answers.evaluation.classes.len() == classes
            && answers.evaluation.mistakes.iter().all(|mistake| known(mistake.label) && known(mistake.answer));
        if consistent { Ok(Some(answers)) } else { Err(damaged(&path, &"its parts do not fit each other")) }
    }

    /// The pixels of a mistake that is shown.
    pub fn pixels(&self, mistake: usize) -> Option<Vec<u8>> {
        let pixels = BASE64_STANDARD.decode(self.mistakes.get(mistake)?).ok()?;
        (Some(pixels.len()) == self.image.checked_pixels()).then_some(pixels)
    }
}

fn damaged(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::Format {
        path: path.to_owned(),
        problem: format!("is damaged: {problem}"),
        remedy: "remove it, and the report does without it".into(),
    }
}

/// A run, as far as it got.
pub struct Run {
    /// The folder's name.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// The options that repeat it.
    pub options: Map<String, Value>,
    /// The data set, and its numbers of images to learn from and to test on.
    pub dataset: String,
    /// Images to learn from.
    pub train_images: u64,
    /// Images to test on.
    pub test_images: u64,
    /// Where it ran.
    pub device: String,
    /// A report for each epoch and replica.
    pub metrics: Vec<ReplicaReport>,
    /// The weights, of its end or of its last checkpoint.
    pub model: Option<(Parameters, ModelDescription)>,
    /// The answers on the test set, if it has ended.
    pub answers: Option<TestAnswers>,
}

/// `config.json`, as far as a report needs it.
#[derive(Deserialize)]
struct Record {
    version: String,
    options: Map<String, Value>,
    dataset: String,
    train_images: u64,
    test_images: u64,
    device: Map<String, Value>,
}

impl Run {
    /// Reads a run's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let remedy = "give the folder of a run, as `train` writes it";
        let bytes = bounded_file::read(&path, LARGEST_CONFIG, remedy)?;
        let record: Record = text::json(&bytes).map_err(|error| Error::Format {
            path,
            problem: format!("is not the record of a run: {error}"),
            remedy: remedy.into(),
        })?;
        let file = [MODEL, CHECKPOINT].map(|name| folder.join(name)).into_iter().find(|file| file.exists());
        let metrics = read_metrics(folder)?;
        if metrics.is_empty() {
            return Err(Error::Configuration(format!(
                "{} has no whole epoch yet, and so nothing to report; wait for one",
                folder.display()
            )));
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Ok(Self {
            name: absolute.file_name().map_or_else(|| absolute.display().to_string(), |name| name.display().to_string()),
            version: record.version,
            options: record.options,
            dataset: record.dataset,
            train_images: record.train_images,
            test_images: record.test_images,
            device: format!("{} ({})", text(record.device.get("name")), text(record.device.get("backend"))),
            metrics,
            model: file
                .map(|file| weights::open(&file, Undescribed::Refuse))
                .transpose()?
                .map(|opened| (opened.parameters, opened.model)),
            answers: TestAnswers::read(folder)?,
        })
    }

    /// An option's value as text.
    pub fn option(&self, name: &str) -> String {
        self.options.get(name).map_or_else(String::new, as_text)
    }

    /// The last epoch's reports.
    pub fn last(&self) -> &[ReplicaReport] {
        self.metrics.chunk_by(|a, b| a.epoch == b.epoch).next_back().unwrap_or_default()
    }
}

/// An option's value for people.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(as_text).collect::<Vec<_>>().join("-"),
        other => other.to_string(),
    }
}
