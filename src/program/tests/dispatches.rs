use super::*;
use crate::kernels::weight_update::LayerUpdate;

#[test]
fn gradients_come_before_any_update() {
    for layers in [vec![5, 2], vec![784, 64, 64, 10]] {
        for config in configs(&layers) {
            for step in programs(&config, Plan::Layered).stages {
                let is_update = |operation: &Operation| operation.kernel() == Kernel::WeightUpdate;
                let last_read = step.iter().rposition(|operation| !is_update(operation));
                assert!(last_read < step.iter().position(is_update), "{config:?}");
            }
        }
    }
}

/// Two where every loss takes the rows one by one, three where gradients go on from there; one more where images are changed.
#[test]
fn the_fused_plan_takes_a_few_dispatches_at_any_depth() {
    let mut selecting_runs = 0;
    for depth in [2, 8] {
        let layers = [vec![784], vec![64; depth - 1], vec![10]].concat();
        let with =
            |method, recipe: Recipe| TrainingConfig { architecture: Architecture::dense(&layers), method, ..recipe.config() };
        for (config, dispatches) in [
            (with(Method::Local, Recipe::Paper), 2),
            (with(Method::Local, Recipe::Contrastive), 3),
            (with(Method::FrozenPartner, Recipe::Contrastive), 3),
            (with(Method::Backprop, Recipe::Contrastive), 3),
            (TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..with(Method::Local, Recipe::Contrastive) }, 3),
        ] {
            assert_eq!(programs(&config, Plan::Fused).stages[0].len(), dispatches, "{config:?}");
            let augmentation = Augmentation { shift: 1, ..Augmentation::default() };
            let changed = TrainingConfig { augmentation, ..config.clone() };
            assert_eq!(programs(&changed, Plan::Fused).stages[0].len(), dispatches + 1, "{changed:?}");
            if fusible(&TrainingConfig { trust: trusting(Trust::Own).trust, ..config.clone() }) {
                for trust in [Trust::Own, Trust::Partner] {
                    let selecting = TrainingConfig { trust: trusting(trust).trust, ..config.clone() };
                    assert_eq!(programs(&selecting, Plan::Fused).stages[0].len(), dispatches + 2, "{selecting:?}");
                }
                selecting_runs += 1;
            }
        }
    }
    // All but the paper, whose loss knows no labels, at both depths.
    assert_eq!(selecting_runs, 2 * 4);
}

#[test]
fn the_paper_takes_two_dispatches_or_three_a_layer() {
    for layers in [vec![5, 2], vec![784, 64, 64, 10]] {
        let paper = TrainingConfig { architecture: Architecture::dense(&layers), ..Recipe::Paper.config() };
        let depth = paper.architecture.layer_count();
        for (plan, dispatches) in [(Plan::Layered, 3 * depth + 1), (Plan::Fused, 2)] {
            assert_eq!(programs(&paper, plan).stages[0].len(), dispatches);
        }
    }
}

/// Every layer that has a gradient moves, once.
#[test]
fn each_layer_is_updated_once_where_it_has_a_loss() {
    let updates = |config: &TrainingConfig, stage: Stage| {
        let programs = programs(config, Plan::Layered);
        let place = config.stages().iter().position(|&other| other == stage).unwrap();
        let mut moved: Vec<Tensor> = Vec::new();
        for operation in &programs.stages[place] {
            if let Operation::WeightUpdate(update) = operation {
                moved.extend(update.layers.iter().map(|layer| layer.weights));
            }
        }
        let learned = programs.parameters.iter().filter(|layer| moved.contains(&layer.weights));
        let mut layers: Vec<_> = learned.map(|layer| (layer.part, layer.index)).collect();
        assert_eq!(layers.len(), moved.len());
        layers.sort_by_key(|&(part, layer)| (part != Part::Network, layer));
        layers
    };
    let network = |layers: &[usize]| layers.iter().map(|&layer| (Part::Network, layer)).collect::<Vec<_>>();
    let contrastive = Recipe::Contrastive.config();
    let projections = [(Part::Projection, 0), (Part::Projection, 1)];
    assert_eq!(updates(&contrastive, Stage::Local), [network(&[0, 1, 2]), projections.to_vec()].concat());
    let heads = TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..contrastive.clone() };
    assert_eq!(updates(&heads, Stage::Local), [network(&[0, 1, 2]), projections.to_vec()].concat());
    let with = |method| TrainingConfig { method, ..contrastive.clone() };
    assert_eq!(updates(&with(Method::Independent), Stage::Local), network(&[2]));
    assert_eq!(updates(&with(Method::Backprop), Stage::EndToEnd), network(&[0, 1, 2]));
    let ffcl3 = Recipe::Ffcl3.config();
    assert_eq!(updates(&ffcl3, Stage::Local), network(&[0, 1]));
    assert_eq!(updates(&ffcl3, Stage::Encoder), network(&[0, 1]));
    assert_eq!(updates(&ffcl3, Stage::EndToEnd), network(&[0, 1, 2]));
}

/// Heads learn at the rate that was asked for; nothing else does.
#[test]
fn heads_learn_at_a_rate_of_their_own() {
    let rates = |config: TrainingConfig, part: Part| {
        let programs = programs(&config, Plan::Layered);
        let of_part =
            |update: &LayerUpdate| programs.parameters.iter().any(|layer| layer.part == part && layer.weights == update.weights);
        let updates = programs.stages[0].iter().filter_map(|operation| match operation {
            Operation::WeightUpdate(update) => Some(&update.layers),
            _ => None,
        });
        updates.flatten().filter(|update| of_part(update)).map(|update| update.trained.rate).collect::<Vec<_>>()
    };
    let heads = || TrainingConfig { architecture: Architecture::dense(&[784, 64, 128, 10]), ..Recipe::Heads.config() };
    assert_eq!(rates(heads(), Part::Projection), [1.0; 2]);
    assert_eq!(rates(heads(), Part::Network), [1.0; 3]);
    let options = HeadOptions { head_rate: 3.0 };
    assert_eq!(rates(TrainingConfig { hidden_loss: HiddenLoss::Head(options), ..heads() }, Part::Projection), [3.0; 2]);
    assert_eq!(rates(Recipe::Contrastive.config(), Part::Projection), [1.0; 2]);
}
