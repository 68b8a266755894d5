//! The parts that programs of training, evaluation and diagnosis have in common: a batch, and the way forward through the network.

use super::parameters::ParameterTensors;
use super::shapes::{Part, Shapes};
use super::tensors::{Content, Set, Tensors};
use crate::config::TrainingConfig;
use crate::dataset::Images;
use crate::kernels::dropout;
use crate::kernels::forward::Forward;
use crate::kernels::gather::Gather;
use crate::kernels::normalize::Normalize;
use crate::kernels::{Element, Level, Operation, Pack, Tensor};
use crate::layout::{Dropout, Rows, Shard, Views};
use std::collections::HashMap;

/// A batch of images.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who has one of its own.
    pub views: Views,
    /// `[view, batch, quads(pixels)]`.
    pub inputs: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
    /// The order in which images are taken: `[replica, images]` in training, else `[images]`.
    pub orders: Tensor,
    gathers: Vec<Gather>,
}

impl Batch {
    /// Batches of `rows` of the `images` of `set`; those of training are changed as `config` says. No tensor of records is larger than
    /// `largest_binding` bytes.
    pub fn new(
        tensors: &mut Tensors,
        config: &TrainingConfig,
        (set, images): (Set, &Images),
        rows: usize,
        views: Views,
        largest_binding: u64,
    ) -> Self {
        let shard = |first: usize, count: usize| {
            let shard = Shard::new(images, first, count, rows, views);
            if set == Set::Train { shard.augmented(&config.augmentation, config.seed) } else { shard }
        };
        let count = images.count();
        let whole = shard(0, count);
        let images_per_shard = (largest_binding / (4 * u64::from(whole.record_words))).clamp(1, count as u64) as usize;
        let name = |what: &str| format!("{what} of the {}", set.name());
        let (per, content) = if set == Set::Train { (Level::Replica, Content::Zero) } else { (Level::Run, Content::Counting) };
        let orders = tensors.add_with(name("orders"), Element::Word, per, count, content);
        let table = tensors.add_with(name("numbers of bytes"), Element::Number, Level::Run, 256, Content::PixelTable);
        let input_words = rows * 4 * whole.input_quads as usize;
        let inputs = match set {
            Set::Train => tensors.add_to(Pack::Activations, name("inputs"), Level::View(views), input_words),
            _ => tensors.add(name("inputs"), Level::View(views), input_words),
        };
        let labels = tensors.add_words(name("labels"), Level::View(views), rows);
        let gathers = (0..count).step_by(images_per_shard).map(|first| {
            let shard = shard(first, images_per_shard.min(count - first));
            let content = Content::Records(set, shard);
            let records = tensors.add_with(
                name(if shard.has_features() { "features" } else { "images" }),
                Element::Word,
                Level::Run,
                shard.words(),
                content,
            );
            Gather { shard, views, records, orders, table, inputs, labels }
        });
        Self { views, inputs, labels, orders, gathers: gathers.collect() }
    }

    /// Batches of `rows` rows of the same images in the same order, one for each replica, as they are without changes.
    pub fn unchanged(&self, tensors: &mut Tensors, rows: usize) -> Self {
        let views = Views::Replica;
        let words = self.gathers.first().map_or(0, |gather| rows * 4 * gather.shard.input_quads as usize);
        let inputs = tensors.add("inputs that are judged", Level::View(views), words);
        let labels = tensors.add_words("labels that are judged", Level::View(views), rows);
        let gather = |gather: &Gather| Gather { shard: gather.shard.unchanged(rows, views), views, inputs, labels, ..*gather };
        Self { views, inputs, labels, orders: self.orders, gathers: self.gathers.iter().map(gather).collect() }
    }

    /// The operation that fetches it, where it is one for each replica and nothing changes the images.
    pub fn plain(&self) -> Option<&Gather> {
        match self.gathers.as_slice() {
            [gather] if self.views == Views::Replica && !gather.shard.moves() => Some(gather),
            _ => None,
        }
    }

    /// The operations that fetch it.
    pub fn gather(&self) -> impl Iterator<Item = Operation> + '_ {
        self.gathers.iter().cloned().map(Operation::Gather)
    }
}

/// What a layer's tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What the layer gives.
    Outputs,
    /// Means of one of these over the batch.
    Means,
    /// Outputs brought to length √width, for the next layer.
    Normalized,
    /// Outputs brought to length 1, for the prototypes.
    UnitRows,
    /// The gradient with respect to normalised rows.
    Gradients,
    /// The loss's gradient with respect to the layer's product.
    Deltas,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Outputs => "outputs",
            Self::Means => "means",
            Self::Normalized => "normalised rows",
            Self::UnitRows => "unit rows",
            Self::Gradients => "gradients",
            Self::Deltas => "deltas",
        }
    }

    const fn pack(self) -> Option<Pack> {
        match self {
            Self::Outputs | Self::Normalized | Self::UnitRows => Some(Pack::Activations),
            Self::Deltas | Self::Gradients => Some(Pack::Deltas),
            Self::Means => None,
        }
    }
}

