//! What a training step is, as a flat list of dispatches. Pure data: both backends walk the same list, each in its own way.

use crate::config::{HiddenLoss, Method, Stage, TrainingConfig};
use serde::Serialize;

/// The kernels. Each has a shader `shaders/<name>.wgsl`, a CPU twin `src/cpu/<name>.rs` and checks `src/verify/<name>.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// The order of an epoch.
    Shuffle,
    /// A batch from the resident data set.
    Gather,
    /// One layer's matrix product, bias and activation.
    Forward,
    /// Means of a hidden layer's outputs over the batch.
    BatchMean,
    /// Loss and gradient of a hidden layer.
    CosineGradient,
    /// Random pairs of rows of one class and of two.
    Pairs,
    /// Loss and gradient of a hidden layer by pairs of rows.
    PairGradient,
    /// Rows brought to one length.
    Normalize,
    /// Means of the unit rows of each class.
    ClassPrototypes,
    /// Loss and gradient of logits: the output layer's, or those of the prototypes.
    OutputGradient,
    /// From a layer's gradient to that of its input.
    InputGradient,
    /// From the gradient of normalised rows to that of the rows.
    NormalizeGradient,
    /// A tile of the batch through all layers of a pair, losses and gradients included.
    FusedForward,
    /// Weight gradient and Adam, of one layer or of all.
    WeightUpdate,
    /// Logits to probabilities.
    Softmax,
    /// Right answers of A, B and the ensemble.
    Accuracy,
    /// How a hidden layer's outputs spread.
    Covariance,
    /// Size, movement and distance of weights.
    WeightNorms,
    /// Sums of rows.
    Reduction,
}

impl Kernel {
    /// All kernels, in the order in which a run meets them.
    pub const ALL: [Kernel; 19] = [
        Kernel::Shuffle,
        Kernel::Gather,
        Kernel::Forward,
        Kernel::BatchMean,
        Kernel::CosineGradient,
        Kernel::Pairs,
        Kernel::PairGradient,
        Kernel::Normalize,
        Kernel::ClassPrototypes,
        Kernel::OutputGradient,
        Kernel::InputGradient,
        Kernel::NormalizeGradient,
        Kernel::FusedForward,
        Kernel::WeightUpdate,
        Kernel::Softmax,
        Kernel::Accuracy,
        Kernel::Covariance,
        Kernel::WeightNorms,
        Kernel::Reduction,
    ];

    /// The stem of the kernel's files.
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::Shuffle => "shuffle",
            Kernel::Gather => "gather",
            Kernel::Forward => "forward",
            Kernel::BatchMean => "batch_mean",
            Kernel::CosineGradient => "cosine_gradient",
            Kernel::Pairs => "pairs",
            Kernel::PairGradient => "pair_gradient",
            Kernel::Normalize => "normalize",
            Kernel::ClassPrototypes => "class_prototypes",
            Kernel::OutputGradient => "output_gradient",
            Kernel::InputGradient => "input_gradient",
            Kernel::NormalizeGradient => "normalize_gradient",
            Kernel::FusedForward => "fused_forward",
            Kernel::WeightUpdate => "weight_update",
            Kernel::Softmax => "softmax",
            Kernel::Accuracy => "accuracy",
            Kernel::Covariance => "covariance",
            Kernel::WeightNorms => "weight_norms",
            Kernel::Reduction => "reduction",
        }
    }
}

/// How a training step is cut into dispatches. Both ways compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Three dispatches for any depth: for narrow networks, whose steps are bound by the latency of dispatches.
    Fused,
    /// A dispatch for each layer and kernel, each with a tile that suits the layer: for wide networks, bound by arithmetic.
    Layered,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Plan::Fused => "fused",
            Plan::Layered => "layered",
        })
    }
}

/// Which of a run's layers a dispatch works on.
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
    /// All parts.
    pub const ALL: [Part; 3] = [Part::Network, Part::Projection, Part::Guide];
}

/// One kernel on one layer, for all slots at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Kernel,
    /// The kind of layer it runs on.
    pub part: Part,
    /// The layer, from 0; 0 for kernels without one, and for those that take all layers.
    pub layer: usize,
}

/// Dispatches in which every slot can go through all of them without waiting for another: on a GPU they follow each other, on
/// a CPU each slot runs the whole phase on its own core.
pub type Phase = Vec<Dispatch>;

fn on(kernel: Kernel, part: Part, layer: usize) -> Dispatch {
    Dispatch { kernel, part, layer }
}

