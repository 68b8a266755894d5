//! The program of a training step.
//!
//! All activations of a step come from the weights before it, and all gradients come before any update.

use super::network::{Pass, Role};
use crate::config::{HiddenLoss, Method, OutputLoss, Representation, Stage, TrainingConfig};
use crate::kernels::batch_mean::BatchMean;
use crate::kernels::class_prototypes::ClassPrototypes;
use crate::kernels::cosine_gradient::CosineGradient;
use crate::kernels::fused_forward::FusedForward;
use crate::kernels::input_gradient::InputGradient;
use crate::kernels::normalize_gradient::NormalizeGradient;
use crate::kernels::output_gradient::OutputGradient;
use crate::kernels::pair_gradient::PairGradient;
use crate::kernels::pairs::Pairs;
use crate::kernels::weight_update::{LayerUpdate, WeightUpdate};
use crate::kernels::{Level, Operation, Tensor};
use crate::layout::{self, Layer, Part};

/// What all stages of a run share beside the pass.
pub struct Training<'a> {
    /// The batch and the layers.
    pub pass: Pass<'a>,
    /// `[slot, layers + 1, batch]`: sums over the epoch.
    pub row_metrics: Tensor,
    /// The rows that each row is compared with, once a stage needs them.
    pairs: Option<Tensor>,
}

/// Whether one dispatch can take the place of all layers' forward passes and losses.
pub fn fusible(config: &TrainingConfig) -> bool {
    config.method == Method::Local && config.hidden_loss == HiddenLoss::Cosine && !config.centre && !config.normalize
}

impl<'a> Training<'a> {
    /// Without operations.
    pub fn new(pass: Pass<'a>, row_metrics: Tensor) -> Self {
        Self { pass, row_metrics, pairs: None }
    }

    /// One step of a stage, an operation a layer.
    pub fn step(&mut self, stage: Stage) -> Vec<Operation> {
        let mut operations: Vec<Operation> = self.pass.batch.gather().collect();
        let (activate, learn, updates) = self.parts(stage);
        operations.extend(activate);
        operations.extend(learn);
        operations.extend(updates.into_iter().map(|update| WeightUpdate { layers: vec![update] }.into()));
        operations
    }

    /// The same for the run that [`fusible`] describes, in three operations.
    pub fn fused_step(&mut self) -> Vec<Operation> {
        let config = self.pass.config;
        let layers = self.pass.shapes.network.len();
        let keep = config.representation == Representation::PreActivation;
        if keep {
            // Pre-activations stand where outputs do in their buffer, behind as much room as the input takes.
            let inputs = &self.pass.shapes.network[0];
            let (per, words) = (Level::View(self.pass.batch.views), inputs.input_len());
            self.pass.tensors.add_to(super::tensors::Pack::Preactivations, "room of the inputs", per, words);
        }
        for index in 0..layers {
            self.pass.tensor(Role::Outputs, Part::Network, index);
            self.pass.tensor(Role::Deltas, Part::Network, index);
            if keep {
                self.pass.tensor(Role::Preactivations, Part::Network, index);
            }
        }
        let (activate, learn, updates) = self.parts(Stage::Local);
        let placed = |training: &mut Self, index: usize| {
            let layer = *training.pass.shapes.of(Part::Network, index);
            let weights = training.pass.weights(Part::Network, index);
            let inputs = training.pass.inputs(Part::Network, index);
            let outputs = training.pass.tensor(Role::Outputs, Part::Network, index);
            let deltas = training.pass.tensor(Role::Deltas, Part::Network, index);
            let [weight_offset, input_offset, output_offset, delta_offset] =
                [weights, inputs, outputs, deltas].map(|tensor| training.pass.tensors.quad_offset(tensor));
            Layer { weight_offset, input_offset, output_offset, delta_offset, ..layer }
        };
        let placed: Vec<Layer> = (0..layers).map(|index| placed(self, index)).collect();
        let fused = FusedForward {
            layers: placed.clone(),
            representation: config.representation,
            loss: config.output_loss,
            replaced: activate.into_iter().chain(learn).collect(),
            weights: self.pass.weights(Part::Network, 0),
            labels: self.pass.batch.labels,
            activations: self.pass.batch.inputs,
            preactivations: keep.then(|| self.pass.tensor(Role::Preactivations, Part::Network, 0)),
            deltas: self.pass.tensor(Role::Deltas, Part::Network, 0),
            row_metrics: self.row_metrics,
        };
        // In the order of the layers, which is that of the table.
        let mut updates = updates;
        updates.sort_by_key(|update| update.layer.index);
        let layers = updates.into_iter().zip(placed).map(|(update, layer)| LayerUpdate { layer, ..update }).collect();
        let mut operations: Vec<Operation> = self.pass.batch.gather().collect();
        operations.extend([fused.into(), WeightUpdate { layers }.into()]);
        operations
    }

