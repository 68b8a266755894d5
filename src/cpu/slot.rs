//! One slot on the CPU: what it computes on the way forward, and what it learns with.

use super::cosine_gradient::Compared;
use super::tensors::Tensors;
use super::{
    Arithmetic, batch_mean, class_prototypes, cosine_gradient, covariance, forward, input_gradient, normalize,
    normalize_gradient, output_gradient, pair_gradient, pairs, softmax, weight_norms, weight_update,
};
use crate::config::{HiddenLoss, OutputLoss, Representation, TrainingConfig};
use crate::diagnosis::LayerSums;
use crate::engine::Quantity;
use crate::layout::{Layer, Pairs, Shapes, Step};
use crate::model::LayerParameters;
use crate::plan::{Dispatch, Kernel, Part, Phase, Target, input_gradient_target};
use std::mem::take;

/// One view's batch.
pub struct View {
    /// Its replica's order of the images.
    pub order: Vec<u32>,
    /// The gathered images.
    pub inputs: Vec<f32>,
    /// Their labels.
    pub labels: Vec<u32>,
}

/// What a slot writes on the way forward and its partner reads afterwards.
pub struct Activations {
    /// What layers give.
    pub outputs: Tensors,
    /// Rows brought to one length: of hidden layers for the next layer, and of guides the unit rows that they read.
    normalized: Tensors,
    /// The weights of guides.
    prototypes: Tensors,
    /// Means over the batch of what the cosine loss compares; empty unless it is centred.
    means: Tensors,
    /// The pre-activations, in the rows of the outputs; empty unless the loss compares them.
    preactivations: Tensors,
    products: Tensors,
    /// The rows that each row is compared with; empty unless the loss does that.
    pairs: Vec<[u32; 2]>,
}

/// What a slot learns with.
pub struct Learner {
    weights: Tensors,
    first_moments: Tensors,
    second_moments: Tensors,
    deltas: Tensors,
    /// With respect to normalised rows.
    gradients: Tensors,
    /// What guides give, the same of the partner's rows where they are part of the target, and the products of both.
    scores: Tensors,
    partner_scores: Tensors,
    products: Tensors,
    scratch: Tensors,
    /// The network's weights when the epoch began.
    before: Tensors,
    /// Sums of each row of the batch over the epoch.
    pub row_metrics: Vec<f32>,
}

/// What all slots share in a phase.
pub struct Setting<'a> {
    /// The run.
    pub config: &'a TrainingConfig,
    /// Its layers.
    pub shapes: &'a Shapes,
    /// What to run.
    pub phase: &'a Phase,
    /// The step in which it runs.
    pub step: &'a Step,
}

fn only(parts: &[Part], length: impl Fn(&Layer) -> usize) -> impl Fn(Part, &Layer) -> usize {
    move |part, layer| if parts.contains(&part) { length(layer) } else { 0 }
}