/// One training step of a stage, in three phases. Order of updates: all activations come from the weights before the step; all
/// gradients come before any update. The fused plan is for the plain cosine loss only ([`fusible`]).
pub fn training_step(config: &TrainingConfig, plan: Plan, stage: Stage) -> [Phase; 3] {
    let gather = vec![on(Kernel::Gather, Part::Network, 0)];
    match plan {
        Plan::Fused => {
            let whole = |kernel| vec![on(kernel, Part::Network, 0)];
            [gather, whole(Kernel::FusedForward), whole(Kernel::WeightUpdate)]
        }
        Plan::Layered => {
            let layers = config.layers.len() - 1;
            let losses = match stage {
                Stage::Local if config.has_hidden_losses() => 0..layers - 1,
                Stage::Encoder => layers - 2..layers - 1,
                Stage::Local | Stage::EndToEnd => 0..0,
            };
            // With stages the output layer waits for the last one.
            let output = stage == Stage::EndToEnd || config.method != Method::Ffcl3;
            let mut activate = forward(config, if output { layers } else { layers - 1 });
            let mut learn = Phase::new();
            if config.hidden_loss == HiddenLoss::Pairs && !losses.is_empty() {
                activate.push(on(Kernel::Pairs, Part::Network, 0));
            }
            for layer in losses.clone() {
                hidden_loss(config, layer, &mut activate, &mut learn);
            }
            let mut updates: Phase = losses.map(|layer| on(Kernel::WeightUpdate, Part::Network, layer)).collect();
            if output {
                learn.push(on(Kernel::OutputGradient, Part::Network, layers - 1));
                updates.push(on(Kernel::WeightUpdate, Part::Network, layers - 1));
            }
            let top = match stage {
                Stage::Local => 0,
                Stage::Encoder => layers - 2,
                Stage::EndToEnd => layers - 1,
            };
            for layer in (1..=top).rev() {
                learn.push(on(Kernel::InputGradient, Part::Network, layer));
                if config.normalize {
                    learn.push(on(Kernel::NormalizeGradient, Part::Network, layer - 1));
                }
                updates.push(on(Kernel::WeightUpdate, Part::Network, layer - 1));
            }
            if config.has_projections() {
                let projected: Phase = learn.iter().filter(|dispatch| dispatch.part == Part::Projection).copied().collect();
                updates.extend(projected.into_iter().map(|dispatch| on(Kernel::WeightUpdate, Part::Projection, dispatch.layer)));
            }
            learn.extend(updates);
            [gather, activate, learn]
        }
    }
}

/// Whether the fused plan computes this run's steps.
pub fn fusible(config: &TrainingConfig) -> bool {
    config.method == Method::Local && config.hidden_loss == HiddenLoss::Cosine && !config.centre && !config.normalize
}

/// Where the gradient of a layer's input goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the delta of this layer of the network: the input is its output.
    Deltas(usize),
    /// To the gradient of normalised rows: of this layer's output, or of the rows that this guide reads.
    Gradients(Part, usize),
}

/// The target of [`Kernel::InputGradient`] on a layer, and the layer of the network whose rectified output stops it.
pub fn input_gradient_target(config: &TrainingConfig, part: Part, layer: usize) -> (Target, Option<usize>) {
    match part {
        Part::Guide => (Target::Gradients(part, layer), None),
        Part::Projection => (Target::Deltas(layer), Some(layer)),
        Part::Network if config.normalize => (Target::Gradients(part, layer - 1), None),
        Part::Network => (Target::Deltas(layer - 1), Some(layer - 1)),
    }
}

/// The first `layers` layers forward.
fn forward(config: &TrainingConfig, layers: usize) -> Phase {
    let last = config.layers.len() - 2;
    let normalized = |layer| config.normalize && layer < last;
    let layer = |layer| {
        let forward = on(Kernel::Forward, Part::Network, layer);
        [forward].into_iter().chain(normalized(layer).then_some(on(Kernel::Normalize, Part::Network, layer)))
    };
    (0..layers).flat_map(layer).collect()
}

/// The loss of one hidden layer, from its output to its delta.
fn hidden_loss(config: &TrainingConfig, layer: usize, activate: &mut Phase, learn: &mut Phase) {
    match config.hidden_loss {
        HiddenLoss::Cosine => {
            if config.centre {
                activate.push(on(Kernel::BatchMean, Part::Network, layer));
            }
            learn.push(on(Kernel::CosineGradient, Part::Network, layer));
        }
        HiddenLoss::Prototypes => {
            if config.projection > 0 {
                activate.push(on(Kernel::Forward, Part::Projection, layer));
            }
            activate.extend([Kernel::Normalize, Kernel::ClassPrototypes].map(|kernel| on(kernel, Part::Guide, layer)));
            learn.extend(
                [Kernel::Forward, Kernel::OutputGradient, Kernel::InputGradient, Kernel::NormalizeGradient]
                    .map(|kernel| on(kernel, Part::Guide, layer)),
            );
            if config.projection > 0 {
                learn.push(on(Kernel::InputGradient, Part::Projection, layer));
            }
        }
        // The step's pairs serve all layers.
        HiddenLoss::Pairs => learn.push(on(Kernel::PairGradient, Part::Network, layer)),
    }
}

/// One batch of an evaluation on the test set, in three phases.
pub fn evaluation_step(config: &TrainingConfig) -> [Phase; 3] {
    let layers = config.layers.len() - 1;
    let mut probabilities = forward(config, layers);
    probabilities.push(on(Kernel::Softmax, Part::Network, layers - 1));
    [vec![on(Kernel::Gather, Part::Network, 0)], probabilities, vec![on(Kernel::Accuracy, Part::Network, layers - 1)]]
}

