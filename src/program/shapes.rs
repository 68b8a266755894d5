//! The layers of a run.

use crate::config::{HiddenLoss, Method, TrainingConfig};
use crate::layout::{Linear, Prototypes, RowLoss, Rows, Trained, Views};
use crate::model::{Architecture, Layer, LayerSpec, Map};

/// Which of a run's layers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The network's own.
    Network,
    /// The projections behind hidden layers.
    Projection,
}

impl Part {
    /// What one of its layers is called.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Network => "layer",
            Part::Projection => "projection",
        }
    }
}

/// Every layer of a run, for batches of one size.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// The network's layers.
    pub network: Vec<Linear>,
    /// What enters them.
    inputs: Vec<Map>,
    /// A projection for each hidden layer, or none.
    pub projections: Vec<Linear>,
    /// Who has a batch of its own.
    pub views: Views,
}

impl Shapes {
    /// The network's layers alone, for batches of `batch_size` images of `views`.
    pub fn of_network(architecture: &Architecture, batch_size: usize, views: Views) -> Self {
        let layer = |(index, layer): (usize, Layer)| match layer.spec {
            LayerSpec::Linear { outputs } => Linear {
                view_shift: if index == 0 { views.shift() } else { 0 },
                rectified: u32::from(index + 1 < architecture.layer_count()),
                ..Linear::new(layer.input.numbers(), outputs, batch_size)
            },
        };
        let network = architecture.layers().enumerate().map(layer).collect();
        let inputs = architecture.layers().map(|layer| layer.input).collect();
        Self { network, inputs, projections: Vec::new(), views }
    }

    /// The layers that `config` trains.
    pub fn of_training(config: &TrainingConfig) -> Self {
        let network = Self::of_network(&config.architecture, config.batch_size, Views::of_training(config));
        let Some(width) = config.projection() else { return network };
        let projection = |layer: &Linear| Linear::new(layer.output_width as usize, width, config.batch_size);
        let hidden = &network.network[..config.architecture.layer_count() - 1];
        Self { projections: hidden.iter().map(projection).collect(), ..network }
    }

    /// The same layers in batches of `batch_size` images that each replica judges.
    pub fn of_judging(config: &TrainingConfig, batch_size: usize) -> Self {
        let projection = |layer: &Linear| Linear::new(layer.input_width as usize, layer.output_width as usize, batch_size);
        let projections = Self::of_training(config).projections.iter().map(projection).collect();
        Self { projections, ..Self::of_network(&config.architecture, batch_size, Views::Replica) }
    }

    /// One layer.
    pub fn of(&self, part: Part, layer: usize) -> &Linear {
        &self.all(part)[layer]
    }

    /// The layers of one part.
    pub fn all(&self, part: Part) -> &[Linear] {
        match part {
            Part::Network => &self.network,
            Part::Projection => &self.projections,
        }
    }

    /// What enters a layer: a projection, the row that leaves its hidden layer.
    pub fn input(&self, part: Part, layer: usize) -> Map {
        match part {
            Part::Network => self.inputs[layer],
            Part::Projection => Map::vector(self.projections[layer].input_width as usize),
        }
    }

    /// The rows that leave a layer.
    pub fn rows(&self, part: Part, layer: usize) -> Rows {
        self.of(part, layer).output_rows()
    }

    /// The part whose rows the prototypes of hidden layers are made of.
    pub fn guided(&self) -> Part {
        if self.projections.is_empty() { Part::Network } else { Part::Projection }
    }

    /// The rows that a layer's loss reads, one for each image: of a dense layer what leaves it.
    pub fn compared(&self, part: Part, layer: usize) -> Rows {
        self.rows(part, layer)
    }

    /// The loss of a layer, as that of the network's layer `layer`.
    pub fn loss(&self, part: Part, layer: usize) -> RowLoss {
        self.compared(part, layer).loss(self.views, layer, self.network.len() + 1)
    }

    /// The prototypes of `rows`, one for each of `classes` classes; `partner`: those of the partner guide.
    pub fn prototypes(&self, rows: Rows, classes: usize, partner: bool, temperature: f64) -> Prototypes {
        Prototypes {
            width: rows.width,
            quads: rows.quads,
            batch_size: rows.rows,
            label_shift: self.views.shift(),
            classes: classes as u32,
            partner: u32::from(partner),
            inverse_temperature: (1.0 / temperature) as f32,
            padding_0: 0,
        }
    }
}

/// What of a layer learns.
pub fn trained(config: &TrainingConfig, part: Part) -> Trained {
    Trained {
        bias: u32::from(part == Part::Network),
        frozen: if config.method == Method::FrozenPartner { 0b10 } else { 0 },
        rate: match (part, config.hidden_loss) {
            (Part::Projection, HiddenLoss::Head(options)) => options.head_rate as f32,
            _ => 1.0,
        },
        ..Trained::ALL
    }
}
