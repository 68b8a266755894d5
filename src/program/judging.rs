//! The program by which networks judge training images that they do not learn from.

use super::network::{Batch, Pass, Role};
use super::parameters::ParameterTensors;
use super::shapes::{Part, Shapes};
use super::tensors::Tensors;
use crate::config::{HiddenLoss, TrainingConfig};
use crate::engine::evaluation_batch_size;
use crate::kernels::softmax::Softmax;
use crate::kernels::{Operation, Tensor};
use crate::layout::{Rows, Step};
use std::ops::Range;

/// A batch of images that the replicas leave out, and what the networks say of them.
#[derive(Clone, Debug)]
pub struct Judging {
    /// What is done with a batch.
    pub operations: Vec<Operation>,
    /// Places of the images in an epoch's order.
    places: Range<usize>,
    /// Images of a batch.
    batch: usize,
    /// Of each layer that judges the rows of probabilities that it leaves, and their tensor: the heads of hidden layers, which judge better than
    /// the output; without heads the output.
    pub probabilities: Vec<(Rows, Tensor)>,
}

impl Judging {
    /// Of the images at `places` in the orders of `training`.
    pub fn new(
        config: &TrainingConfig,
        training: &Batch,
        places: Range<usize>,
        parameters: &[ParameterTensors],
        tensors: &mut Tensors,
        largest_binding: u64,
    ) -> Self {
        let rows = evaluation_batch_size(config, places.len(), largest_binding);
        let shapes = Shapes::of_judging(config, rows);
        let batch = training.unchanged(tensors, rows);
        let mut pass = Pass::new(config, shapes, batch, parameters, tensors, "judging");
        let last = pass.shapes.network.len() - 1;
        let judging: Vec<_> = match config.hidden_loss {
            HiddenLoss::Head(_) if !pass.shapes.projections.is_empty() => {
                (0..last).map(|index| (Part::Projection, index)).collect()
            }
            _ => vec![(Part::Network, last)],
        };
        let mut operations: Vec<Operation> = pass.batch.gather().collect();
        let is_headed = judging.iter().any(|&(part, _)| part == Part::Projection);
        operations.extend(pass.forward_network(if is_headed { last } else { last + 1 }));
        let mut probabilities = Vec::with_capacity(judging.len());
        for (part, index) in judging {
            if part == Part::Projection {
                operations.push(pass.forward(part, index));
            }
            let (shape, rows) = (pass.shapes.rows(part, index), pass.tensor(Role::Outputs, part, index));
            operations.push(Softmax { shape, rows }.into());
            probabilities.push((shape, rows));
        }
        Self { operations, places, batch: rows, probabilities }
    }

    /// The steps that its batches take.
    pub fn steps(&self) -> Vec<Step> {
        let step = |first: usize| Step::evaluation(first, self.batch.min(self.places.end - first));
        self.places.clone().step_by(self.batch).map(step).collect()
    }
}
