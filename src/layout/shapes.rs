//! All layers of a run.

use super::{Layer, Views};
use crate::config::{HiddenLoss, Method, TrainingConfig};
use crate::model::Architecture;

/// Which of a run's layers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The network's own.
    Network,
    /// The projections behind hidden layers.
    Projection,
    /// The prototypes of hidden layers, as the weights of a layer without a bias.
    Guide,
}

impl Part {
    /// What one of its layers is called.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Network => "layer",
            Part::Projection => "projection",
            Part::Guide => "guide",
        }
    }
}

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
