//! What holds for the program of every run, whatever it trains.

/// Who learns what from whom.
mod crossing;
/// How many dispatches a step takes, and in which order.
mod dispatches;
/// An operation's operands are what it reaches.
mod operands;

use super::*;
use crate::arithmetic::Single;
use crate::config::{
    Augmentation, CosineOptions, FewLabels, Guide, HeadOptions, HiddenLoss, HiddenLossKind, Labelled, Method, PrototypeOptions,
    Recipe, Stage, Trust, TrustOptions, TrustRate,
};
use crate::cpu::executor::Store;
use crate::dataset::digits;
use crate::kernels::{Access, Data, Kernel, Memory, Whose};
use crate::layout::{Step, UNLABELLED, WHOLE};
use crate::model::Architecture;
use crate::random::{Generator, Stream};
use clap::ValueEnum;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The programs of a run on a few images.
fn programs(config: &TrainingConfig, plan: Plan) -> Programs {
    let inputs = config.architecture.inputs();
    let mut dataset = digits::generate_with_counts(1, 300, 20);
    // Any images of the right size will do.
    for images in [&mut dataset.train, &mut dataset.test] {
        let count = images.count();
        *images =
            Images { pixels: vec![0; count * inputs], shape: crate::dataset::ImageShape::gray(1, inputs), ..images.clone() };
    }
    if config.few.labelled != Labelled::All {
        dataset.set_unlabelled((50..300).collect());
    } else if config.replicas > 1 {
        dataset.train.labels.iter_mut().enumerate().for_each(|(image, label)| *label = (image % 10) as u8);
        // Images that differ, or all of them would be in one fold.
        dataset
            .train
            .pixels
            .chunks_exact_mut(inputs)
            .zip(0u16..)
            .for_each(|(pixels, number)| pixels[..2].copy_from_slice(&number.to_le_bytes()));
        dataset.fold(config.replicas, config.replicas, 0).unwrap();
    }
    Programs::new(Job { config, dataset: &dataset }, plan, u64::MAX).unwrap()
}

fn configs(layers: &[usize]) -> Vec<TrainingConfig> {
    let recipes = [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3].map(Recipe::config);
    let methods = [Method::Backprop, Method::Independent, Method::FrozenPartner];
    let others = methods.map(|method| TrainingConfig { method, ..Recipe::Contrastive.config() });
    let trusting = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, ..trusting(Trust::Partner) });
    let few = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, ..with_few_labels() });
    let heads = TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..Recipe::Contrastive.config() };
    let dropping = [Method::Local, Method::Backprop].map(|method| TrainingConfig { method, dropout: 0.3, ..heads.clone() });
    let configs = recipes
        .into_iter()
        .chain(others)
        .chain(trusting)
        .chain(few)
        .chain(dropping)
        .chain([TrainingConfig { replicas: 3, ..heads }])
        .chain(every_hidden_loss())
        .map(|config| TrainingConfig { architecture: Architecture::dense(layers), ..config });
    configs.filter(|config| config.check().is_ok()).collect()
}

/// The default recipe with each hidden loss that there is.
fn every_hidden_loss() -> impl Iterator<Item = TrainingConfig> {
    HiddenLossKind::value_variants().iter().map(|&kind| {
        let hidden_loss = HiddenLoss::new(kind, CosineOptions::default(), PrototypeOptions::default(), HeadOptions::default());
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