impl Activations {
    /// For batches of `shapes`.
    pub fn new(config: &TrainingConfig, shapes: &Shapes) -> Self {
        let forward = [Part::Network, Part::Projection];
        let when = |condition: bool, part: Part| if condition { vec![part] } else { Vec::new() };
        let mut rows = when(config.normalize, Part::Network);
        rows.push(Part::Guide);
        let kept = when(config.representation == Representation::PreActivation, Part::Network);
        // A guide's rows are its inputs, a hidden layer's the next one's.
        let normalized = |part: Part, layer: &Layer| match part {
            Part::Guide => layer.input_len(),
            _ if rows.contains(&part) => layer.output_len(),
            _ => 0,
        };
        Self {
            outputs: Tensors::new(shapes, only(&forward, Layer::output_len)),
            normalized: Tensors::new(shapes, normalized),
            prototypes: Tensors::new(shapes, only(&[Part::Guide], Layer::weight_len)),
            means: Tensors::new(shapes, only(&when(config.centre, Part::Network), Layer::weight_stride)),
            preactivations: Tensors::new(shapes, only(&kept, Layer::output_len)),
            products: Tensors::new(shapes, only(&forward, Layer::delta_len)),
            pairs: vec![[0; 2]; if config.hidden_loss == HiddenLoss::Pairs { shapes.network[0].batch_size as usize } else { 0 }],
        }
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> usize {
        let tensors = [&self.outputs, &self.normalized, &self.prototypes, &self.means, &self.preactivations, &self.products];
        tensors.iter().map(|tensors| tensors.bytes()).sum::<usize>() + size_of_val(&self.pairs[..])
    }

    /// What a layer reads.
    fn inputs<'a>(&'a self, config: &TrainingConfig, part: Part, layer: usize, batch: &'a View) -> &'a [f32] {
        match (part, layer) {
            (Part::Network, 0) => &batch.inputs,
            (Part::Network, _) if config.normalize => &self.normalized[(part, layer - 1)],
            (Part::Network, _) => &self.outputs[(part, layer - 1)],
            (Part::Projection, _) => &self.outputs[(Part::Network, layer)],
            (Part::Guide, _) => &self.normalized[(part, layer)],
        }
    }

    /// Takes one slot's batch through the phase's kernels.
    pub fn forward<A: Arithmetic<Stored = f32>>(&mut self, setting: &Setting, slot: usize, batch: &View, learner: &Learner) {
        let (config, shapes) = (setting.config, setting.shapes);
        for &Dispatch { kernel, part, layer: index } in setting.phase {
            let (layer, at) = (shapes.of(part, index), (part, index));
            match kernel {
                Kernel::Forward => {
                    let (mut outputs, mut products) = (take(&mut self.outputs[at]), take(&mut self.products[at]));
                    let inputs = self.inputs(config, part, index, batch);
                    forward::forward::<A>(layer, inputs, &learner.weights[at], &mut outputs, &mut products);
                    let kept = self.preactivations[at].chunks_exact_mut(layer.output_stride());
                    for (row, products) in kept.zip(products.chunks_exact(layer.weight_stride())) {
                        row[..layer.weight_stride()].copy_from_slice(products);
                    }
                    (self.outputs[at], self.products[at]) = (outputs, products);
                }
                Kernel::Normalize => {
                    let guided = part == Part::Guide;
                    let (source, layer) = if guided { shapes.guide_source(index) } else { (part, layer) };
                    let rows = &self.outputs[(source, index)];
                    normalize::normalize::<A>(layer, guided, rows, &mut self.normalized[at]);
                }
                Kernel::ClassPrototypes => {
                    let rows = &self.normalized[at];
                    class_prototypes::class_prototypes::<A>(layer, rows, &batch.labels, &mut self.prototypes[at]);
                }
                Kernel::BatchMean => {
                    let kept = !self.preactivations[at].is_empty();
                    let rows = if kept { &self.preactivations[at] } else { &self.outputs[at] };
                    batch_mean::batch_mean::<A>(layer, rows, &mut self.means[at]);
                }
                Kernel::Pairs => {
                    pairs::pairs(&Pairs::new(config.seed, layer), setting.step, slot as u32, &batch.labels, &mut self.pairs);
                }
                Kernel::Softmax => softmax::softmax::<A>(layer, &mut self.outputs[at]),
                _ => {}
            }
        }
    }

    /// What the hidden layers' cosine loss compares.
    fn compared(&self, index: usize, activation: bool) -> Compared<'_> {
        let at = (Part::Network, index);
        let rows = if activation { &self.outputs[at] } else { &self.preactivations[at] };
        Compared { rows, means: Some(&self.means[at][..]).filter(|means| !means.is_empty()) }
    }
}

