//! No gradient crosses a layer or a model: shown by bits, with backpropagation as the control that must fail.

use crate::adapter::context;
use crate::harness::Device;
use crate::runs::quick_tiles;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{Guide, HiddenLoss, Method, PrototypeOptions, Recipe, TrainingConfig};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::layout::Step;
use ffcl_gpu::model::{Architecture, LayerParameters, Parameters};
use ffcl_gpu::program::Plan;
use std::ops::ControlFlow::Continue;

tests! {
    both: a_layer_moves_the_same_whatever_stands_above_it, backpropagation_is_not_local, only_guidance_joins_the_models,
        a_frozen_partner_does_not_move;
}

const STEPS: usize = 3;

fn small(recipe: Recipe) -> TrainingConfig {
    TrainingConfig { architecture: Architecture::dense(&[784, 20, 12, 10]), batch_size: 30, seed: 5, ..recipe.config() }
}

/// The contrastive recipe with its prototypes changed.
fn prototypes(guide: Guide, projection: usize) -> TrainingConfig {
    let options = PrototypeOptions { guide, projection, ..PrototypeOptions::default() };
    TrainingConfig { hidden_loss: HiddenLoss::Prototypes(options), ..small(Recipe::Contrastive) }
}

/// The contrastive recipe with a head behind each hidden layer.
fn heads() -> TrainingConfig {
    TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..small(Recipe::Contrastive) }
}

/// The contrastive recipe without labels in its hidden losses.
fn instances() -> TrainingConfig {
    TrainingConfig { hidden_loss: HiddenLoss::Instances(PrototypeOptions::default()), ..small(Recipe::Contrastive) }
}

/// The parameters after some steps from `start`, with the CPU (`None`) or a GPU plan.
fn train(config: &TrainingConfig, plan: Option<Plan>, start: &Parameters) -> Parameters {
    let dataset = digits::generate_with_counts(0, 90, 20);
    let job = Job { config, dataset: &dataset };
    let mut backend: Box<dyn Backend> = match plan {
        None => Box::new(CpuBackend::<Blocked>::new(job).unwrap()),
        Some(plan) => {
            let context = context(&ContextOptions::default());
            let options = GpuOptions { plan: Some(plan), tiles: quick_tiles(&context) };
            Box::new(GpuBackend::new(job, context, options).unwrap())
        }
    };
    backend.set_parameters(start).unwrap();
    backend.begin_epoch(1).unwrap();
    let steps: Vec<Step> = (0..STEPS).map(|step| Step::new(30 * step, 30, &config.adam, step as u64 + 1)).collect();
    backend.train(&steps, &mut |_| Continue(())).unwrap();
    backend.parameters().unwrap()
}

/// The layered plan of a device, as [`train`] takes it.
fn layered(device: Device) -> Option<Plan> {
    (device == Device::Gpu).then_some(Plan::Layered)
}

fn perturb(layer: &mut LayerParameters) {
    layer.weight.iter_mut().chain(&mut layer.bias).for_each(|value| *value = 1.3 * *value + 0.07);
}

/// The first layers of every model and what belongs to them.
fn below(parameters: &Parameters, layer: usize) -> Vec<&[LayerParameters]> {
    let projections = parameters.projections.iter().map(|layers| &layers[..(layer + 1).min(layers.len())]);
    parameters.slots.iter().map(|layers| &layers[..=layer]).chain(projections).collect()
}

/// Whether layers up to `layer` move by the same bits whatever the layers above are, in both models.
fn ignores_what_is_above(config: &TrainingConfig, plan: Option<Plan>, layer: usize) -> bool {
    let start = config.initial_parameters().unwrap();
    let mut other = start.clone();
    for slot in other.slots.iter_mut().chain(&mut other.projections) {
        slot.iter_mut().skip(layer + 1).for_each(perturb);
    }
    let (one, two) = (train(config, plan, &start), train(config, plan, &other));
    assert_ne!(below(&start, layer), below(&one, layer), "nothing moved");
    assert_ne!(one.slots[0][2], two.slots[0][2]);
    below(&one, layer) == below(&two, layer)
}

fn a_layer_moves_the_same_whatever_stands_above_it(device: Device) {
    let cases = [
        (small(Recipe::Paper), true),
        (small(Recipe::Centred), false),
        (small(Recipe::Contrastive), true),
        (prototypes(Guide::Partner, 0), true),
        (TrainingConfig { method: Method::FrozenPartner, ..small(Recipe::Contrastive) }, true),
        (heads(), true),
        (TrainingConfig { dropout: 0.3, ..heads() }, false),
        (instances(), false),
    ];
    for (config, fusible) in cases {
        let fused = (fusible && device == Device::Gpu).then_some(Some(Plan::Fused));
        for (plan, layer) in [layered(device)].into_iter().chain(fused).flat_map(|plan| [(plan, 0), (plan, 1)]) {
            assert!(ignores_what_is_above(&config, plan, layer), "{config:?} {plan:?} layer {layer}");
        }
    }
}

/// The control: the same comparison sees a gradient that crosses layers.
fn backpropagation_is_not_local(device: Device) {
    let config = TrainingConfig { method: Method::Backprop, ..small(Recipe::Contrastive) };
    assert!(!ignores_what_is_above(&config, layered(device), 0));
}

/// Without guidance, or with a model's own prototypes or heads, A moves the same whatever B is; with the partner's it does not.
fn only_guidance_joins_the_models(device: Device) {
    let own = prototypes(Guide::Own, 32);
    let alone = |method| TrainingConfig { method, ..small(Recipe::Contrastive) };
    let cases = [
        (own, true),
        (heads(), true),
        (alone(Method::Independent), true),
        (alone(Method::Backprop), true),
        (alone(Method::Local), false),
    ];
    for (config, expected) in cases {
        let start = config.initial_parameters().unwrap();
        let mut other = start.clone();
        other.slots[1].iter_mut().chain(&mut other.projections[1]).for_each(perturb);
        let [one, two] = [&start, &other].map(|start| train(&config, layered(device), start));
        assert_eq!(one.slots[0] == two.slots[0], expected, "{config:?}");
    }
}

/// The frozen partner keeps every bit.
fn a_frozen_partner_does_not_move(device: Device) {
    let config = TrainingConfig { method: Method::FrozenPartner, ..small(Recipe::Contrastive) };
    let start = config.initial_parameters().unwrap();
    let end = train(&config, layered(device), &start);
    assert_eq!((&end.slots[1], &end.projections[1]), (&start.slots[1], &start.projections[1]));
    assert_ne!(end.slots[0], start.slots[0]);
}
