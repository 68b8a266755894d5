//! All layers of a run, and where they stand in buffers that they share.

use super::{Layer, Views};
use crate::config::{HiddenLoss, Method, TrainingConfig};
use crate::model::Architecture;
use crate::plan::Part;

/// Every layer of a run: the network's, and what its hidden layers' losses need beside them.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// The network's layers.
    pub network: Vec<Layer>,
    /// A projection for each hidden layer, or none.
    pub projections: Vec<Layer>,
    /// The prototypes of each hidden layer, or none.
    pub guides: Vec<Layer>,
}

impl Shapes {
    /// The layers of `config`'s run, for batches of `batch_size` rows of `views`.
    pub fn new(config: &TrainingConfig, architecture: &Architecture, batch_size: usize, views: Views) -> Self {
        let frozen = if config.method == Method::FrozenPartner { 0b10 } else { 0 };
        let mut network = Layer::all(architecture, batch_size, views);
        network.iter_mut().for_each(|layer| layer.frozen = frozen);
        let guided = config.has_hidden_losses() && config.hidden_loss == HiddenLoss::Prototypes;
        let hidden = if guided { &network[..network.len() - 1] } else { &[] };
        let projected = if config.has_projections() { hidden } else { &[] };
        let projections: Vec<Layer> = projected.iter().map(|layer| layer.projection(config.projection)).collect();
        let sources = if projections.is_empty() { hidden } else { &projections };
        let guides = sources.iter().map(|layer| layer.guide(architecture.classes(), config)).collect();
        Self { network, projections, guides }
    }

    /// The network's layers alone, for an evaluation in batches of `batch_size` rows.
    pub fn of_evaluation(architecture: &Architecture, batch_size: usize) -> Self {
        Self { network: Layer::all(architecture, batch_size, Views::Run), projections: Vec::new(), guides: Vec::new() }
    }

    /// One layer.
    pub fn of(&self, part: Part, layer: usize) -> &Layer {
        &self.all(part)[layer]
    }

    /// The layers of one part.
    pub fn all(&self, part: Part) -> &[Layer] {
        match part {
            Part::Network => &self.network,
            Part::Projection => &self.projections,
            Part::Guide => &self.guides,
        }
    }

    /// The layer whose outputs are brought to unit length for the prototypes of hidden layer `layer`.
    pub fn guide_source(&self, layer: usize) -> (Part, &Layer) {
        match self.projections.get(layer) {
            Some(projection) => (Part::Projection, projection),
            None => (Part::Network, &self.network[layer]),
        }
    }
}

/// The lengths, in f32, of buffers that all layers of a run share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Of weights, and of each moment.
    pub weights: usize,
    /// Of the input and all activations.
    pub activations: usize,
    /// Of all deltas.
    pub deltas: usize,
}

impl Joined {
    /// Sets the offsets of `layers` for buffers that hold all `slots` of each layer, one layer behind the other.
    pub fn place(layers: &mut [Layer], slots: usize) -> Self {
        let (mut weights, mut deltas) = (0, 0);
        let mut activations = layers.first().map_or(0, |first| (first.view(slots - 1) + 1) * first.input_len());
        let mut input_offset = 0;
        for layer in layers {
            layer.weight_offset = (weights / 4) as u32;
            layer.input_offset = input_offset;
            layer.output_offset = (activations / 4) as u32;
            layer.delta_offset = (deltas / 4) as u32;
            input_offset = layer.output_offset;
            weights += slots * layer.weight_len();
            activations += slots * layer.output_len();
            deltas += slots * layer.delta_len();
        }
        Self { weights, activations, deltas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_tensors_touch_and_do_not_overlap() {
        let architecture = Architecture::new(vec![5, 4, 3]).unwrap();
        let mut layers = [0, 1].map(|index| Layer::new(&architecture, index, 2, Views::Replica));
        let joined = Joined::place(&mut layers, 4);
        // Two views of 2 × 8 inputs; 4 slots of 2 × 8 and 2 × 4 outputs; 4 slots of 8 × 4 and 8 × 4 weights, of 2 × 4 deltas.
        assert_eq!(joined, Joined { weights: 256, activations: 32 + 64 + 32, deltas: 64 });
        assert_eq!(layers.map(|layer| layer.input_offset), [0, 8]);
        assert_eq!(layers.map(|layer| layer.output_offset), [8, 24]);
        assert_eq!(layers.map(|layer| layer.weight_offset), [0, 32]);
        assert_eq!(layers.map(|layer| layer.delta_offset), [0, 8]);
    }
}