/// Operations on one batch: tensors come into being where an operation names them first.
pub struct Pass<'a> {
    /// The run.
    pub config: &'a TrainingConfig,
    /// Its layers, in batches of this pass.
    pub shapes: Shapes,
    /// The batch.
    pub batch: Batch,
    /// What is learned.
    pub parameters: &'a [ParameterTensors],
    /// All tensors of the run.
    pub tensors: &'a mut Tensors,
    purpose: &'static str,
    made: HashMap<(Role, Part, usize), Tensor>,
}

impl<'a> Pass<'a> {
    /// A pass without operations; `purpose` names its tensors.
    pub fn new(
        config: &'a TrainingConfig,
        shapes: Shapes,
        batch: Batch,
        parameters: &'a [ParameterTensors],
        tensors: &'a mut Tensors,
        purpose: &'static str,
    ) -> Self {
        Self { config, shapes, batch, parameters, tensors, purpose, made: HashMap::new() }
    }

    /// A layer's tensor.
    pub fn tensor(&mut self, role: Role, part: Part, layer: usize) -> Tensor {
        let (shapes, tensors, purpose) = (&self.shapes, &mut *self.tensors, self.purpose);
        *self.made.entry((role, part, layer)).or_insert_with(|| {
            let name = format!("{purpose}: {} of {} {}", role.name(), part.name(), layer + 1);
            let rows = shapes.rows(part, layer);
            let words = if role == Role::Means { rows.stride() } else { rows.len() };
            match role.pack() {
                Some(pack) if purpose == TRAINING => tensors.add_to(pack, name, Level::Slot, words),
                _ => tensors.add(name, Level::Slot, words),
            }
        })
    }

    /// The rows that a layer's loss and its diagnosis read, one for each image, and their tensor.
    pub fn compared(&mut self, part: Part, layer: usize) -> (Rows, Tensor) {
        (self.shapes.compared(part, layer), self.tensor(Role::Outputs, part, layer))
    }

    /// The parameters of a layer.
    pub fn parameters(&self, part: Part, layer: usize) -> &'a ParameterTensors {
        let first = if part == Part::Network { 0 } else { self.shapes.network.len() };
        &self.parameters[first + layer]
    }

    /// What a layer reads.
    pub fn inputs(&mut self, part: Part, layer: usize) -> Tensor {
        match (part, layer) {
            (Part::Network, 0) => self.batch.inputs,
            (Part::Network, _) if self.config.normalize => self.tensor(Role::Normalized, part, layer - 1),
            (Part::Network, _) => self.tensor(Role::Outputs, part, layer - 1),
            (Part::Projection, _) => self.tensor(Role::Outputs, Part::Network, layer),
        }
    }

    /// One layer's product and activation.
    pub fn forward(&mut self, part: Part, index: usize) -> Operation {
        let layer = *self.shapes.of(part, index);
        Forward {
            layer,
            inputs: self.inputs(part, index),
            weights: self.parameters(part, index).weights,
            outputs: self.tensor(Role::Outputs, part, index),
        }
        .into()
    }

    /// Leaves out units of a hidden layer's outputs or deltas, where training does.
    pub fn dropout(&mut self, role: Role, index: usize) -> Option<Operation> {
        let share = self.config.dropout;
        if share == 0.0 || self.purpose != TRAINING {
            return None;
        }
        let shape = Dropout::new(self.config.seed, index, share, &self.shapes.rows(Part::Network, index));
        Some(dropout::Dropout { shape, rows: self.tensor(role, Part::Network, index) }.into())
    }

    /// The first `layers` layers of the network.
    pub fn forward_network(&mut self, layers: usize) -> Vec<Operation> {
        let last = self.shapes.network.len() - 1;
        let mut operations = Vec::new();
        for index in 0..layers {
            operations.push(self.forward(Part::Network, index));
            operations.extend(self.dropout(Role::Outputs, index).filter(|_| index < last));
            if self.config.normalize && index < last {
                let shape = self.shapes.rows(Part::Network, index);
                let rows = self.tensor(Role::Outputs, Part::Network, index);
                let normalized = self.tensor(Role::Normalized, Part::Network, index);
                operations.push(Normalize { shape, unit: false, rows, normalized }.into());
            }
        }
        operations
    }
}

/// The purpose of the pass whose tensors may share buffers.
pub const TRAINING: &str = "training";

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Train => "training images",
            Self::Test => "test images",
            Self::Sample => "sample",
        }
    }
}