    /// Forward, losses and gradients, updates.
    fn parts(&mut self, stage: Stage) -> (Vec<Operation>, Vec<Operation>, Vec<LayerUpdate>) {
        let config = self.pass.config;
        let layers = self.pass.shapes.network.len();
        let losses = match stage {
            Stage::Local if config.has_hidden_losses() => 0..layers - 1,
            Stage::Encoder => layers - 2..layers - 1,
            Stage::Local | Stage::EndToEnd => 0..0,
        };
        // With stages the output layer waits for the last one.
        let output = stage == Stage::EndToEnd || config.method != Method::Ffcl3;
        let mut activate = self.pass.forward_network(if output { layers } else { layers - 1 });
        let (mut learn, mut projected) = (Vec::new(), Vec::new());
        if config.hidden_loss == HiddenLoss::Pairs && !losses.is_empty() {
            activate.push(self.pairs());
        }
        for index in losses.clone() {
            match config.hidden_loss {
                HiddenLoss::Cosine => self.cosine_loss(index, &mut activate, &mut learn),
                HiddenLoss::Prototypes => {
                    self.prototype_loss(index, &mut activate, &mut learn);
                    if config.has_projections() {
                        projected.push(self.update(Part::Projection, index));
                    }
                }
                HiddenLoss::Pairs => learn.push(self.pair_gradient(index)),
            }
        }
        let mut updates: Vec<LayerUpdate> = losses.map(|index| self.update(Part::Network, index)).collect();
        if output {
            let (loss, count) = (config.output_loss, true);
            learn.push(self.output_gradient(Part::Network, layers - 1, loss, count));
            updates.push(self.update(Part::Network, layers - 1));
        }
        let top = match stage {
            Stage::Local => 0,
            Stage::Encoder => layers - 2,
            Stage::EndToEnd => layers - 1,
        };
        for index in (1..=top).rev() {
            self.backward(index, &mut learn);
            updates.push(self.update(Part::Network, index - 1));
        }
        updates.extend(projected);
        (activate, learn, updates)
    }

    fn cosine_loss(&mut self, index: usize, activate: &mut Vec<Operation>, learn: &mut Vec<Operation>) {
        let representation = self.pass.config.representation;
        let role = match representation {
            Representation::Activation => Role::Outputs,
            Representation::PreActivation => Role::Preactivations,
        };
        let (layer, rows) = (self.pass.shapes.network[index], self.pass.tensor(role, Part::Network, index));
        let means = self.pass.config.centre.then(|| self.pass.tensor(Role::Means, Part::Network, index));
        activate.extend(means.map(|means| BatchMean { layer, rows, means }.into()));
        let deltas = self.pass.tensor(Role::Deltas, Part::Network, index);
        learn.push(CosineGradient { layer, representation, rows, means, deltas, row_metrics: self.row_metrics }.into());
    }

