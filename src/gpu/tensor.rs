//! A tensor of every layer: one buffer for all of them, or one each.

use super::buffers::Allocator;
use crate::config::{HiddenLoss, Representation, TrainingConfig};
use crate::engine::Quantity;
use crate::error::Result;
use crate::layout::{Joined, Layer, Shapes};
use crate::plan::Part;

/// What each layer has of something, on the device. Within its buffer a layer's part begins at the offset that its [`Layer`]
/// states.
pub struct Tensor {
    parts: [Vec<wgpu::Buffer>; 3],
}

impl Tensor {
    /// A buffer of `joined` f32 that all layers of the network share.
    pub fn joined(allocator: &Allocator, name: &str, length: usize) -> Result<Self> {
        Ok(Self { parts: [vec![allocator.storage(name, length)?], Vec::new(), Vec::new()] })
    }

    /// A buffer of `length` f32 for each layer; a stub, which can be bound, where that is 0.
    pub fn separate(allocator: &Allocator, name: &str, shapes: &Shapes, length: impl Fn(Part, &Layer) -> usize) -> Result<Self> {
        let mut parts = [const { Vec::new() }; 3];
        for (part, kind) in Part::ALL.into_iter().zip(["layer", "projection", "guide"]) {
            for layer in shapes.all(part) {
                let name = format!("{name} of {kind} {}", layer.index);
                parts[part as usize].push(allocator.storage(&name, length(part, layer).max(4))?);
            }
        }
        Ok(Self { parts })
    }

    /// The buffer that holds a layer's part.
    pub fn of(&self, part: Part, layer: usize) -> &wgpu::Buffer {
        let buffers = &self.parts[part as usize];
        &buffers[layer.min(buffers.len() - 1)]
    }

    /// The network's buffers.
    pub fn of_network(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        self.parts[Part::Network as usize].iter()
    }

    /// All buffers.
    pub fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        self.parts.iter().flatten()
    }
}

/// What a run learns, and the prototypes, which are weights too.
pub struct Parameters {
    /// The weights, `[slot]` for each layer.
    pub weights: Tensor,
    /// Their first moments.
    pub first: Tensor,
    /// Their second moments.
    pub second: Tensor,
    /// The network's weights when the epoch began.
    pub before: Tensor,
}

/// What a training step leaves for the next dispatch.
pub struct Scratch {
    /// The gathered batch; shares the outputs' buffer where layers share one.
    pub inputs: wgpu::Buffer,
    /// Each layer's output.
    pub outputs: Tensor,
    /// The same before the activation function, where the loss compares that; else a stub.
    pub preactivations: Tensor,
    /// Means over the batch of each hidden layer's output, where the loss is centred; else a stub.
    pub means: Tensor,
    /// Rows brought to one length: of hidden layers for the next one, and the unit rows that guides read.
    pub normalized: Tensor,
    /// Gradients with respect to these.
    pub gradients: Tensor,
    /// The rows that each row of a slot is compared with, where the loss does that; else a stub.
    pub pairs: wgpu::Buffer,
    /// Each layer's delta.
    pub deltas: Tensor,
}

impl Parameters {
    /// A quantity of all weights.
    pub fn tensor(&self, quantity: Quantity) -> &Tensor {
        match quantity {
            Quantity::Weights => &self.weights,
            Quantity::FirstMoments => &self.first,
            Quantity::SecondMoments => &self.second,
            Quantity::EpochStart => &self.before,
        }
    }

    /// Zeroed, for `slots` slots.
    pub fn new(allocator: &Allocator, shapes: &Shapes, slots: usize, joined: Option<Joined>) -> Result<Self> {
        let tensor = |name: &str, parts: &[Part]| match joined {
            Some(joined) => Tensor::joined(allocator, name, joined.weights),
            None => Tensor::separate(
                allocator,
                name,
                shapes,
                |part, layer| {
                    if parts.contains(&part) { slots * layer.weight_len() } else { 0 }
                },
            ),
        };
        let learned = [Part::Network, Part::Projection];
        Ok(Self {
            weights: tensor("weights", &Part::ALL)?,
            first: tensor("first moments", &learned)?,
            second: tensor("second moments", &learned)?,
            before: tensor("weights before the epoch", &[Part::Network])?,
        })
    }
}

impl Scratch {
    /// Zeroed, for `slots` slots that read `views` views; `config` says what is kept.
    pub fn new(
        allocator: &Allocator,
        shapes: &Shapes,
        slots: usize,
        views: usize,
        joined: Option<Joined>,
        config: &TrainingConfig,
    ) -> Result<Self> {
        let keep = config.representation == Representation::PreActivation;
        let separate = |name: &str, length: &dyn Fn(Part, &Layer) -> usize| {
            Tensor::separate(allocator, name, shapes, |part, layer| slots * length(part, layer))
        };
        let network = |used: bool, length: fn(&Layer) -> usize| {
            move |part, layer: &Layer| if used && part == Part::Network { length(layer) } else { 0 }
        };
        let means = separate("means", &network(config.centre, Layer::weight_stride))?;
        let normalized = separate("normalized rows", &|part, layer| match part {
            Part::Network if config.normalize => layer.output_len(),
            Part::Guide => layer.input_len(),
            _ => 0,
        })?;
        let gradients = separate("gradients", &|part, layer| match part {
            Part::Network if config.normalize && config.backpropagates() => layer.delta_len(),
            Part::Guide => layer.batch_size as usize * layer.gradient_stride(),
            _ => 0,
        })?;
        let paired = config.has_hidden_losses() && config.hidden_loss == HiddenLoss::Pairs;
        let pairs = allocator.storage("pairs", if paired { 2 * slots * shapes.network[0].batch_size as usize } else { 4 })?;
        if let Some(joined) = joined {
            let outputs = Tensor::joined(allocator, "outputs", joined.activations)?;
            return Ok(Self {
                inputs: outputs.of(Part::Network, 0).clone(),
                preactivations: Tensor::joined(allocator, "pre-activations", if keep { joined.activations } else { 4 })?,
                deltas: Tensor::joined(allocator, "deltas", joined.deltas)?,
                outputs,
                means,
                normalized,
                gradients,
                pairs,
            });
        }
        Ok(Self {
            inputs: allocator.storage("inputs", views * shapes.network[0].input_len())?,
            outputs: separate("outputs", &|_, layer| layer.output_len())?,
            preactivations: separate("pre-activations", &network(keep, Layer::output_len))?,
            deltas: separate("deltas", &|_, layer| layer.delta_len())?,
            means,
            normalized,
            gradients,
            pairs,
        })
    }

    /// What a layer reads.
    pub fn inputs_of(&self, config: &TrainingConfig, part: Part, layer: usize) -> &wgpu::Buffer {
        match (part, layer) {
            (Part::Network, 0) => &self.inputs,
            (Part::Network, _) if config.normalize => self.normalized.of(part, layer - 1),
            (Part::Network, _) => self.outputs.of(part, layer - 1),
            (Part::Projection, _) => self.outputs.of(Part::Network, layer),
            (Part::Guide, _) => self.normalized.of(part, layer),
        }
    }
}
