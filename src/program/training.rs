//! The program of a training step.
//!
//! All activations of a step come from the weights before it, and all gradients come before any update.

use super::network::{Pass, Role};
use super::shapes::{Part, trained};
use super::tensors::Content;
use crate::config::{CosineOptions, Guide, HiddenLoss, Method, OutputLoss, PrototypeOptions, Stage, Trust as TrustBy};
use crate::kernels::batch_mean::BatchMean;
use crate::kernels::class_prototypes::ClassPrototypes;
use crate::kernels::cosine_gradient::CosineGradient;
use crate::kernels::input_gradient::InputGradient;
use crate::kernels::label_loss::LabelLoss;
use crate::kernels::normalize::Normalize;
use crate::kernels::normalize_gradient::NormalizeGradient;
use crate::kernels::output_gradient::OutputGradient;
use crate::kernels::pair_gradient::PairGradient;
use crate::kernels::pairs::Pairs;
use crate::kernels::prototype_loss::PrototypeLoss;
use crate::kernels::prototype_scores::PrototypeScores;
use crate::kernels::pseudo_labels::PseudoLabels;
use crate::kernels::trust::{Selection, Trust};
use crate::kernels::weight_update::{LayerUpdate, WeightUpdate};
use crate::kernels::{Element, Level, Operation, Pack, Tensor};
use crate::layout::{self, Places, RowLoss, Views};

/// What all stages of a run share beside the pass.
pub struct Training<'a> {
    /// The batch and the layers.
    pub pass: Pass<'a>,
    /// `[slot, layers + 1, images of a batch]`: sums over the epoch.
    pub row_metrics: Tensor,
    /// The rows that each row is compared with, once a stage needs them.
    pairs: Option<Tensor>,
    /// The number of each row, likewise.
    rows: Option<Tensor>,
    /// What the host sees of the selection of images, if there is one.
    pub trust: Option<TrustTensors>,
    /// The output layer's selection, where all layers go by it.
    of_output: Option<Selection>,
    /// Some images have no labels.
    has_unlabelled: bool,
    /// From losses to selections or pseudo-labels, and what is made again of what they leave.
    select: [Vec<Operation>; 2],
}

/// Which rows a layer learns from, and as what.
#[derive(Clone, Copy)]
struct Target {
    labels: Tensor,
    /// The labels' leading index is `slot >> label_shift`.
    label_shift: u32,
    selection: Option<Selection>,
}

/// Tensors of the selection of images that the host reads and writes.
#[derive(Clone, Debug)]
pub struct TrustTensors {
    /// Expected share of wrong labels, `[replica]`.
    pub rates: Tensor,
    /// Layers that select, each with `[slot, images, 2]`: its loss and answer for each image.
    pub records: Vec<(usize, Tensor)>,
    /// Images of the training set.
    pub images: usize,
}