    /// Projection, unit rows and prototypes; then what an output layer would do, and back to the hidden layer's delta.
    fn prototype_loss(&mut self, index: usize, activate: &mut Vec<Operation>, learn: &mut Vec<Operation>) {
        let projected = self.pass.config.has_projections();
        if projected {
            activate.push(self.pass.forward(Part::Projection, index, false));
        }
        activate.push(self.pass.normalize(Part::Guide, index));
        let guide = *self.pass.shapes.of(Part::Guide, index);
        activate.push(
            ClassPrototypes {
                layer: guide,
                rows: self.pass.inputs(Part::Guide, index),
                labels: self.pass.batch.labels,
                prototypes: self.pass.weights(Part::Guide, index),
            }
            .into(),
        );
        learn.push(self.pass.forward(Part::Guide, index, false));
        learn.push(self.output_gradient(Part::Guide, index, OutputLoss::CrossEntropy, false));
        let (source, source_layer) = self.pass.source(Part::Guide, index);
        let gradients = self.pass.tensor(Role::Gradients, Part::Guide, index);
        learn.push(
            InputGradient {
                layer: guide,
                deltas: self.pass.tensor(Role::Deltas, Part::Guide, index),
                weights: self.pass.weights(Part::Guide, index),
                mask: None,
                gradients,
            }
            .into(),
        );
        learn.push(
            NormalizeGradient {
                layer: source_layer,
                unit: true,
                outputs: self.pass.tensor(Role::Outputs, source, index),
                gradients,
                deltas: self.pass.tensor(Role::Deltas, source, index),
            }
            .into(),
        );
        if projected {
            learn.push(
                InputGradient {
                    layer: source_layer,
                    deltas: self.pass.tensor(Role::Deltas, Part::Projection, index),
                    weights: self.pass.weights(Part::Projection, index),
                    mask: Some(self.pass.tensor(Role::Outputs, Part::Network, index)),
                    gradients: self.pass.tensor(Role::Deltas, Part::Network, index),
                }
                .into(),
            );
        }
    }

    /// The pairs that all layers of a step share.
    fn pairs(&mut self) -> Operation {
        let first = &self.pass.shapes.network[0];
        let words = 2 * first.batch_size as usize;
        let pairs = *self.pairs.get_or_insert_with(|| self.pass.tensors.add("pairs", Level::Slot, words));
        let shape = layout::Pairs::new(self.pass.config.seed, first);
        Pairs { shape, labels: self.pass.batch.labels, pairs }.into()
    }

    fn pair_gradient(&mut self, index: usize) -> Operation {
        let words = 2 * self.pass.shapes.network[0].batch_size as usize;
        let pairs = *self.pairs.get_or_insert_with(|| self.pass.tensors.add("pairs", Level::Slot, words));
        PairGradient {
            layer: self.pass.shapes.network[index],
            outputs: self.pass.tensor(Role::Outputs, Part::Network, index),
            pairs,
            deltas: self.pass.tensor(Role::Deltas, Part::Network, index),
            row_metrics: self.row_metrics,
        }
        .into()
    }

    fn output_gradient(&mut self, part: Part, index: usize, loss: OutputLoss, count: bool) -> Operation {
        OutputGradient {
            layer: *self.pass.shapes.of(part, index),
            loss,
            count,
            logits: self.pass.tensor(Role::Outputs, part, index),
            labels: self.pass.batch.labels,
            deltas: self.pass.tensor(Role::Deltas, part, index),
            row_metrics: self.row_metrics,
        }
        .into()
    }

    /// From the delta of a layer of the network to that of the one below.
    fn backward(&mut self, index: usize, learn: &mut Vec<Operation>) {
        let layer = self.pass.shapes.network[index];
        let (deltas, weights) = (self.pass.tensor(Role::Deltas, Part::Network, index), self.pass.weights(Part::Network, index));
        let outputs = self.pass.tensor(Role::Outputs, Part::Network, index - 1);
        let below = self.pass.tensor(Role::Deltas, Part::Network, index - 1);
        if self.pass.config.normalize {
            let gradients = self.pass.tensor(Role::Gradients, Part::Network, index - 1);
            learn.push(InputGradient { layer, deltas, weights, mask: None, gradients }.into());
            let layer = self.pass.shapes.network[index - 1];
            learn.push(NormalizeGradient { layer, unit: false, outputs, gradients, deltas: below }.into());
        } else {
            learn.push(InputGradient { layer, deltas, weights, mask: Some(outputs), gradients: below }.into());
        }
    }

    fn update(&mut self, part: Part, index: usize) -> LayerUpdate {
        let parameters = self.pass.parameters(part, index);
        LayerUpdate {
            layer: *self.pass.shapes.of(part, index),
            inputs: self.pass.inputs(part, index),
            deltas: self.pass.tensor(Role::Deltas, part, index),
            weights: parameters.weights,
            first_moments: parameters.first_moments,
            second_moments: parameters.second_moments,
        }
    }
}