impl Learner {
    /// For batches of `shapes`; everything zero.
    pub fn new(config: &TrainingConfig, shapes: &Shapes) -> Self {
        let learning = [Part::Network, Part::Projection];
        let weights = || Tensors::new(shapes, only(&learning, Layer::weight_len));
        // A guide's gradient is that of its inputs, a hidden layer's that of its normalised output.
        let gradients = |part: Part, layer: &Layer| match part {
            Part::Guide => layer.batch_size as usize * layer.gradient_stride(),
            Part::Network if config.normalize && config.backpropagates() => layer.delta_len(),
            _ => 0,
        };
        Self {
            weights: weights(),
            first_moments: weights(),
            second_moments: weights(),
            deltas: Tensors::new(shapes, only(&Part::ALL, Layer::delta_len)),
            gradients: Tensors::new(shapes, gradients),
            scores: Tensors::new(shapes, only(&[Part::Guide], Layer::output_len)),
            partner_scores: Tensors::new(shapes, only(if config.mutual > 0.0 { &[Part::Guide] } else { &[] }, Layer::output_len)),
            products: Tensors::new(shapes, only(&[Part::Guide], Layer::delta_len)),
            scratch: Tensors::new(shapes, only(&learning, weight_update::scratch_len)),
            before: Tensors::new(shapes, only(&[Part::Network], Layer::weight_len)),
            row_metrics: vec![0.0; shapes.network[0].metrics_len()],
        }
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> usize {
        let moments = 3 * self.weights.bytes();
        let rest =
            [&self.before, &self.deltas, &self.gradients, &self.scores, &self.partner_scores, &self.products, &self.scratch];
        moments + rest.iter().map(|tensors| tensors.bytes()).sum::<usize>() + 4 * self.row_metrics.len()
    }

    /// Remembers the weights, and zeroes the sums.
    pub fn begin_epoch(&mut self, shapes: &Shapes) {
        for layer in 0..shapes.network.len() {
            let at = (Part::Network, layer);
            self.before[at].copy_from_slice(&self.weights[at]);
        }
        self.row_metrics.fill(0.0);
    }

    /// The look at the slot's layers. `own` and `partner` are the activations of a sample of images, in the shapes of `setting`.
    pub fn diagnose<A: Arithmetic<Stored = f32, Number = f32>>(
        &self,
        setting: &Setting,
        own: &Activations,
        partner: &Activations,
        partner_learner: &Learner,
    ) -> Vec<LayerSums> {
        let shapes = setting.shapes;
        let mut sums = vec![LayerSums::default(); shapes.network.len()];
        let mut row_metrics = vec![0.0; shapes.network[0].metrics_len()];
        for &Dispatch { kernel, part, layer: index } in setting.phase {
            let (layer, at, sums) = (shapes.of(part, index), (part, index), &mut sums[index]);
            match kernel {
                Kernel::CosineGradient => {
                    let compared = [own, partner].map(|each| Compared { rows: &each.outputs[at], means: None });
                    let mut deltas = vec![0.0; layer.delta_len()];
                    cosine_gradient::cosine_gradient::<A>(layer, true, compared[0], compared[1], &mut deltas, &mut row_metrics);
                    let rows = layer.batch_size as usize;
                    sums.misalignment = row_metrics[index * rows..][..rows].iter().map(|&loss| f64::from(loss)).sum();
                }
                Kernel::Covariance => {
                    let result = covariance::covariance::<A>(layer, &own.outputs[at], &own.means[at]);
                    [sums.covariance_squares, sums.covariance_trace, sums.dead] = result.map(f64::from);
                }
                Kernel::WeightNorms => {
                    let (weights, before, partner) = (&self.weights[at], &self.before[at], &partner_learner.weights[at]);
                    [sums.weights, sums.update, sums.distance] =
                        weight_norms::weight_norms::<A>(weights, before, partner).map(f64::from);
                }
                _ => {}
            }
        }
        sums
    }

    /// Forgets the moments.
    pub fn begin_stage(&mut self) {
        self.first_moments.iter_mut().chain(self.second_moments.iter_mut()).for_each(|moments| moments.fill(0.0));
    }

    /// Replaces a quantity of one part.
    pub fn write(&mut self, quantity: Quantity, shapes: &Shapes, part: Part, values: &[LayerParameters]) {
        let tensors = match quantity {
            Quantity::Weights => &mut self.weights,
            Quantity::FirstMoments => &mut self.first_moments,
            Quantity::SecondMoments => &mut self.second_moments,
            Quantity::EpochStart => &mut self.before,
        };
        for (index, (layer, values)) in shapes.all(part).iter().zip(values).enumerate() {
            tensors[(part, index)] = layer.pack(values);
        }
    }

    /// A quantity of one part, as far as it is kept.
    pub fn read(&self, quantity: Quantity, shapes: &Shapes, part: Part) -> Vec<LayerParameters> {
        let tensors = match quantity {
            Quantity::Weights => &self.weights,
            Quantity::FirstMoments => &self.first_moments,
            Quantity::SecondMoments => &self.second_moments,
            Quantity::EpochStart => &self.before,
        };
        let layers = shapes.all(part).iter().zip(tensors.all(part)).filter(|(_, packed)| !packed.is_empty());
        layers.map(|(layer, packed)| layer.unpack(packed)).collect()
    }

    /// The phase in which a slot learns, by its own activations and those of its partner.
    pub fn learn<A: Arithmetic<Stored = f32>>(
        &mut self,
        setting: &Setting,
        slot: usize,
        batch: &View,
        own: &Activations,
        partner: &Activations,
    ) {
        let (config, shapes) = (setting.config, setting.shapes);
        let masked = config.representation == Representation::Activation;
        for &Dispatch { kernel, part, layer: index } in setting.phase {
            let (layer, at) = (shapes.of(part, index), (part, index));
            let guide = if layer.weight_flip > 0 { partner } else { own };
            let metrics = &mut self.row_metrics;
            match kernel {
                Kernel::CosineGradient => {
                    let (own, partner) = (own.compared(index, masked), partner.compared(index, masked));
                    cosine_gradient::cosine_gradient::<A>(layer, masked, own, partner, &mut self.deltas[at], metrics);
                }
                Kernel::PairGradient => {
                    let rows = &own.outputs[at];
                    pair_gradient::pair_gradient::<A>(layer, rows, &own.pairs, &mut self.deltas[at], metrics);
                }
                Kernel::Forward => {
                    let inputs = own.inputs(config, part, index, batch);
                    let products = &mut self.products[at];
                    forward::forward::<A>(layer, inputs, &guide.prototypes[at], &mut self.scores[at], products);
                    if layer.mutual > 0.0 {
                        // What the partner finds out about its own rows in this phase, found out here again.
                        let guide = if layer.weight_flip > 0 { own } else { partner };
                        let inputs = partner.inputs(config, part, index, batch);
                        forward::forward::<A>(layer, inputs, &guide.prototypes[at], &mut self.partner_scores[at], products);
                    }
                }
                Kernel::OutputGradient => {
                    let network = part == Part::Network;
                    let loss = if network { config.output_loss } else { OutputLoss::CrossEntropy };
                    let logits = if network { &own.outputs[at] } else { &self.scores[at] };
                    let deltas = &mut self.deltas[at];
                    let partner = (layer.mutual > 0.0).then(|| &self.partner_scores[at][..]);
                    let labels = &batch.labels;
                    output_gradient::output_gradient::<A>(layer, loss, network, logits, partner, labels, deltas, metrics);
                }
                Kernel::InputGradient => {
                    let (target, mask) = input_gradient_target(config, part, index);
                    let weights = if part == Part::Guide { &guide.prototypes[at] } else { &self.weights[at] };
                    let mask = mask.map(|layer| &own.outputs[(Part::Network, layer)][..]);
                    let deltas = take(&mut self.deltas[at]);
                    let gradients = match target {
                        Target::Deltas(layer) => &mut self.deltas[(Part::Network, layer)],
                        Target::Gradients(part, layer) => &mut self.gradients[(part, layer)],
                    };
                    input_gradient::input_gradient::<A>(layer, mask, &deltas, weights, gradients);
                    self.deltas[at] = deltas;
                }
                Kernel::NormalizeGradient => {
                    let guided = part == Part::Guide;
                    let (source, layer) = if guided { shapes.guide_source(index) } else { (part, layer) };
                    let (rows, deltas) = (&own.outputs[(source, index)], &mut self.deltas[(source, index)]);
                    normalize_gradient::normalize_gradient::<A>(layer, guided, rows, &self.gradients[at], deltas);
                }
                Kernel::WeightUpdate if layer.moves(slot) => weight_update::weight_update::<A>(
                    layer,
                    setting.step,
                    own.inputs(config, part, index, batch),
                    &self.deltas[at],
                    &mut self.weights[at],
                    &mut self.first_moments[at],
                    &mut self.second_moments[at],
                    &mut self.scratch[at],
                ),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Adam, Method, Recipe};
    use crate::cpu::Single;
    use crate::layout::Views;
    use crate::plan::{Plan, training_step};
    use crate::random::{Generator, Stream};

    const BATCH: usize = 12;

    /// Everything of layer `layer` after a step, given what the slot and its partner computed on the way forward. With `perturb`
    /// all other weights of the slot, and what the partner computed in other layers, are something else by then.
    fn update(config: &TrainingConfig, layer: usize, perturb: bool) -> Vec<u32> {
        let architecture = config.architecture().unwrap();
        let shapes = Shapes::new(config, &architecture, BATCH, Views::Replica);
        let mut generator = Generator::new(3, Stream::Check, 0);
        let mut batch = View {
            order: Vec::new(),
            inputs: vec![0.0; shapes.network[0].input_len()],
            labels: (0..BATCH as u32).map(|row| row % 3).collect(),
        };
        for row in batch.inputs.chunks_exact_mut(shapes.network[0].input_stride()) {
            row[..6].fill_with(|| generator.normal());
            row[6] = 1.0;
        }
        let parameters = config.initial_parameters().unwrap();
        let [_, activate, learn] = training_step(config, Plan::Layered, config.stages()[0]);
        let step = Step::new(0, BATCH, &Adam::default(), 1);
        let pair = [0, 1].map(|slot| {
            let mut learner = Learner::new(config, &shapes);
            learner.write(Quantity::Weights, &shapes, Part::Network, &parameters.slots[slot]);
            learner.write(Quantity::Weights, &shapes, Part::Projection, &parameters.projections[slot]);
            let mut activations = Activations::new(config, &shapes);
            let setting = Setting { config, shapes: &shapes, phase: &activate, step: &step };
            activations.forward::<Single>(&setting, slot, &batch, &learner);
            (learner, activations)
        });
        let [(mut learner, own), (_, mut partner)] = pair;
        if perturb {
            let mut elsewhere = |tensors: &mut Tensors| {
                for part in Part::ALL {
                    for index in (0..tensors.all(part).len()).filter(|&index| index != layer) {
                        tensors[(part, index)].fill_with(|| generator.normal());
                    }
                }
            };
            let others = [&mut learner.weights, &mut partner.outputs, &mut partner.prototypes, &mut partner.normalized];
            others.into_iter().for_each(&mut elsewhere);
        }
        let setting = Setting { config, shapes: &shapes, phase: &learn, step: &step };
        learner.learn::<Single>(&setting, 0, &batch, &own, &partner);
        let mut state: Vec<u32> = Vec::new();
        for tensors in [&learner.weights, &learner.first_moments, &learner.second_moments] {
            for part in Part::ALL {
                state.extend(tensors.all(part).get(layer).into_iter().flatten().map(|value| value.to_bits()));
            }
        }
        state
    }

    /// Given its inputs and the partner's outputs of the same layer, a layer's update keeps its bits whatever all else is.
    #[test]
    fn an_update_depends_on_its_layer_and_its_guide_only() {
        let small = |recipe: Recipe| TrainingConfig { layers: vec![6, 5, 4, 3], batch_size: BATCH, ..recipe.config() };
        let plain = TrainingConfig { projection: 0, normalize: false, ..small(Recipe::Contrastive) };
        for config in [small(Recipe::Paper), small(Recipe::Centred), small(Recipe::Contrastive), plain] {
            for layer in 0..3 {
                assert_eq!(update(&config, layer, false), update(&config, layer, true), "{config:?} layer {layer}");
            }
        }
        // The control: here the layers above do matter.
        let backprop = TrainingConfig { method: Method::Backprop, ..small(Recipe::Contrastive) };
        assert_ne!(update(&backprop, 0, false), update(&backprop, 0, true));
    }
}
