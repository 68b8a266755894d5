//! The training step in a few dispatches for any depth, each of which does what a list of operations would.

use super::network::Role;
use super::shapes::Part;
use super::tensors::Tensors;
use super::training::Training;
use crate::config::{HiddenLoss, Labelled, Method, OutputLoss, Stage, TrainingConfig, Trust as TrustBy};
use crate::error::{Error, Result};
use crate::kernels::fused_backward::{BackLayer, FusedBackward};
use crate::kernels::fused_forward::{FusedForward, FusedLayer};
use crate::kernels::fused_scores::{FusedScores, ScoreLayer};
use crate::kernels::fused_trust::FusedTrust;
use crate::kernels::gather::Gather;
use crate::kernels::label_loss::LabelLoss;
use crate::kernels::prototype_scores::PrototypeScores;
use crate::kernels::trust::{Selection, Trust};
use crate::kernels::weight_update::{LayerUpdate, WeightUpdate};
use crate::kernels::{Operation, Tensor};
use crate::layout::{ALL_ROWS, BackPlaces, ForwardPlaces, Places, Prototypes, RowLoss, ScorePlaces, SelectPlaces};

/// Why none of them are for data in which images lack labels.
pub const UNLABELLED: &str = "images without labels have no fused kernel";

/// Why no few dispatches can take the place of all layers', if so.
pub fn unfusible(config: &TrainingConfig) -> Option<&'static str> {
    match (config.method, config.hidden_loss) {
        _ if config.dropout > 0.0 => Some("--dropout has no fused kernel"),
        _ if config.few.labelled != Labelled::All => Some(UNLABELLED),
        _ if config.trust.trust != TrustBy::None && config.output_loss != OutputLoss::CrossEntropy => {
            Some("--trust goes by cross-entropy there, and this is another --output-loss")
        }
        (Method::Local | Method::FrozenPartner, HiddenLoss::Cosine(_)) if config.trust.trust != TrustBy::None => {
            Some("--trust with --hidden-loss cosine has no fused kernel")
        }
        _ if config.trust.trust != TrustBy::None && config.architecture.layer_count() < 2 => {
            Some("--trust there is for networks with hidden layers")
        }
        (Method::Backprop, _) => None,
        (Method::Local | Method::FrozenPartner, loss) => loss.unfusible(),
        (Method::Independent | Method::Ffcl3 | Method::Inference, _) => {
            Some("it is for --method local, frozen-partner and backprop")
        }
    }
}

/// The operations that the fused ones of a step take the place of, and what these need to know of them.
#[derive(Default)]
struct Replaced {
    forward: Vec<Operation>,
    scores: Vec<Operation>,
    selection: Vec<Operation>,
    backward: Vec<Operation>,
    /// Rows are brought to length 1.
    unit_rows: bool,
    /// Scores by prototypes whose losses come next.
    scored: Option<PrototypeScores>,
    /// The losses that layers select by, some with scores by prototypes.
    labelled: Vec<(Option<PrototypeScores>, LabelLoss)>,
    selections: Vec<Trust>,
    /// The rows that prototypes are made of, where not of all.
    of_prototypes: Option<Selection>,
    /// Hidden layers' own losses, with their prototypes if they are by those.
    losses: Vec<(RowLoss, Prototypes, Option<Tensor>)>,
    /// How much the rows of each loss count: by the loss's number.
    weights: Vec<(u32, Selection)>,
}

