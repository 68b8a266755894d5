use super::*;
use crate::arithmetic::Single;
use crate::config::{
    Augmentation, CosineOptions, FewLabels, Guide, HiddenLoss, HiddenLossKind, Labelled, Method, PrototypeOptions, Recipe, Stage,
    Trust, TrustOptions, TrustRate,
};
use crate::cpu::executor::Store;
use crate::dataset::digits;
use crate::kernels::{Access, Data, Kernel, Memory, Whose};
use crate::layout::{Step, UNLABELLED, WHOLE};
use crate::random::{Generator, Stream};
use clap::ValueEnum;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The programs of a run on a few images.
fn programs(config: &TrainingConfig, plan: Plan) -> Programs {
    let inputs = config.layers[0];
    let mut dataset = digits::generate_with_counts(1, 300, 20);
    // Any images of the right size will do.
    for images in [&mut dataset.train, &mut dataset.test] {
        let count = images.count();
        *images =
            Images { pixels: vec![0; count * inputs], shape: crate::dataset::ImageShape::gray(1, inputs), ..images.clone() };
    }
    if config.few.labelled != Labelled::All {
        dataset.set_unlabelled((50..300).collect());
    }
    Programs::new(Job { config, dataset: &dataset }, plan, u64::MAX).unwrap()
}

fn configs(layers: &[usize]) -> Vec<TrainingConfig> {
    let recipes = [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3].map(Recipe::config);
    let methods = [Method::Backprop, Method::Independent, Method::FrozenPartner];
    let others = methods.map(|method| TrainingConfig { method, ..Recipe::Contrastive.config() });
    let trusting = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, ..trusting(Trust::Partner) });
    let few = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, ..with_few_labels() });
    let heads = TrainingConfig { hidden_loss: HiddenLoss::Head, ..Recipe::Contrastive.config() };
    let dropping = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, dropout: 0.3, ..heads.clone() });
    let configs = recipes
        .into_iter()
        .chain(others)
        .chain(trusting)
        .chain(few)
        .chain(dropping)
        .chain(every_hidden_loss())
        .map(|config| TrainingConfig { layers: layers.to_vec(), ..config });
    configs.filter(|config| config.architecture().is_ok()).collect()
}

/// The default recipe with each hidden loss that there is.
fn every_hidden_loss() -> impl Iterator<Item = TrainingConfig> {
    HiddenLossKind::value_variants().iter().map(|&kind| {
        let hidden_loss = HiddenLoss::new(kind, CosineOptions::default(), PrototypeOptions::default());
        TrainingConfig { hidden_loss, ..Recipe::Contrastive.config() }
    })
}

/// The default recipe, where layers select images.
fn trusting(trust: Trust) -> TrainingConfig {
    let trust = TrustOptions { trust, trust_rate: TrustRate::Given(0.45), trust_ramp: 1 };
    TrainingConfig { trust, ..Recipe::Contrastive.config() }
}

/// The default recipe, where most images have no labels.
fn with_few_labels() -> TrainingConfig {
    let few = FewLabels { labelled: Labelled::Drawn { count: 50, seed: 0 }, pseudo_threshold: 0.3, ..FewLabels::default() };
    TrainingConfig { few, ..Recipe::Contrastive.config() }
}

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
        let with = |method, recipe: Recipe| TrainingConfig { layers: layers.clone(), method, ..recipe.config() };
        for (config, dispatches) in [
            (with(Method::Local, Recipe::Paper), 2),
            (with(Method::Local, Recipe::Contrastive), 3),
            (with(Method::FrozenPartner, Recipe::Contrastive), 3),
            (with(Method::Backprop, Recipe::Contrastive), 3),
            (TrainingConfig { hidden_loss: HiddenLoss::Head, ..with(Method::Local, Recipe::Contrastive) }, 3),
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
        let paper = TrainingConfig { layers, ..Recipe::Paper.config() };
        let depth = paper.layers.len() - 1;
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
    let heads = TrainingConfig { hidden_loss: HiddenLoss::Head, ..contrastive.clone() };
    assert_eq!(updates(&heads, Stage::Local), [network(&[0, 1, 2]), projections.to_vec()].concat());
    let with = |method| TrainingConfig { method, ..contrastive.clone() };
    assert_eq!(updates(&with(Method::Independent), Stage::Local), network(&[2]));
    assert_eq!(updates(&with(Method::Backprop), Stage::EndToEnd), network(&[0, 1, 2]));
    let ffcl3 = Recipe::Ffcl3.config();
    assert_eq!(updates(&ffcl3, Stage::Local), network(&[0, 1]));
    assert_eq!(updates(&ffcl3, Stage::Encoder), network(&[0, 1]));
    assert_eq!(updates(&ffcl3, Stage::EndToEnd), network(&[0, 1, 2]));
}

