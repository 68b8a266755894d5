//! The programs of an evaluation, of the diagnosis of the hidden layers, and of the sums that the host reads.

use super::network::{Pass, Role};
use super::shapes::Part;
use crate::kernels::accuracy::Accuracy;
use crate::kernels::batch_mean::BatchMean;
use crate::kernels::cosine_gradient::CosineGradient;
use crate::kernels::covariance::Covariance;
use crate::kernels::reduction::Reduction;
use crate::kernels::softmax::Softmax;
use crate::kernels::weight_norms::WeightNorms;
use crate::kernels::{Level, Operation, Tensor};
use crate::layout::{self, DIAGNOSIS_SUMS};

/// One batch of the test set; its probabilities are left in the last layer's outputs.
pub fn evaluation_step(pass: &mut Pass, row_counts: Tensor) -> Vec<Operation> {
    let last = pass.shapes.network.len() - 1;
    let mut operations: Vec<Operation> = pass.batch.gather().collect();
    operations.extend(pass.forward_network(last + 1));
    let (shape, rows) = pass.compared(Part::Network, last);
    operations.push(Softmax { shape, rows }.into());
    operations.push(Accuracy { shape, probabilities: rows, labels: pass.batch.labels, row_counts }.into());
    operations
}

/// The hidden layers of a sample of images after an epoch. The distance of A from B is added to `row_metrics`, other sums are left in
/// parts: their tensors, in the order of [`super::SumLayout`], with the parts of each sum.
pub fn diagnosis_step(pass: &mut Pass, row_metrics: Tensor) -> (Vec<Operation>, Vec<(Tensor, usize)>) {
    let layers = pass.shapes.network.len();
    let mut operations: Vec<Operation> = pass.batch.gather().collect();
    operations.extend(pass.forward_network(layers - 1));
    let (mut compare, mut spreads, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..layers - 1 {
        let (shape, rows) = pass.compared(Part::Network, index);
        let means = pass.tensor(Role::Means, Part::Network, index);
        operations.push(BatchMean { shape, rows, means }.into());
        let deltas = pass.tensor(Role::Deltas, Part::Network, index);
        let loss = pass.shapes.loss(Part::Network, index);
        compare.push(CosineGradient { shape: loss, rows, means: None, deltas, row_metrics }.into());
        let count = Covariance::parts(&shape);
        let tensor = pass.tensors.add(format!("spread of layer {}", index + 1), Level::Slot, DIAGNOSIS_SUMS * count);
        spreads.push(Covariance { shape, rows, means, parts: tensor }.into());
        parts.push((tensor, count));
    }
    operations.extend(compare.into_iter().chain(spreads));
    for parameters in pass.parameters.iter().filter(|parameters| parameters.part == Part::Network) {
        let layer = pass.shapes.network[parameters.index];
        let Some(before) = parameters.before else { continue };
        let count = WeightNorms::parts(&layer);
        let tensor = pass.tensors.add(format!("norms of layer {}", parameters.index + 1), Level::Slot, DIAGNOSIS_SUMS * count);
        operations.push(WeightNorms { layer, weights: parameters.weights, before, parts: tensor }.into());
        parts.push((tensor, count));
    }
    (operations, parts)
}

/// The sums of all rows of a tensor, written behind `first`, which moves on.
pub fn reduction(values: Tensor, (copies, rows): (usize, usize), length: usize, sums: Tensor, first: &mut usize) -> Operation {
    let shape = layout::Reduction { length: length as u32, first_sum: *first as u32, ..layout::Reduction::default() };
    *first += copies * rows;
    Reduction { shape, rows, copies, values, sums }.into()
}
