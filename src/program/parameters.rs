//! The parameters that a run learns: their tensors, and their numbers as the host has them.

use super::shapes::{Part, Shapes};
use super::tensors::Tensors;
use crate::engine::Quantity;
use crate::kernels::{Level, Pack, Tensor};
use crate::layout::Linear;
use crate::model::{LayerParameters, Map, Parameters};

/// The tensors of one layer's parameters.
#[derive(Clone, Copy, Debug)]
pub struct ParameterTensors {
    /// Which of the run's layers.
    pub part: Part,
    /// Its number.
    pub index: usize,
    /// What enters it.
    pub input: Map,
    /// Its shape.
    pub layer: Linear,
    /// `[slot, 4 · quads(inputs) + 1, quads(outputs)]`; the next two and `before` have the same shape.
    pub weights: Tensor,
    /// Adam's first moments.
    pub first_moments: Tensor,
    /// Adam's second moments.
    pub second_moments: Tensor,
    /// The weights when the epoch began; of the network only.
    pub before: Option<Tensor>,
}

impl ParameterTensors {
    /// Those of all layers that learn.
    pub fn of(shapes: &Shapes, tensors: &mut Tensors) -> Vec<Self> {
        let parts = [Part::Network, Part::Projection].into_iter();
        let layers = parts.flat_map(|part| shapes.all(part).iter().enumerate().map(move |(index, layer)| (part, index, layer)));
        let of_layer = |(part, index, &layer): (Part, usize, &Linear)| {
            let name = |what: &str| format!("{what} of {} {}", part.name(), index + 1);
            let mut add = |pack, what: &str| tensors.add_to(pack, name(what), Level::Slot, layer.weight_len());
            Self {
                part,
                index,
                input: shapes.input(part, index),
                layer,
                weights: add(Pack::Weights, "weights"),
                first_moments: add(Pack::FirstMoments, "first moments"),
                second_moments: add(Pack::SecondMoments, "second moments"),
                before: (part == Part::Network)
                    .then(|| tensors.add(name("weights before the epoch"), Level::Slot, layer.weight_len())),
            }
        };
        layers.map(of_layer).collect()
    }

    /// The tensor of a quantity, where it is kept.
    pub fn quantity(&self, quantity: Quantity) -> Option<Tensor> {
        match quantity {
            Quantity::Weights => Some(self.weights),
            Quantity::FirstMoments => Some(self.first_moments),
            Quantity::SecondMoments => Some(self.second_moments),
            Quantity::EpochStart => self.before,
        }
    }

    /// A slot's values of this layer among those of all layers.
    pub fn values<'p>(&self, parameters: &'p Parameters, slot: usize) -> Option<&'p LayerParameters> {
        let slots = if self.part == Part::Network { &parameters.slots } else { &parameters.projections };
        slots.get(slot)?.get(self.index)
    }

    /// A quantity of all `layers`, of which `contents` are the numbers of each tensor that keeps it, `[slot]` one behind the other.
    pub fn collect(
        layers: &[Self],
        slots: usize,
        quantity: Quantity,
        contents: impl IntoIterator<Item = Vec<f32>>,
    ) -> Parameters {
        let mut all = Parameters { slots: vec![Vec::new(); slots], projections: vec![Vec::new(); slots] };
        let kept = layers.iter().filter(|layer| layer.quantity(quantity).is_some());
        for (parameters, content) in kept.zip(contents) {
            let layer = &parameters.layer;
            let target = if parameters.part == Part::Network { &mut all.slots } else { &mut all.projections };
            for (slot, packed) in target.iter_mut().zip(content.chunks_exact(layer.weight_len())) {
                slot.push(layer.unpack(parameters.input, packed));
            }
        }
        all
    }
}