/// Only what the partner gives for the same batch crosses from one model to the other, never a gradient or a weight.
#[test]
fn nothing_but_outputs_of_the_same_layer_crosses() {
    for config in configs(&[784, 64, 64, 10]) {
        let programs = programs(&config, Plan::Layered);
        let weights: Vec<Tensor> = programs.parameters.iter().map(|layer| layer.weights).collect();
        for operation in programs.stages.iter().flatten() {
            for operand in operation.describe().operands().iter().filter(|operand| operand.whose != Whose::Own) {
                let Some(tensor) = operand.tensor else { continue };
                assert_eq!(operand.access, Access::Read);
                assert!(!weights.contains(&tensor), "{operation:?}");
                assert!(!programs.spec(tensor).name.contains("deltas"), "{operation:?}");
            }
        }
    }
}

/// The names of the tensors that cross.
fn crossing(config: &TrainingConfig) -> BTreeSet<String> {
    let programs = programs(config, Plan::Layered);
    let operands = programs.stages.iter().flatten().flat_map(|operation| operation.describe().operands());
    let foreign = operands.filter(|operand| operand.whose != Whose::Own).filter_map(|operand| operand.tensor);
    foreign.map(|tensor| programs.spec(tensor).name.clone()).collect()
}

/// What the partner says of an image without a label is a class, and how sure it is of that. Nothing else crosses that did not before.
#[test]
fn a_class_an_image_crosses_where_labels_are_missing() {
    for method in [Method::Local, Method::Backprop] {
        let few = TrainingConfig { method, ..with_few_labels() };
        let all = TrainingConfig { few: FewLabels::default(), ..few.clone() };
        let layers = if method == Method::Local { 1..=3 } else { 3..=3 };
        let more = layers.flat_map(|layer| ["answers", "losses"].map(|what| format!("training: {what} of layer {layer}")));
        assert_eq!(crossing(&few).difference(&crossing(&all)).cloned().collect::<BTreeSet<_>>(), more.collect());
        let programs = programs(&few, Plan::Layered);
        for spec in programs.tensors.iter().filter(|spec| ["answers of", "losses of"].iter().any(|what| spec.name.contains(what)))
        {
            assert_eq!(spec.words, few.batch_size, "{}", spec.name);
        }
    }
}

/// What one says of images is a weight that is 0 or a constant: one bit an image. Nothing else crosses that did not before. With `own` it does
/// where the partner sums the prototypes that guide the chooser.
#[test]
fn one_bit_an_image_crosses_where_images_are_selected() {
    let trust_of = |layers: std::ops::RangeInclusive<usize>| -> BTreeSet<String> {
        layers.map(|layer| format!("training: trust of layer {layer}")).collect()
    };
    for method in [Method::Local, Method::Backprop] {
        let with = |trust| TrainingConfig { method, ..trusting(trust) };
        let none = crossing(&with(Trust::None));
        let more = |trust| crossing(&with(trust)).difference(&none).cloned().collect::<BTreeSet<_>>();
        assert_eq!(more(Trust::Exchange), BTreeSet::new());
        assert_eq!(more(Trust::Output), BTreeSet::new());
        let (own, partner) =
            if method == Method::Local { (trust_of(1..=2), trust_of(1..=3)) } else { (BTreeSet::new(), trust_of(3..=3)) };
        assert_eq!(more(Trust::Own), own);
        assert_eq!(more(Trust::Partner), partner);
    }
    let heads = |trust| crossing(&TrainingConfig { hidden_loss: HiddenLoss::Head, ..trusting(trust) });
    assert_eq!(heads(Trust::Partner), trust_of(1..=3));
    assert_eq!(heads(Trust::CoTeaching), trust_of(3..=3));
}