impl<'a> Training<'a> {
    /// Without operations; `images` are those of the training set.
    pub fn new(pass: Pass<'a>, row_metrics: Tensor, images: usize, has_unlabelled: bool) -> Self {
        let is_selecting = pass.config.trust.trust != TrustBy::None && !pass.config.stages().is_empty();
        let trust = is_selecting.then(|| TrustTensors {
            rates: pass.tensors.add_words("trust rates", Level::Replica, 1),
            records: Vec::new(),
            images,
        });
        Self { pass, row_metrics, pairs: None, rows: None, trust, of_output: None, has_unlabelled, select: Default::default() }
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

    /// Forward; losses and gradients; updates, with the numbers of their layers.
    pub(super) fn parts(&mut self, stage: Stage) -> (Vec<Operation>, Vec<Operation>, Vec<(usize, LayerUpdate)>) {
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
        if output && config.trust.trust == TrustBy::CoTeaching {
            let (_, logits) = self.pass.compared(Part::Network, layers - 1);
            self.of_output = self.selection(layers - 1, logits);
        }
        for index in losses.clone() {
            match config.hidden_loss {
                HiddenLoss::Cosine(options) => self.cosine_loss(index, options, &mut activate, &mut learn),
                HiddenLoss::Prototypes(options) | HiddenLoss::Instances(options) => {
                    self.prototype_loss(index, options, &mut activate, &mut learn);
                    if options.projection > 0 {
                        projected.push(self.update(Part::Projection, index));
                    }
                }
                HiddenLoss::Pairs => learn.push(self.pair_gradient(index)),
                HiddenLoss::Head(_) => {
                    self.head_loss(index, &mut activate, &mut learn);
                    projected.push(self.update(Part::Projection, index));
                }
            }
            learn.extend(self.pass.dropout(Role::Deltas, index));
        }
        let mut updates: Vec<(usize, LayerUpdate)> = losses.map(|index| self.update(Part::Network, index)).collect();
        if output {
            let (_, logits) = self.pass.compared(Part::Network, layers - 1);
            let target = self.target(layers - 1, logits);
            learn.push(self.output_gradient(Part::Network, layers - 1, self.pass.config.output_loss, target));
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
        activate.extend(std::mem::take(&mut self.select).into_iter().flatten());
        (activate, learn, updates)
    }

    /// The loss of what leaves a layer.
    pub(super) fn loss(&self, part: Part, index: usize) -> RowLoss {
        self.pass.shapes.loss(part, index)
    }

    fn cosine_loss(&mut self, index: usize, options: CosineOptions, activate: &mut Vec<Operation>, learn: &mut Vec<Operation>) {
        let (shape, rows) = (self.loss(Part::Network, index), self.pass.tensor(Role::Outputs, Part::Network, index));
        let means = options.centre.then(|| self.pass.tensor(Role::Means, Part::Network, index));
        activate.extend(means.map(|means| BatchMean { shape: shape.rows(), rows, means }.into()));
        let deltas = self.pass.tensor(Role::Deltas, Part::Network, index);
        learn.push(CosineGradient { shape, rows, means, deltas, row_metrics: self.row_metrics }.into());
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
            activate.push(self.pass.forward(part, index));
        }
        let mut shape = self.loss(part, index);
        let mut classes = self.pass.shapes.network.last().map_or(0, |layer| layer.output_width as usize);
        let mut labels = self.pass.batch.labels;
        let is_by_image = matches!(self.pass.config.hidden_loss, HiddenLoss::Instances(_));
        if is_by_image {
            // Each row is a class of its own, whose only prototype is the guide's view of that image.
            (classes, labels) = (self.pass.config.batch_size, self.rows_as_labels());
            shape.label_shift = Views::Run.shift();
        }
        let mut guide = self.pass.shapes.prototypes(shape.rows(), classes, options.guide == Guide::Partner, options.temperature);
        guide.label_shift = shape.label_shift;
        let (_, rows) = self.pass.compared(part, index);
        let unit_rows = self.pass.tensor(Role::UnitRows, part, index);
        let name = |what: &str| format!("training: {what} of layer {}", index + 1);
        let prototypes = self.pass.tensors.add_to(Pack::Deltas, name("prototypes"), Level::Slot, classes * shape.rows().stride());
        let counts = self.pass.tensors.add_words(name("counts of classes"), Level::Slot, classes);
        activate.push(Normalize { shape: shape.rows(), unit: true, rows, normalized: unit_rows }.into());
        let mut means = ClassPrototypes { shape: guide, rows: unit_rows, labels, prototypes, counts, selection: None };
        activate.push(means.clone().into());
        let mut selection = None;
        if self.selects(index) || self.has_unlabelled {
            let words = self.pass.config.batch_size * 4 * layout::quads(classes);
            let scores = self.pass.tensors.add_to(Pack::Deltas, name("scores"), Level::Slot, words);
            self.select[0].push(PrototypeScores { shape: guide, rows: unit_rows, prototypes, counts, scores }.into());
            let target = self.target(index, scores);
            (labels, selection) = (target.labels, target.selection);
            for label_shift in [&mut shape.label_shift, &mut guide.label_shift, &mut means.shape.label_shift] {
                *label_shift = target.label_shift;
            }
            // Of images without labels both models take part with what their partners say of them.
            let by_partner =
                self.trust.is_some() && self.pass.config.trust.trust.partner_chooses_prototypes(options.guide == Guide::Partner);
            means.labels = labels;
            means.selection = selection.map(|selection| Selection { by_partner, ..selection });
            self.select[1].push(means.into());
        }
        let (deltas, row_metrics) = (self.pass.tensor(Role::Deltas, part, index), self.row_metrics);
        let loss = PrototypeLoss { shape, guide, rows, unit_rows, prototypes, counts, labels, deltas, row_metrics, selection };
        learn.push(loss.into());
        if part == Part::Projection {
            learn.push(self.behind_projection(index));
        }
    }

    /// A linear head's logits; then their cross-entropy, and back to the hidden layer's delta.
    fn head_loss(&mut self, index: usize, activate: &mut Vec<Operation>, learn: &mut Vec<Operation>) {
        activate.push(self.pass.forward(Part::Projection, index));
        let (_, logits) = self.pass.compared(Part::Projection, index);
        let target = self.target(index, logits);
        learn.push(self.output_gradient(Part::Projection, index, OutputLoss::CrossEntropy, target));
        learn.push(self.behind_projection(index));
    }

    /// From a projection's delta to that of its hidden layer.
    fn behind_projection(&mut self, index: usize) -> Operation {
        InputGradient {
            layer: *self.pass.shapes.of(Part::Projection, index),
            deltas: self.pass.tensor(Role::Deltas, Part::Projection, index),
            weights: self.pass.parameters(Part::Projection, index).weights,
            mask: Some(self.pass.tensor(Role::Outputs, Part::Network, index)),
            gradients: self.pass.tensor(Role::Deltas, Part::Network, index),
        }
        .into()
    }

    /// Whether a layer chooses what it learns from.
    fn selects(&self, index: usize) -> bool {
        let is_output = index + 1 == self.pass.shapes.network.len();
        self.trust.is_some() && (is_output || !matches!(self.pass.config.trust.trust, TrustBy::Output | TrustBy::CoTeaching))
    }

    /// Which rows a layer is to learn from, and as what: all at their labels, unless some are left out or have none.
    fn target(&mut self, index: usize, logits: Tensor) -> Target {
        if self.has_unlabelled {
            return self.pseudo_labels(index, logits);
        }
        let (labels, label_shift) = (self.pass.batch.labels, self.pass.batch.views.shift());
        Target { labels, label_shift, selection: self.selection(index, logits) }
    }

    /// Labels, and for images that have none the answer of the partner's `logits`.
    fn pseudo_labels(&mut self, index: usize, logits: Tensor) -> Target {
        let (config, tensors) = (self.pass.config, &mut *self.pass.tensors);
        let (batch, classes) =
            (config.batch_size, self.pass.shapes.network.last().map_or(0, |layer| layer.output_width as usize));
        let (labels, views) = (self.pass.batch.labels, self.pass.batch.views);
        let name = |what: &str| format!("training: {what} of layer {}", index + 1);
        let losses = tensors.add(name("losses"), Level::Slot, batch);
        let answers = tensors.add_words(name("answers"), Level::Slot, batch);
        let targets = tensors.add_words(name("pseudo-labels"), Level::Slot, batch);
        let weights = tensors.add(name("weights of rows"), Level::Slot, batch);
        let shape = layout::Rows::new(classes, batch, false).loss(views, 0, 1);
        self.select[0].push(LabelLoss { shape, logits, labels, losses, answers }.into());
        let shape = layout::PseudoLabels::new(views, batch, config.few.pseudo_threshold);
        self.select[0].push(PseudoLabels { shape, labels, losses, answers, targets, weights }.into());
        let selection = Some(Selection { weights, by_partner: false });
        Target { labels: targets, label_shift: Views::Slot.shift(), selection }
    }

    /// Which rows a layer is to learn from, by its own losses or by its partner's: of `logits`, at the labels.
    fn selection(&mut self, index: usize, logits: Tensor) -> Option<Selection> {
        if self.of_output.is_some() {
            return self.of_output;
        }
        let TrustTensors { rates, images, .. } = *self.trust.as_ref()?;
        if !self.selects(index) {
            return None;
        }
        let (config, tensors) = (self.pass.config, &mut *self.pass.tensors);
        let (batch, classes) =
            (config.batch_size, self.pass.shapes.network.last().map_or(0, |layer| layer.output_width as usize));
        let name = |what: &str| format!("training: {what} of layer {}", index + 1);
        let losses = tensors.add_to(Pack::Deltas, name("losses"), Level::Slot, batch);
        let answers = tensors.add_to(Pack::Verdicts, name("answers"), Level::Slot, batch);
        let weights = tensors.add_to(Pack::Deltas, name("trust"), Level::Slot, batch);
        let record = format!("trust record of layer {}", index + 1);
        let record = tensors.add_to(Pack::Verdicts, record, Level::Slot, 2 * images);
        let shape = layout::Rows::new(classes, batch, false).loss(self.pass.batch.views, 0, 1);
        let orders = self.pass.batch.orders;
        self.select[0].push(LabelLoss { shape, logits, labels: self.pass.batch.labels, losses, answers }.into());
        let shape = layout::Trust { images: images as u32, batch_size: batch as u32, ..layout::Trust::default() };
        self.select[0].push(Trust { shape, losses, answers, rates, orders, weights, record }.into());
        self.trust.as_mut()?.records.push((index, record));
        Some(Selection { weights, by_partner: config.trust.trust.partner_chooses() })
    }

    /// The number of each row: all layers share them.
    fn rows_as_labels(&mut self) -> Tensor {
        let batch_size = self.pass.config.batch_size;
        let tensors = &mut *self.pass.tensors;
        *self.rows.get_or_insert_with(|| {
            tensors.add_with("training: numbers of rows", Element::Word, Level::Run, batch_size, Content::Counting)
        })
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
            rows: self.pass.compared(Part::Network, index).1,
            pairs: self.pairs_tensor(),
            deltas: self.pass.tensor(Role::Deltas, Part::Network, index),
            row_metrics: self.row_metrics,
        }
        .into()
    }

    /// The loss of a layer's outputs as logits, and its gradient.
    fn output_gradient(&mut self, part: Part, index: usize, loss: OutputLoss, target: Target) -> Operation {
        OutputGradient {
            shape: RowLoss { label_shift: target.label_shift, ..self.loss(part, index) },
            loss,
            logits: self.pass.compared(part, index).1,
            labels: target.labels,
            deltas: self.pass.tensor(Role::Deltas, part, index),
            row_metrics: self.row_metrics,
            counts: part == Part::Network,
            labelled: self.has_unlabelled.then(|| layout::labelled_rows(self.pass.config.batch_size) as u32),
            selection: target.selection,
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
        learn.extend(self.pass.dropout(Role::Deltas, index - 1));
    }

    fn update(&mut self, part: Part, index: usize) -> (usize, LayerUpdate) {
        let parameters = self.pass.parameters(part, index);
        let layer = *self.pass.shapes.of(part, index);
        let update = LayerUpdate {
            layer,
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
