//! What a run computes, as data: its tensors, and operations on them. Both backends walk the same programs.
//!
//! [`Programs::new`] turns a configuration into lists of operations, each with its kernel, parameters and operands. What a dispatch reads
//! and writes is decided here and nowhere else.

mod evaluation;
mod fused;
mod judging;
mod network;
mod parameters;
mod shapes;
mod sums;
mod tensors;
mod training;

pub use fused::{UNLABELLED, fusible, unfusible};
pub use judging::Judging;
pub use parameters::ParameterTensors;
pub use shapes::Part;
pub use sums::SumLayout;
pub use tensors::{Content, Set, TensorSpec};
pub use training::TrustTensors;

use crate::config::{Labelled, Stage, TrainingConfig};
use crate::dataset::{Dataset, ImageShape, Images, numbered};
use crate::diagnosis::SAMPLE;
use crate::engine::{Job, evaluation_batch_size, sample_size};
use crate::error::Result;
use crate::kernels::shuffle::{Samples, Shuffle};
use crate::kernels::{Element, Level, Operation, Pack, Tensor};
use crate::layout::{self, EVALUATION_METRICS, Rows, Views, labelled_rows};
use network::{Batch, Pass, TRAINING};
use serde::Serialize;
use shapes::Shapes;
use tensors::Tensors;
use training::Training;

/// How a training step is cut into dispatches. Both ways compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// A few dispatches for any depth: for narrow networks, whose steps are bound by the latency of dispatches.
    Fused,
    /// A dispatch for each layer and kernel, each with a tile that suits the layer: for wide networks, bound by arithmetic.
    Layered,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Plan::Fused => "fused",
            Plan::Layered => "layered",
        })
    }
}

/// A batch of blank images for `config`, for looking at its programs and timing them.
pub fn blank_dataset(config: &TrainingConfig) -> Result<Dataset> {
    config.check()?;
    let pixels = config.architecture.inputs();
    let images = |count: usize| Images {
        pixels: vec![0; count * pixels],
        labels: vec![0; count],
        shape: ImageShape::gray(1, pixels),
        features: None,
    };
    // As in every batch of a run that has some.
    let first = if config.few.labelled == Labelled::All { config.batch_size } else { labelled_rows(config.batch_size) };
    let unlabelled = (first as u32..config.batch_size as u32).collect();
    let (train, test) = (images(config.batch_size), images(1));
    Ok(Dataset { unlabelled, ..Dataset::of("blank", train, test, numbered(config.architecture.classes())) })
}

/// The programs of a run, and what the host does with their tensors.
#[derive(Clone, Debug)]
pub struct Programs {
    /// All tensors; a [`Tensor`] is a place in this list.
    pub tensors: Vec<TensorSpec>,
    /// Models.
    pub slots: usize,
    /// Who has a batch of its own in training.
    pub views: Views,
    /// What an epoch begins with; it reads the epoch's number from its step.
    pub shuffle: Vec<Operation>,
    /// A training step of each stage.
    pub stages: Vec<Vec<Operation>>,
    /// A batch of the test set.
    pub evaluation: Vec<Operation>,
    /// Rows of such a batch.
    pub evaluation_batch: usize,
    /// The rows of probabilities that it leaves, and their tensor.
    pub probabilities: (Rows, Tensor),
    /// How networks judge training images that they do not learn from, if there are such.
    pub judging: Option<Judging>,
    /// The diagnosis of the hidden layers.
    pub diagnosis: Vec<Operation>,
    /// The sums of an epoch.
    pub summary: Vec<Operation>,
    /// Every layer that learns.
    pub parameters: Vec<ParameterTensors>,
    /// `[slot, layers + 1, images of a batch]`: sums over the epoch's training steps, zeroed when it begins.
    pub row_metrics: Tensor,
    /// What the host reads and writes of the selection of images, if there is one.
    pub trust: Option<TrustTensors>,
    /// What is zeroed before the evaluation.
    pub evaluation_sums: [Tensor; 2],
    /// The sums that the host reads.
    pub sums: Tensor,
    /// What they are.
    pub sum_layout: SumLayout,
}