/// Who chooses the images of the loss and of its prototypes, for every way of guiding.
#[test]
fn who_is_trusted_chooses_for_losses_and_prototypes() {
    for (trust, guide, loss, prototypes) in [
        // The slot itself chooses; the partner's prototypes, which the partner sums, are of the same images.
        (Trust::Own, Guide::Partner, false, true),
        (Trust::Own, Guide::Own, false, false),
        (Trust::Partner, Guide::Partner, true, false),
        (Trust::Partner, Guide::Own, true, true),
        (Trust::Exchange, Guide::Partner, false, false),
        (Trust::Exchange, Guide::Own, false, false),
    ] {
        let config = TrainingConfig {
            hidden_loss: HiddenLoss::Prototypes(PrototypeOptions { guide, ..PrototypeOptions::default() }),
            ..trusting(trust)
        };
        let programs = programs(&config, Plan::Layered);
        let (mut losses, mut sums) = (0, 0);
        for operation in programs.stages.iter().flatten() {
            match operation {
                Operation::PrototypeLoss(of) => {
                    assert_eq!(of.selection.map(|selection| selection.by_partner), Some(loss), "{trust:?} {guide:?}");
                    losses += 1;
                }
                Operation::ClassPrototypes(of) if of.selection.is_some() => {
                    assert_eq!(of.selection.map(|selection| selection.by_partner), Some(prototypes), "{trust:?} {guide:?}");
                    sums += 1;
                }
                _ => {}
            }
        }
        assert_eq!((losses, sums), (2, 2));
    }
}

/// A tensor has a reader and a writer, or comes with the data, or is the host's.
#[test]
fn no_tensor_is_idle() {
    for config in configs(&[784, 64, 64, 10]) {
        let programs = programs(&config, Plan::Layered);
        let mut used = vec![false; programs.tensors.len()];
        for operation in programs.operations() {
            for tensor in operation.describe().operands().iter().filter_map(|operand| operand.tensor) {
                used[tensor.index()] = true;
            }
        }
        for layer in &programs.parameters {
            used[layer.weights.index()] = true;
            // A method that leaves a layer as it is keeps its moments at zero.
            [layer.first_moments, layer.second_moments].into_iter().for_each(|tensor| used[tensor.index()] = true);
        }
        let idle: Vec<_> = programs.tensors.iter().zip(used).filter(|(_, used)| !used).map(|(spec, _)| &spec.name).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }
}

/// Main memory that notes what an operation reaches.
struct Noting<'a> {
    specs: &'a [TensorSpec],
    /// `[tensor][copy]`.
    values: Vec<Vec<Data<f32>>>,
    step: Step,
    slot: usize,
    seen: RefCell<Vec<(Tensor, Access, Whose)>>,
}

impl<'a> Noting<'a> {
    fn new(programs: &'a Programs, step: Step) -> Self {
        let zeros = |spec: &TensorSpec| match spec.element {
            Element::Number => Data::Numbers(vec![0.0; spec.words]),
            Element::Word => Data::Words(vec![0; spec.words]),
        };
        let copies = |spec: &TensorSpec| vec![zeros(spec); spec.per.count(programs.slots)];
        let values = programs.tensors.iter().map(copies).collect();
        Self { specs: &programs.tensors, values, step, slot: 0, seen: RefCell::default() }
    }

    fn note(&self, tensor: Tensor, access: Access, whose: Whose) {
        let seen = (tensor, access, whose);
        if !self.seen.borrow().contains(&seen) {
            self.seen.borrow_mut().push(seen);
        }
    }

    fn written(&mut self, tensor: Tensor) -> &mut Data<f32> {
        self.note(tensor, Access::Write, Whose::Own);
        &mut self.values[tensor.index()][self.specs[tensor.index()].per.unit(self.slot)]
    }
}