/// The look at the hidden layers of a sample after an epoch, in three phases. `config` is [`TrainingConfig::of_diagnosis`].
pub fn diagnosis_step(config: &TrainingConfig) -> [Phase; 3] {
    let layers = config.layers.len() - 1;
    let of = |kernel, layers: usize| (0..layers).map(move |layer| on(kernel, Part::Network, layer));
    let mut activate = forward(config, layers - 1);
    activate.extend(of(Kernel::BatchMean, layers - 1));
    let mut compare: Phase = of(Kernel::CosineGradient, layers - 1).collect();
    compare.extend(of(Kernel::Covariance, layers - 1));
    compare.extend(of(Kernel::WeightNorms, layers));
    [vec![on(Kernel::Gather, Part::Network, 0)], activate, compare]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;

    #[test]
    fn activations_and_gradients_come_before_any_update() {
        for layers in [vec![5, 2], vec![784, 64, 64, 10]] {
            let depth = layers.len() - 1;
            let paper = TrainingConfig { layers: layers.clone(), ..TrainingConfig::default() };
            for (plan, dispatches) in [(Plan::Layered, 3 * depth + 1), (Plan::Fused, 3)] {
                assert_eq!(training_step(&paper, plan, Stage::Local).concat().len(), dispatches);
            }
            let recipes = [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3].map(Recipe::config);
            let backprop = TrainingConfig { method: Method::Backprop, ..Recipe::Contrastive.config() };
            for config in recipes.into_iter().chain([backprop]) {
                let config = TrainingConfig { layers: layers.clone(), ..config };
                for &stage in config.stages().iter().filter(|_| config.architecture().is_ok()) {
                    let step = training_step(&config, Plan::Layered, stage).concat();
                    let last_read = step.iter().rposition(|dispatch| dispatch.kernel != Kernel::WeightUpdate);
                    let first_update = step.iter().position(|dispatch| dispatch.kernel == Kernel::WeightUpdate);
                    assert!(last_read < first_update, "{config:?} {stage:?}");
                }
            }
        }
    }

    /// Every layer that has a gradient moves, once.
    #[test]
    fn each_layer_is_updated_once_where_it_has_a_loss() {
        let updates = |config: &TrainingConfig, stage| {
            let mut layers: Vec<_> = training_step(config, Plan::Layered, stage)
                .concat()
                .into_iter()
                .filter(|dispatch| dispatch.kernel == Kernel::WeightUpdate)
                .map(|dispatch| (dispatch.part, dispatch.layer))
                .collect();
            layers.sort_by_key(|&(part, layer)| (part != Part::Network, layer));
            layers
        };
        let network = |layers: &[usize]| layers.iter().map(|&layer| (Part::Network, layer)).collect::<Vec<_>>();
        let contrastive = Recipe::Contrastive.config();
        let projections = [(Part::Projection, 0), (Part::Projection, 1)];
        assert_eq!(updates(&contrastive, Stage::Local), [network(&[0, 1, 2]), projections.to_vec()].concat());
        let with = |method| TrainingConfig { method, ..contrastive.clone() };
        assert_eq!(updates(&with(Method::Independent), Stage::Local), network(&[2]));
        assert_eq!(updates(&with(Method::Backprop), Stage::EndToEnd), network(&[0, 1, 2]));
        let ffcl3 = Recipe::Ffcl3.config();
        assert_eq!(updates(&ffcl3, Stage::Local), network(&[0, 1]));
        assert_eq!(updates(&ffcl3, Stage::Encoder), network(&[0, 1]));
        assert_eq!(updates(&ffcl3, Stage::EndToEnd), network(&[0, 1, 2]));
    }

    /// Pairs are drawn once a step, where a layer has a loss by them.
    #[test]
    fn pairs_are_drawn_once_for_the_layers_that_use_them() {
        let ffcl3 = Recipe::Ffcl3.config();
        let of = |stage, kernel| {
            let [_, activate, learn] = training_step(&ffcl3, Plan::Layered, stage);
            let layers = |phase: Phase| {
                let found = phase.into_iter().filter(|dispatch| dispatch.kernel == kernel);
                found.map(|dispatch| (dispatch.part, dispatch.layer)).collect::<Vec<_>>()
            };
            [layers(activate), layers(learn)]
        };
        let network = |layer| (Part::Network, layer);
        assert_eq!(of(Stage::Local, Kernel::Pairs), [vec![network(0)], vec![]]);
        assert_eq!(of(Stage::Local, Kernel::PairGradient), [vec![], vec![network(0), network(1)]]);
        assert_eq!(of(Stage::Encoder, Kernel::Pairs), [vec![network(0)], vec![]]);
        assert_eq!(of(Stage::Encoder, Kernel::PairGradient), [vec![], vec![network(1)]]);
        assert_eq!(of(Stage::EndToEnd, Kernel::Pairs), [vec![], vec![]]);
        assert_eq!(of(Stage::EndToEnd, Kernel::PairGradient), [vec![], vec![]]);
    }
}