impl Replaced {
    /// With `--trust`, the weights of rows are known only after the forward pass. Fails for an operation that no fused one does, and that
    /// [`unfusible`] should have refused.
    fn add(&mut self, operation: Operation, trust: TrustBy) -> Result<()> {
        let trusting = trust != TrustBy::None;
        let phase = match &operation {
            Operation::PrototypeScores(scores) => {
                self.scored = Some(scores.clone());
                &mut self.scores
            }
            Operation::LabelLoss(loss) => {
                self.labelled.push((self.scored.take(), loss.clone()));
                &mut self.scores
            }
            // Where hidden layers choose, they do so by prototypes of all rows.
            Operation::ClassPrototypes(means) if trusting && trust != TrustBy::Output && means.selection.is_none() => {
                &mut self.scores
            }
            Operation::Trust(trust) => {
                self.selections.push(trust.clone());
                &mut self.selection
            }
            Operation::ClassPrototypes(means) => {
                self.of_prototypes = self.of_prototypes.or(means.selection);
                &mut self.backward
            }
            Operation::PrototypeLoss(loss) => {
                self.losses.push((loss.shape, loss.guide, Some(loss.prototypes)));
                self.weights.extend(loss.selection.map(|selection| (loss.shape.metric, selection)));
                &mut self.backward
            }
            // Of a hidden layer's head: only the network's own answers are counted.
            Operation::OutputGradient(loss) if !loss.counts => {
                self.losses.push((loss.shape, Prototypes { classes: loss.shape.width, ..Prototypes::default() }, None));
                self.weights.extend(loss.selection.map(|selection| (loss.shape.metric, selection)));
                &mut self.backward
            }
            Operation::OutputGradient(loss) if trusting => {
                self.weights.extend(loss.selection.map(|selection| (loss.shape.metric, selection)));
                &mut self.backward
            }
            Operation::InputGradient(_) | Operation::NormalizeGradient(_) => &mut self.backward,
            Operation::Normalize(normalize) => {
                self.unit_rows |= normalize.unit;
                &mut self.forward
            }
            Operation::Forward(_) | Operation::CosineGradient(_) | Operation::OutputGradient(_) => &mut self.forward,
            other => {
                let message = format!("no fused kernel does what {} does; use --plan layered", other.kernel().name());
                return Err(Error::Configuration(message));
            }
        };
        phase.push(operation);
        Ok(())
    }
}

/// Whether they can.
pub fn fusible(config: &TrainingConfig) -> bool {
    unfusible(config).is_none()
}

