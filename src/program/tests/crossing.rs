use super::*;

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
    let heads = |trust| crossing(&TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..trusting(trust) });
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

/// Everything that a layer learns in a step, given what the slots computed on the way forward. With `perturb` all other weights of slot 0,
/// and what its partner computed in other layers, are something else by then.
fn learned(config: &TrainingConfig, layer: usize, perturb: bool) -> Vec<u32> {
    let programs = programs(config, Plan::Layered);
    let mut store = Store::new(&programs.tensors, programs.slots);
    let mut generator = Generator::new(3, Stream::Check, 0);
    let parameters = config.initial_parameters().unwrap();
    for learned in &programs.parameters {
        for (slot, copy) in store.copies_mut(learned.weights).iter_mut().enumerate() {
            *copy = Data::Numbers(learned.layer.pack(learned.input, learned.values(&parameters, slot).unwrap()));
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
                    let stride = 4 * layout::quads(config.architecture.inputs());
                    numbers
                        .chunks_exact_mut(stride)
                        .for_each(|row| row[..config.architecture.inputs()].fill_with(|| generator.normal()));
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
    let small =
        |recipe: Recipe| TrainingConfig { architecture: Architecture::dense(&[6, 5, 4, 3]), batch_size: 12, ..recipe.config() };
    let prototypes = |guide, projection| {
        let options = PrototypeOptions { guide, projection, ..PrototypeOptions::default() };
        TrainingConfig { hidden_loss: HiddenLoss::Prototypes(options), ..small(Recipe::Contrastive) }
    };
    let plain = TrainingConfig { normalize: false, ..prototypes(Guide::Partner, 0) };
    let own = prototypes(Guide::Own, 32);
    let selecting = TrainingConfig { trust: trusting(Trust::Partner).trust, ..small(Recipe::Contrastive) };
    let heads = TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..small(Recipe::Contrastive) };
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
