//! What a training step is, as a flat list of dispatches. Pure data: both backends walk the same list, each in its own way.

use crate::model::Architecture;
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
    /// Loss and gradient of the output layer.
    OutputGradient,
    /// A tile of the batch through all layers of a pair, losses and gradients included.
    FusedForward,
    /// Weight gradient and Adam, of one layer or of all.
    WeightUpdate,
    /// Logits to probabilities.
    Softmax,
    /// Right answers of A, B and the ensemble.
    Accuracy,
    /// Sums of rows.
    Reduction,
}

impl Kernel {
    /// All kernels, in the order in which a run meets them.
    pub const ALL: [Kernel; 11] = [
        Kernel::Shuffle,
        Kernel::Gather,
        Kernel::Forward,
        Kernel::BatchMean,
        Kernel::CosineGradient,
        Kernel::OutputGradient,
        Kernel::FusedForward,
        Kernel::WeightUpdate,
        Kernel::Softmax,
        Kernel::Accuracy,
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
            Kernel::OutputGradient => "output_gradient",
            Kernel::FusedForward => "fused_forward",
            Kernel::WeightUpdate => "weight_update",
            Kernel::Softmax => "softmax",
            Kernel::Accuracy => "accuracy",
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

/// One kernel on one layer, for all slots at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Kernel,
    /// The layer it runs on, from 0; 0 for kernels without one, and for those that take all layers.
    pub layer: usize,
}

/// Dispatches in which every slot can go through all of them without waiting for another: on a GPU they follow each other, on
/// a CPU each slot runs the whole phase on its own core.
pub type Phase = Vec<Dispatch>;

/// One training step, in three phases. Order of updates: all activations come from the weights before the step; then every
/// layer of both models moves by its own local loss. `centre`: the hidden layers' losses compare centred vectors (layered plan only,
/// since a mean needs the whole batch).
pub fn training_step(architecture: &Architecture, plan: Plan, centre: bool) -> [Phase; 3] {
    let layers = architecture.layer_count();
    let on = |kernel| move |layer| Dispatch { kernel, layer };
    let gather = vec![on(Kernel::Gather)(0)];
    match plan {
        Plan::Fused => [gather, vec![on(Kernel::FusedForward)(0)], vec![on(Kernel::WeightUpdate)(0)]],
        Plan::Layered => {
            let mut updates: Phase = (0..layers - 1).map(on(Kernel::CosineGradient)).collect();
            updates.push(on(Kernel::OutputGradient)(layers - 1));
            updates.extend((0..layers).map(on(Kernel::WeightUpdate)));
            let mut activate: Phase = (0..layers).map(on(Kernel::Forward)).collect();
            if centre {
                activate.extend((0..layers - 1).map(on(Kernel::BatchMean)));
            }
            [gather, activate, updates]
        }
    }
}

/// One batch of an evaluation on the test set, in three phases.
pub fn evaluation_step(architecture: &Architecture) -> [Phase; 3] {
    let layers = architecture.layer_count();
    let on = |kernel| move |layer| Dispatch { kernel, layer };
    let mut probabilities: Phase = (0..layers).map(on(Kernel::Forward)).collect();
    probabilities.push(on(Kernel::Softmax)(layers - 1));
    [vec![on(Kernel::Gather)(0)], probabilities, vec![on(Kernel::Accuracy)(layers - 1)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_come_before_any_update() {
        for widths in [vec![5, 2], vec![784, 64, 64, 10]] {
            let architecture = Architecture::new(widths).unwrap();
            for (plan, dispatches) in [(Plan::Layered, 3 * architecture.layer_count() + 1), (Plan::Fused, 3)] {
                let step = training_step(&architecture, plan, false).concat();
                let last_read = step.iter().rposition(|dispatch| dispatch.kernel != Kernel::WeightUpdate);
                let first_update = step.iter().position(|dispatch| dispatch.kernel == Kernel::WeightUpdate);
                assert!(last_read < first_update);
                assert_eq!(step.len(), dispatches);
            }
        }
    }
}