impl Memory<f32> for Noting<'_> {
    fn step(&self) -> &Step {
        &self.step
    }

    fn slot(&self) -> usize {
        self.slot
    }

    fn copy(&self, tensor: Tensor, copy: usize) -> &Data<f32> {
        self.note(tensor, Access::Read, Whose::All);
        &self.values[tensor.index()][copy]
    }

    fn of(&self, tensor: Tensor, slot: usize) -> &Data<f32> {
        self.note(tensor, Access::Read, if slot == self.slot { Whose::Own } else { Whose::Partner });
        &self.values[tensor.index()][self.specs[tensor.index()].per.unit(slot)]
    }

    fn take(&mut self, tensor: Tensor) -> Vec<f32> {
        self.written(tensor).numbers().to_vec()
    }

    fn take_words(&mut self, tensor: Tensor) -> Vec<u32> {
        self.written(tensor).words().to_vec()
    }

    fn put(&mut self, tensor: Tensor, values: Data<f32>) {
        *self.written(tensor) = values;
    }

    fn take_scratch(&mut self, length: usize) -> Vec<f32> {
        vec![0.0; length]
    }

    fn put_scratch(&mut self, _: Vec<f32>) {}
}

/// Main memory gives an operation that writes something else nothing to write to, and its phase might not wait for what it reads; so operands
/// must be all that a reference reaches, and no more.
#[test]
fn references_reach_their_operands_and_nothing_else() {
    for config in configs(&[12, 9, 7, 5]) {
        let programs = programs(&config, Plan::Layered);
        let mut memory = Noting::new(&programs, Step::new(0, config.batch_size, &config.adam, 1));
        for operation in programs.operations() {
            let description = operation.describe();
            for unit in 0..description.level().count(programs.slots) {
                memory.slot = description.level().first_slot(unit);
                operation.run::<Single>(&mut memory);
            }
            let seen = memory.seen.take();
            let operands: Vec<_> = description
                .operands()
                .iter()
                .filter_map(|operand| Some((operand.tensor?, operand.access, operand.whose)))
                .collect();
            for &(tensor, access, whose) in &seen {
                let own = access == Access::Read && whose == Whose::Own;
                // Who reads the partner's copy may read its own beside it, and who writes may read what it wrote.
                let allowed = |&(other, granted, of): &(Tensor, Access, Whose)| {
                    other == tensor && (own || (granted, of) == (access, whose))
                };
                assert!(operands.iter().any(allowed), "{operation:?} reaches {}", programs.spec(tensor).name);
            }
            for operand in &operands {
                assert!(seen.contains(operand), "{operation:?} does without {}", programs.spec(operand.0).name);
            }
        }
    }
}

