//! The program of a training step.
//!
//! All activations of a step come from the weights before it, and all gradients come before any update.

use super::network::{Pass, Role};
use super::shapes::{Part, trained};
use crate::config::{CosineOptions, Guide, HiddenLoss, Method, PrototypeOptions, Representation, Stage, TrainingConfig};
use crate::kernels::batch_mean::BatchMean;
use crate::kernels::class_prototypes::ClassPrototypes;
use crate::kernels::cosine_gradient::CosineGradient;
use crate::kernels::fused_forward::{FusedForward, FusedLayer};
use crate::kernels::input_gradient::InputGradient;
use crate::kernels::normalize::Normalize;
use crate::kernels::normalize_gradient::NormalizeGradient;
use crate::kernels::output_gradient::OutputGradient;
use crate::kernels::pair_gradient::PairGradient;
use crate::kernels::pairs::Pairs;
use crate::kernels::prototype_loss::PrototypeLoss;
use crate::kernels::weight_update::{LayerUpdate, WeightUpdate};
use crate::kernels::{Level, Operation, Pack, Tensor};
use crate::layout::{self, Places, RowLoss};

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
    let plain = matches!(config.hidden_loss, HiddenLoss::Cosine(CosineOptions { centre: false, .. }));
    config.method == Method::Local && plain && !config.normalize
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
        operations.extend(updates.into_iter().map(|(_, update)| WeightUpdate { layers: vec![update] }.into()));
        operations
    }

    /// The same for the run that [`fusible`] describes, in three operations.
    pub fn fused_step(&mut self) -> Vec<Operation> {
        let config = self.pass.config;
        let layers = self.pass.shapes.network.len();
        let keep = config.hidden_loss.representation() == Representation::PreActivation;
        if keep {
            // Pre-activations stand where outputs do in their buffer, behind as much room as the input takes.
            let inputs = &self.pass.shapes.network[0];
            let (per, words) = (Level::View(self.pass.batch.views), inputs.input_len());
            self.pass.tensors.add_to(Pack::Preactivations, "room of the inputs", per, words);
        }
        for index in 0..layers {
            self.pass.tensor(Role::Outputs, Part::Network, index);
            self.pass.tensor(Role::Deltas, Part::Network, index);
            if keep {
                self.pass.tensor(Role::Preactivations, Part::Network, index);
            }
        }
        let (activate, learn, updates) = self.parts(Stage::Local);
        let updates: Vec<LayerUpdate> = (0..layers)
            .filter_map(|index| updates.iter().find(|(layer, _)| *layer == index))
            .map(|&(_, update)| update)
            .collect();
        let layer = |(index, update): (usize, &LayerUpdate)| {
            let outputs = self.pass.tensor(Role::Outputs, Part::Network, index);
            let [weights, inputs, outputs, deltas] =
                [update.weights, update.inputs, outputs, update.deltas].map(|tensor| self.pass.tensors.quad_offset(tensor));
            let rows = self.pass.shapes.rows(Part::Network, index);
            FusedLayer {
                linear: update.layer,
                places: Places { weights, inputs, outputs, deltas },
                loss: self.pass.shapes.loss(rows, index),
            }
        };
        let fused_layers: Vec<FusedLayer> = updates.iter().enumerate().map(layer).collect();
        let layers = updates.iter().zip(&fused_layers).map(|(update, layer)| LayerUpdate { places: layer.places, ..*update });
        let update = WeightUpdate { layers: layers.collect() };
        let fused = FusedForward {
            layers: fused_layers,
            representation: config.hidden_loss.representation(),
            loss: config.output_loss,
            replaced: activate.into_iter().chain(learn).collect(),
            weights: self.pass.parameters(Part::Network, 0).weights,
            labels: self.pass.batch.labels,
            activations: self.pass.batch.inputs,
            preactivations: keep.then(|| self.pass.tensor(Role::Preactivations, Part::Network, 0)),
            deltas: self.pass.tensor(Role::Deltas, Part::Network, 0),
            row_metrics: self.row_metrics,
        };
        let mut operations: Vec<Operation> = self.pass.batch.gather().collect();
        operations.extend([fused.into(), update.into()]);
        operations
    }

    /// Forward; losses and gradients; updates, with the numbers of their layers.
    fn parts(&mut self, stage: Stage) -> (Vec<Operation>, Vec<Operation>, Vec<(usize, LayerUpdate)>) {
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
                HiddenLoss::Cosine(options) => self.cosine_loss(index, options, &mut activate, &mut learn),
                HiddenLoss::Prototypes(options) => {
                    self.prototype_loss(index, options, &mut activate, &mut learn);
                    if options.projection > 0 {
                        projected.push(self.update(Part::Projection, index));
                    }
                }
                HiddenLoss::Pairs => learn.push(self.pair_gradient(index)),
            }
        }
        let mut updates: Vec<(usize, LayerUpdate)> = losses.map(|index| self.update(Part::Network, index)).collect();
        if output {
            learn.push(self.output_gradient(layers - 1));
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

    /// The loss of what leaves a layer.
    fn loss(&self, part: Part, index: usize) -> RowLoss {
        self.pass.shapes.loss(self.pass.shapes.rows(part, index), index)
    }

    fn cosine_loss(&mut self, index: usize, options: CosineOptions, activate: &mut Vec<Operation>, learn: &mut Vec<Operation>) {
        let CosineOptions { representation, centre } = options;
        let role = match representation {
            Representation::Activation => Role::Outputs,
            Representation::PreActivation => Role::Preactivations,
        };
        let (shape, rows) = (self.loss(Part::Network, index), self.pass.tensor(role, Part::Network, index));
        let means = centre.then(|| self.pass.tensor(Role::Means, Part::Network, index));
        activate.extend(means.map(|means| BatchMean { shape: shape.rows(), rows, means }.into()));
        let deltas = self.pass.tensor(Role::Deltas, Part::Network, index);
        learn.push(CosineGradient { shape, representation, rows, means, deltas, row_metrics: self.row_metrics }.into());
    }

    /// Projection, unit rows and prototypes; then their loss, and back to the hidden layer's delta.
    fn prototype_loss(
        &mut self,
        index: usize,
        options: PrototypeOptions,
        activate: &mut Vec<Operation>,
        learn: &mut Vec<Operation>,
    ) {
        let part = self.pass.shapes.guided();
        if part == Part::Projection {
            activate.push(self.pass.forward(part, index, false));
        }
        let shape = RowLoss { mutual: options.mutual as f32, ..self.loss(part, index) };
        let classes = self.pass.shapes.network.last().map_or(0, |layer| layer.output_width as usize);
        let guide = self.pass.shapes.prototypes(shape.rows(), classes, options.guide == Guide::Partner, options.temperature);
        let rows = self.pass.tensor(Role::Outputs, part, index);
        let unit_rows = self.pass.tensor(Role::UnitRows, part, index);
        let labels = self.pass.batch.labels;
        let name = |what: &str| format!("training: {what} of layer {}", index + 1);
        let prototypes = self.pass.tensors.add(name("prototypes"), Level::Slot, classes * shape.rows().stride());
        let counts = self.pass.tensors.add_words(name("counts of classes"), Level::Slot, classes);
        activate.push(Normalize { shape: shape.rows(), unit: true, rows, normalized: unit_rows }.into());
        activate.push(ClassPrototypes { shape: guide, rows: unit_rows, labels, prototypes, counts }.into());
        let (deltas, row_metrics) = (self.pass.tensor(Role::Deltas, part, index), self.row_metrics);
        learn.push(PrototypeLoss { shape, guide, rows, unit_rows, prototypes, counts, labels, deltas, row_metrics }.into());
        if part == Part::Projection {
            learn.push(
                InputGradient {
                    layer: *self.pass.shapes.of(part, index),
                    deltas,
                    weights: self.pass.parameters(part, index).weights,
                    mask: Some(self.pass.tensor(Role::Outputs, Part::Network, index)),
                    gradients: self.pass.tensor(Role::Deltas, Part::Network, index),
                }
                .into(),
            );
        }
    }

    /// The rows that each row is compared with: all layers of a step share them.
    fn pairs_tensor(&mut self) -> Tensor {
        let words = 2 * self.pass.config.batch_size;
        *self.pairs.get_or_insert_with(|| self.pass.tensors.add_words("training: pairs", Level::Slot, words))
    }

    fn pairs(&mut self) -> Operation {
        let shape = layout::Pairs::new(self.pass.config.seed, self.pass.config.batch_size, self.pass.batch.views);
        Pairs { shape, labels: self.pass.batch.labels, pairs: self.pairs_tensor() }.into()
    }

    fn pair_gradient(&mut self, index: usize) -> Operation {
        PairGradient {
            shape: self.loss(Part::Network, index),
            rows: self.pass.tensor(Role::Outputs, Part::Network, index),
            pairs: self.pairs_tensor(),
            deltas: self.pass.tensor(Role::Deltas, Part::Network, index),
            row_metrics: self.row_metrics,
        }
        .into()
    }

    fn output_gradient(&mut self, index: usize) -> Operation {
        OutputGradient {
            shape: self.loss(Part::Network, index),
            loss: self.pass.config.output_loss,
            logits: self.pass.tensor(Role::Outputs, Part::Network, index),
            labels: self.pass.batch.labels,
            deltas: self.pass.tensor(Role::Deltas, Part::Network, index),
            row_metrics: self.row_metrics,
        }
        .into()
    }

    /// From the delta of a layer of the network to that of the one below.
    fn backward(&mut self, index: usize, learn: &mut Vec<Operation>) {
        let layer = self.pass.shapes.network[index];
        let deltas = self.pass.tensor(Role::Deltas, Part::Network, index);
        let weights = self.pass.parameters(Part::Network, index).weights;
        let rows = self.pass.tensor(Role::Outputs, Part::Network, index - 1);
        let below = self.pass.tensor(Role::Deltas, Part::Network, index - 1);
        if self.pass.config.normalize {
            let gradients = self.pass.tensor(Role::Gradients, Part::Network, index - 1);
            learn.push(InputGradient { layer, deltas, weights, mask: None, gradients }.into());
            let shape = self.pass.shapes.rows(Part::Network, index - 1);
            learn.push(NormalizeGradient { shape, unit: false, rows, gradients, deltas: below }.into());
        } else {
            learn.push(InputGradient { layer, deltas, weights, mask: Some(rows), gradients: below }.into());
        }
    }

    fn update(&mut self, part: Part, index: usize) -> (usize, LayerUpdate) {
        let parameters = self.pass.parameters(part, index);
        let update = LayerUpdate {
            layer: *self.pass.shapes.of(part, index),
            places: Places::default(),
            trained: trained(self.pass.config, part),
            inputs: self.pass.inputs(part, index),
            deltas: self.pass.tensor(Role::Deltas, part, index),
            weights: parameters.weights,
            first_moments: parameters.first_moments,
            second_moments: parameters.second_moments,
        };
        (index, update)
    }
}