impl Training<'_> {
    /// The same for runs that are [`fusible`], in a few operations for any depth.
    pub fn fused_step(&mut self, stage: Stage) -> Result<Vec<Operation>> {
        let config = self.pass.config;
        let layers = self.pass.shapes.network.len();
        let cosine = matches!(config.hidden_loss, HiddenLoss::Cosine(_)) && stage == Stage::Local;
        for index in 0..layers {
            self.pass.tensor(Role::Outputs, Part::Network, index);
        }
        let (activate, learn, updates) = self.parts(stage);
        let mut replaced = Replaced::default();
        for operation in activate.into_iter().chain(learn) {
            replaced.add(operation, config.trust.trust)?;
        }
        let gather = self.pass.batch.plain().cloned();
        let fetch: Vec<Operation> = self.pass.batch.gather().collect();
        let mut operations = Vec::new();
        if gather.is_some() {
            replaced.forward.splice(0..0, fetch);
        } else {
            operations = fetch;
        }
        operations.push(self.fused_forward(gather, cosine, &mut replaced).into());
        if !replaced.scores.is_empty() {
            operations.push(self.fused_scores(&mut replaced).into());
            operations.push(self.fused_trust(&mut replaced).into());
        }
        if !replaced.backward.is_empty() {
            operations.push(self.fused_backward(replaced).into());
        }
        let layers = updates.into_iter().map(|(_, update)| {
            let [weights, inputs, deltas] =
                [update.weights, update.inputs, update.deltas].map(|tensor| self.pass.tensors.quad_offset(tensor));
            LayerUpdate { places: Places { weights, inputs, outputs: 0, deltas }, ..update }
        });
        operations.push(WeightUpdate { layers: layers.collect() }.into());
        Ok(operations)
    }

    /// Where a layer's tensors stand in the buffers that all layers share.
    fn places(&mut self, part: Part, index: usize) -> Places {
        let tensors = [
            self.pass.parameters(part, index).weights,
            self.pass.inputs(part, index),
            self.pass.tensor(Role::Outputs, part, index),
            self.pass.tensor(Role::Deltas, part, index),
        ];
        let [weights, inputs, outputs, deltas] = tensors.map(|tensor| self.pass.tensors.quad_offset(tensor));
        Places { weights, inputs, outputs, deltas }
    }

    fn place(&mut self, role: Role, part: Part, index: usize) -> u32 {
        let tensor = self.pass.tensor(role, part, index);
        self.pass.tensors.quad_offset(tensor)
    }

    fn fused_forward(&mut self, gather: Option<Gather>, cosine: bool, replaced: &mut Replaced) -> FusedForward {
        let config = self.pass.config;
        let (count, guided) = (self.pass.shapes.network.len(), self.pass.shapes.guided());
        let unit_rows = replaced.unit_rows;
        let branches = guided == Part::Projection;
        let parts = |index: usize| {
            let branch = (branches && index + 1 < count).then_some((Part::Projection, index));
            std::iter::once((Part::Network, index)).chain(branch)
        };
        let entries: Vec<(Part, usize)> = (0..count).flat_map(parts).collect();
        let layers = entries.iter().map(|&(part, index)| {
            let is_normalized = config.normalize && part == Part::Network && index > 0;
            let has_unit_rows = unit_rows && part == guided && index + 1 < count;
            FusedLayer {
                linear: *self.pass.shapes.of(part, index),
                places: self.places(part, index),
                forward: ForwardPlaces {
                    unnormalized: if is_normalized { self.place(Role::Outputs, Part::Network, index - 1) } else { 0 },
                    unit_rows: if has_unit_rows { self.place(Role::UnitRows, part, index) } else { 0 },
                    is_branch: u32::from(part == Part::Projection),
                    count: entries.len() as u32,
                },
                loss: self.loss(part, index),
            }
        });
        FusedForward {
            layers: layers.collect(),
            cosine,
            normalize: config.normalize,
            unit_rows,
            loss: self.trust.is_none().then_some(config.output_loss),
            replaced: std::mem::take(&mut replaced.forward),
            weights: self.pass.parameters(Part::Network, 0).weights,
            gather,
            labels: self.pass.batch.labels,
            activations: self.pass.batch.inputs,
            deltas: self.pass.tensor(Role::Deltas, Part::Network, 0),
            row_metrics: self.row_metrics,
        }
    }

    fn fused_scores(&mut self, replaced: &mut Replaced) -> FusedScores {
        let place = |tensor: Tensor| self.pass.tensors.quad_offset(tensor);
        let layer = |(scores, loss): &(Option<PrototypeScores>, LabelLoss)| ScoreLayer {
            guides: scores.as_ref().map(|scores| scores.shape).unwrap_or_default(),
            loss: loss.shape,
            places: ScorePlaces {
                rows: place(scores.as_ref().map_or(loss.logits, |scores| scores.rows)),
                prototypes: scores.as_ref().map_or(0, |scores| place(scores.prototypes)),
                scores: scores.as_ref().map_or(0, |scores| place(scores.scores)),
                losses: place(loss.losses),
                answers: place(loss.answers),
                by_prototypes: scores.is_some().into(),
                ..ScorePlaces::default()
            },
        };
        FusedScores {
            layers: replaced.labelled.iter().map(layer).collect(),
            labels: self.pass.batch.labels,
            activations: self.pass.batch.inputs,
            deltas: self.pass.tensor(Role::Deltas, Part::Network, 0),
            answers: replaced.labelled.first().map_or(self.pass.batch.labels, |(_, loss)| loss.answers),
            replaced: std::mem::take(&mut replaced.scores),
        }
    }

    fn fused_trust(&mut self, replaced: &mut Replaced) -> FusedTrust {
        let selections = &replaced.selections;
        let layer = |trust: &Trust| {
            let [losses, answers, weights, record] =
                [trust.losses, trust.answers, trust.weights, trust.record].map(|tensor| self.pass.tensors.quad_offset(tensor));
            (trust.shape, SelectPlaces { losses, answers, weights, record })
        };
        let layers = selections.iter().map(layer).collect();
        let first = selections.first().map(|trust| (trust.rates, trust.answers));
        let (rates, answers) = first.unwrap_or((self.pass.batch.labels, self.pass.batch.labels));
        let (orders, deltas) = (self.pass.batch.orders, self.pass.tensor(Role::Deltas, Part::Network, 0));
        FusedTrust { layers, rates, orders, deltas, answers, replaced: std::mem::take(&mut replaced.selection) }
    }

    fn fused_backward(&mut self, replaced: Replaced) -> FusedBackward {
        let config = self.pass.config;
        let count = self.pass.shapes.network.len();
        let Replaced { weights, losses, of_prototypes, backward: replaced, .. } = replaced;
        let selection = weights.first().map(|&(_, selection)| selection);
        let row_weights = |tensors: &Tensors, metric: usize| {
            let weights = weights.iter().find(|&&(of, _)| of as usize == metric);
            weights.map_or(ALL_ROWS, |(_, selection)| tensors.quad_offset(selection.weights))
        };
        // Where rows count differently, the output's loss is one of those on the way back.
        let output = selection.map(|_| {
            let loss = self.loss(Part::Network, count - 1);
            BackLayer {
                linear: self.pass.shapes.network[count - 1],
                places: self.places(Part::Network, count - 1),
                back: BackPlaces {
                    row_weights: row_weights(self.pass.tensors, count - 1),
                    is_output: 1,
                    ..BackPlaces::default()
                },
                loss,
                guides: Prototypes { classes: loss.width, ..Prototypes::default() },
            }
        });
        let by_prototypes = losses.iter().any(|(.., prototypes)| prototypes.is_some());
        let layers: Vec<BackLayer> = if losses.is_empty() {
            let layer = |index: usize| {
                let gradients = config.normalize.then(|| self.place(Role::Gradients, Part::Network, index - 1));
                // The first entry of the table has the output's loss.
                let (loss, guides, back) = match output {
                    Some(output) if index + 1 == count => (output.loss, output.guides, output.back),
                    _ => Default::default(),
                };
                BackLayer {
                    linear: self.pass.shapes.network[index],
                    places: self.places(Part::Network, index),
                    back: BackPlaces {
                        below: self.place(Role::Outputs, Part::Network, index - 1),
                        deltas_below: self.place(Role::Deltas, Part::Network, index - 1),
                        gradients_below: gradients.unwrap_or(0),
                        count: count as u32 - 1,
                        ..back
                    },
                    loss,
                    guides,
                }
            };
            (1..count).rev().map(layer).collect()
        } else {
            let part = self.pass.shapes.guided();
            let layer = |&(loss, guides, prototypes): &(RowLoss, Prototypes, Option<Tensor>)| {
                let index = loss.metric as usize;
                BackLayer {
                    linear: *self.pass.shapes.of(part, index),
                    places: self.places(part, index),
                    back: BackPlaces {
                        below: self.place(Role::Outputs, Part::Network, index),
                        unit_rows: if by_prototypes { self.place(Role::UnitRows, part, index) } else { 0 },
                        prototypes: prototypes.map_or(0, |prototypes| self.pass.tensors.quad_offset(prototypes)),
                        deltas_below: self.place(Role::Deltas, Part::Network, index),
                        row_weights: row_weights(self.pass.tensors, index),
                        ..BackPlaces::default()
                    },
                    loss,
                    guides,
                }
            };
            let hidden: Vec<BackLayer> = losses.iter().map(layer).collect();
            hidden.into_iter().chain(output).collect()
        };
        FusedBackward {
            layers,
            by_prototypes,
            by_heads: !losses.is_empty() && !by_prototypes,
            selection,
            of_prototypes,
            projected: self.pass.shapes.guided() == Part::Projection,
            normalize: config.normalize && losses.is_empty(),
            replaced,
            weights: self.pass.parameters(Part::Network, 0).weights,
            labels: self.pass.batch.labels,
            activations: self.pass.batch.inputs,
            deltas: self.pass.tensor(Role::Deltas, Part::Network, 0),
            row_metrics: self.row_metrics,
        }
    }
}