impl Programs {
    /// The programs of `job`, for devices whose bindings hold `largest_binding` bytes. The fused plan is for runs that are [`fusible`].
    pub fn new(job: Job, plan: Plan, largest_binding: u64) -> Result<Self> {
        let Job { config, dataset } = job;
        config.check()?;
        let architecture = &config.architecture;
        let (slots, layers) = (2 * config.replicas, architecture.layer_count());
        let (train, test) = (&dataset.train, &dataset.test);
        let views = Views::of_training(config);
        let mut tensors = Tensors::new(slots, plan == Plan::Fused);
        let shapes = Shapes::of_training(config);
        let parameters = ParameterTensors::of(&shapes, &mut tensors);

        let row_metrics = tensors.add("row metrics", Level::Slot, (layers + 1) * config.batch_size);
        let batch = Batch::new(&mut tensors, config, (Set::Train, train), config.batch_size, views, largest_binding);
        let order = layout::Shuffle::new(config.seed, train.count(), config.replicas, config.shuffle);
        let has_unlabelled = !dataset.unlabelled.is_empty();
        let mut numbers = |name: &str, per: Level, content| tensors.add_with(name, Element::Word, per, train.count(), content);
        let (order, samples) = if has_unlabelled {
            let halves = numbers("images with labels first", Level::Run, Content::LabelledFirst);
            (order.in_halves(dataset.labelled_count(), config.batch_size), Samples::Halves(halves))
        } else if dataset.folds.is_some() {
            let folds = numbers("images that are learned first", Level::Replica, Content::LearnedFirst);
            (order.of_folds(dataset.learned_count()), Samples::Folds(folds))
        } else {
            (order, Samples::All)
        };
        let shuffle = vec![Shuffle { shape: order, orders: batch.orders, samples }.into()];
        let judging = dataset.folds.is_some().then(|| {
            let left_out = dataset.learned_count()..train.count();
            Judging::new(config, &batch, left_out, &parameters, &mut tensors, largest_binding)
        });
        let pass = Pass::new(config, shapes, batch, &parameters, &mut tensors, TRAINING);
        let mut training = Training::new(pass, row_metrics, train.count(), has_unlabelled);
        let step = |&stage: &Stage| if plan == Plan::Fused { training.fused_step(stage) } else { Ok(training.step(stage)) };
        let stages = config.stages().iter().map(step).collect::<Result<_>>()?;
        let trust = training.trust;

        let rows = evaluation_batch_size(config, test.count(), largest_binding);
        let row_counts = tensors.add("row counts", Level::Replica, EVALUATION_METRICS * rows);
        let batch = Batch::new(&mut tensors, config, (Set::Test, test), rows, Views::Run, largest_binding);
        let shapes = Shapes::of_network(architecture, rows, Views::Run);
        let mut pass = Pass::new(config, shapes, batch, &parameters, &mut tensors, "evaluation");
        let evaluation = evaluation::evaluation_step(&mut pass, row_counts);
        let probabilities = pass.compared(Part::Network, layers - 1);

        let images = sample(config, dataset, largest_binding);
        let sample = images.count();
        let shapes = Shapes::of_network(architecture, sample, Views::Run);
        let sample_metrics = tensors.add("row metrics of the sample", Level::Slot, (layers + 1) * sample);
        let batch = Batch::new(&mut tensors, config, (Set::Sample, &images), sample, Views::Run, largest_binding);
        let mut pass = Pass::new(config, shapes, batch, &parameters, &mut tensors, "diagnosis");
        let (diagnosis, parts) = evaluation::diagnosis_step(&mut pass, sample_metrics);

        let sum_layout = SumLayout { slots, layers, sample };
        let sums = tensors.add("sums", Level::Run, sum_layout.count());
        let mut first = 0;
        let mut reduce = |values, shape, length| evaluation::reduction(values, shape, length, sums, &mut first);
        let mut summary = vec![
            reduce(row_metrics, (slots, layers + 1), config.batch_size),
            reduce(row_counts, (config.replicas, EVALUATION_METRICS), rows),
            reduce(sample_metrics, (slots, layers + 1), sample),
        ];
        summary.extend(parts.into_iter().map(|(tensor, count)| reduce(tensor, (slots, layout::DIAGNOSIS_SUMS), count)));
        Ok(Self {
            tensors: tensors.into_specs(),
            slots,
            views,
            shuffle,
            stages,
            evaluation,
            evaluation_batch: rows,
            probabilities,
            judging,
            diagnosis,
            summary,
            parameters,
            row_metrics,
            trust,
            evaluation_sums: [row_counts, sample_metrics],
            sums,
            sum_layout,
        })
    }

    /// The programs of `config` on a batch of blank images, for looking at them. The fused plan as in [`Programs::new`].
    pub fn on_blank_images(config: &TrainingConfig, plan: Plan) -> Result<Self> {
        let dataset = blank_dataset(config)?;
        Self::new(Job { config, dataset: &dataset }, plan, u64::MAX)
    }

    /// What a tensor is.
    pub fn spec(&self, tensor: Tensor) -> &TensorSpec {
        &self.tensors[tensor.index()]
    }

    /// Copies of a tensor.
    pub fn copies(&self, tensor: Tensor) -> usize {
        self.spec(tensor).per.count(self.slots)
    }

    /// Numbers in a buffer that tensors share.
    pub fn pack_words(&self, pack: Pack) -> usize {
        let places = self.tensors.iter().filter_map(|spec| {
            let (_, first) = spec.pack.filter(|&(other, _)| other == pack)?;
            Some(first + spec.per.count(self.slots) * spec.words)
        });
        places.max().unwrap_or(0)
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u128 {
        self.tensors.iter().map(|spec| 4 * spec.words as u128 * spec.per.count(self.slots) as u128).sum()
    }

    /// Every operation.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        let rest = [&self.shuffle, &self.evaluation, &self.diagnosis, &self.summary];
        let judging = self.judging.iter().map(|judging| &judging.operations);
        self.stages.iter().chain(rest).chain(judging).flatten()
    }
}

/// The images of a set, as the tensors of [`Programs`] hold them.
pub fn images(job: Job<'_>, set: Set, largest_binding: u64) -> std::borrow::Cow<'_, Images> {
    match set {
        Set::Train => std::borrow::Cow::Borrowed(&job.dataset.train),
        Set::Test => std::borrow::Cow::Borrowed(&job.dataset.test),
        Set::Sample => std::borrow::Cow::Owned(sample(job.config, job.dataset, largest_binding)),
    }
}

/// The images of a set that have no labels, by their ascending numbers.
pub fn unlabelled(job: Job<'_>, set: Set) -> &[u32] {
    match set {
        Set::Train => &job.dataset.unlabelled,
        Set::Test | Set::Sample => &[],
    }
}

/// The first test images: [`SAMPLE`], or as many as there are, or as fit.
fn sample(config: &TrainingConfig, dataset: &Dataset, largest_binding: u64) -> Images {
    dataset.test.head(sample_size(config, dataset.test.count(), largest_binding).min(SAMPLE))
}

#[cfg(test)]
mod tests;