/// Everything that a layer learns in a step, given what the slots computed on the way forward. With `perturb` all other weights of slot 0,
/// and what its partner computed in other layers, are something else by then.
fn learned(config: &TrainingConfig, layer: usize, perturb: bool) -> Vec<u32> {
    let programs = programs(config, Plan::Layered);
    let mut store = Store::new(&programs.tensors, programs.slots);
    let mut generator = Generator::new(3, Stream::Check, 0);
    let parameters = config.initial_parameters().unwrap();
    for learned in &programs.parameters {
        for (slot, copy) in store.copies_mut(learned.weights).iter_mut().enumerate() {
            *copy = Data::Numbers(learned.layer.pack(learned.values(&parameters, slot).unwrap()));
        }
    }
    // A batch of any images; what fetches it is left out.
    let gathered = |operation: &Operation| operation.kernel() == Kernel::Gather;
    let operands =
        programs.stages[0].iter().filter(|operation| gathered(operation)).flat_map(|operation| operation.describe().operands());
    for tensor in operands.filter(|operand| operand.access == Access::Write).filter_map(|operand| operand.tensor) {
        for copy in store.copies_mut(tensor) {
            match copy {
                Data::Numbers(numbers) => {
                    let stride = 4 * layout::quads(config.layers[0]);
                    numbers.chunks_exact_mut(stride).for_each(|row| row[..config.layers[0]].fill_with(|| generator.normal()));
                }
                Data::Words(words) => {
                    let has_label = |row: u32| config.few.labelled == Labelled::All || row < layout::labelled_rows(12) as u32;
                    words.iter_mut().zip(0..).for_each(|(label, row)| *label = if has_label(row) { row % 3 } else { UNLABELLED });
                }
            }
        }
    }
    if let Some(trust) = &programs.trust {
        store.copies_mut(trust.rates).iter_mut().for_each(|rate| *rate = Data::Words(vec![WHOLE / 2]));
    }
    let step = Step { trust_ramp: WHOLE, ..Step::new(0, config.batch_size, &config.adam, 1) };
    let operations: Vec<Operation> = programs.stages[0].iter().filter(|operation| !gathered(operation)).cloned().collect();
    let is_loss = |operation: &Operation| {
        let operands = operation.describe().operands();
        operands.iter().any(|operand| operand.tensor == Some(programs.row_metrics))
    };
    let first_loss = operations.iter().position(is_loss).unwrap();
    for phase in store.phases(&operations[..first_loss]) {
        store.run::<Single>(&phase, &step);
    }
    if perturb {
        for (index, spec) in (0..).zip(&programs.tensors) {
            let other = |name: &str| spec.name.contains(name) && !spec.name.ends_with(&format!(" {}", layer + 1));
            let slot = match () {
                () if other("weights of") => 0,
                () if other("training: ") && !spec.name.contains("images") => 1,
                () => continue,
            };
            if let Some(Data::Numbers(numbers)) = store.copies_mut(Tensor(index)).get_mut(slot) {
                numbers.fill_with(|| generator.normal());
            }
        }
    }
    for phase in store.phases(&operations[first_loss..]) {
        store.run::<Single>(&phase, &step);
    }
    let mut bits = Vec::new();
    for parameters in programs.parameters.iter().filter(|parameters| parameters.index == layer) {
        for tensor in [parameters.weights, parameters.first_moments, parameters.second_moments] {
            bits.extend(store.copies(tensor)[0].numbers().iter().map(|number| number.to_bits()));
        }
    }
    bits
}

/// Given its inputs and the partner's outputs of the same layer, a layer's update keeps its bits whatever all else is.
#[test]
fn an_update_depends_on_its_layer_and_its_guide_only() {
    let small = |recipe: Recipe| TrainingConfig { layers: vec![6, 5, 4, 3], batch_size: 12, ..recipe.config() };
    let prototypes = |guide, projection| {
        let options = PrototypeOptions { guide, projection, ..PrototypeOptions::default() };
        TrainingConfig { hidden_loss: HiddenLoss::Prototypes(options), ..small(Recipe::Contrastive) }
    };
    let plain = TrainingConfig { normalize: false, ..prototypes(Guide::Partner, 0) };
    let own = prototypes(Guide::Own, 32);
    let selecting = TrainingConfig { trust: trusting(Trust::Partner).trust, ..small(Recipe::Contrastive) };
    let heads = TrainingConfig { hidden_loss: HiddenLoss::Head, ..small(Recipe::Contrastive) };
    let dropping = TrainingConfig { dropout: 0.3, ..heads.clone() };
    let few = TrainingConfig { few: with_few_labels().few, ..small(Recipe::Contrastive) };
    let few_heads = TrainingConfig { few: few.few, ..heads.clone() };
    let selecting_heads = TrainingConfig { trust: selecting.trust, ..heads.clone() };
    let losses = every_hidden_loss().map(|config| TrainingConfig { hidden_loss: config.hidden_loss, ..heads.clone() });
    let others = [
        small(Recipe::Paper),
        small(Recipe::Centred),
        small(Recipe::Contrastive),
        plain,
        own,
        selecting,
        few,
        few_heads,
        selecting_heads,
        dropping,
    ];
    for config in losses.chain(others) {
        for layer in 0..3 {
            assert_eq!(learned(&config, layer, false), learned(&config, layer, true), "{config:?} layer {layer}");
        }
    }
    // The control: here the layers above do matter.
    let backprop = TrainingConfig { method: Method::Backprop, ..small(Recipe::Contrastive) };
    assert_ne!(learned(&backprop, 0, false), learned(&backprop, 0, true));
}
