//! A tensor of every layer: one buffer for all of them, or one each.

use super::buffers::Allocator;
use crate::config::{Representation, TrainingConfig};
use crate::error::Result;
use crate::layout::{Joined, Layer};

/// What each layer has of something, on the device. Within its buffer a layer's part begins at the offset that its [`Layer`]
/// states.
pub struct Tensor {
    buffers: Vec<wgpu::Buffer>,
}

impl Tensor {
    /// A buffer of `joined` f32 that all layers share.
    pub fn joined(allocator: &Allocator, name: &str, length: usize) -> Result<Self> {
        Ok(Self { buffers: vec![allocator.storage(name, length)?] })
    }

    /// A buffer of `length` f32 for each layer.
    pub fn separate(allocator: &Allocator, name: &str, layers: &[Layer], length: impl Fn(&Layer) -> usize) -> Result<Self> {
        let buffers = layers.iter().map(|layer| allocator.storage(&format!("{name} of layer {}", layer.index), length(layer)));
        Ok(Self { buffers: buffers.collect::<Result<_>>()? })
    }

    /// The buffer that holds a layer's part.
    pub fn of(&self, layer: usize) -> &wgpu::Buffer {
        &self.buffers[layer.min(self.buffers.len() - 1)]
    }
}

/// What a run learns.
pub struct Parameters {
    /// The weights, `[slot]` for each layer.
    pub weights: Tensor,
    /// Their first moments.
    pub first: Tensor,
    /// Their second moments.
    pub second: Tensor,
}

/// What a training step leaves for the next dispatch.
pub struct Scratch {
    /// The gathered batch; shares the activations' buffer where layers share one.
    pub inputs: wgpu::Buffer,
    /// Each layer's output.
    pub activations: Tensor,
    /// The same before the activation function, where the loss compares that; else a stub.
    pub preactivations: Tensor,
    /// Means over the batch of each hidden layer's output, where the loss is centred; else a stub.
    pub means: Tensor,
    /// Each layer's delta.
    pub deltas: Tensor,
}

impl Parameters {
    /// Zeroed, for `slots` slots.
    pub fn new(allocator: &Allocator, layers: &[Layer], slots: usize, joined: Option<Joined>) -> Result<Self> {
        let tensor = |name: &str| match joined {
            Some(joined) => Tensor::joined(allocator, name, joined.weights),
            None => Tensor::separate(allocator, name, layers, |layer| slots * layer.weight_len()),
        };
        Ok(Self { weights: tensor("weights")?, first: tensor("first moments")?, second: tensor("second moments")? })
    }
}

impl Scratch {
    /// Zeroed, for `slots` slots that read `views` views; `config` says what else than outputs is kept.
    pub fn new(
        allocator: &Allocator,
        layers: &[Layer],
        slots: usize,
        views: usize,
        joined: Option<Joined>,
        config: &TrainingConfig,
    ) -> Result<Self> {
        let keep = config.representation == Representation::PreActivation;
        let means = |layer: &Layer| if config.centre { slots * layer.weight_stride() } else { 4 };
        let means = Tensor::separate(allocator, "means", layers, means)?;
        let Some(joined) = joined else {
            let kept = |layer: &Layer| if keep { slots * layer.output_len() } else { 4 };
            return Ok(Self {
                inputs: allocator.storage("inputs", views * layers[0].input_len())?,
                activations: Tensor::separate(allocator, "activations", layers, |layer| slots * layer.output_len())?,
                preactivations: Tensor::separate(allocator, "pre-activations", layers, kept)?,
                deltas: Tensor::separate(allocator, "deltas", layers, |layer| slots * layer.delta_len())?,
                means,
            });
        };
        let activations = Tensor::joined(allocator, "activations", joined.activations)?;
        Ok(Self {
            inputs: activations.of(0).clone(),
            preactivations: Tensor::joined(allocator, "pre-activations", if keep { joined.activations } else { 4 })?,
            deltas: Tensor::joined(allocator, "deltas", joined.deltas)?,
            activations,
            means,
        })
    }

    /// What a layer reads.
    pub fn inputs_of(&self, layer: usize) -> &wgpu::Buffer {
        if layer == 0 { &self.inputs } else { self.activations.of(layer - 1) }
    }
}
