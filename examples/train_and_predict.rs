//! Trains a pair of networks from Rust, and asks them about images: those of the test set, and pictures named as arguments.
//!
//!     cargo run --release --example train_and_predict -- photo.jpg

use ffcl_gpu::config::{Recipe, TrainingConfig};
use ffcl_gpu::cpu::backend::open;
use ffcl_gpu::dataset::{Images, digits};
use ffcl_gpu::engine::Job;
use ffcl_gpu::model::Network;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::train::{Advance, Event, Trainer};
use ffcl_gpu::trained::{TrainedModel, picture::Picture, preparation::Preparation};
use std::ops::ControlFlow::Continue;
use std::path::Path;

fn main() -> ffcl_gpu::Result<()> {
    // Data, and what to do with it.
    let dataset = digits::generate_with_counts(digits::SEED, 12_000, 2_000);
    let config = TrainingConfig { epochs: 4, ..Recipe::default().config() };
    let job = Job { config: &config, dataset: &dataset };

    // A trainer on the processor.
    let mut backend = open(job)?;
    backend.set_parameters(&config.initial_parameters()?)?;
    let mut trainer = Trainer::new(job, backend.as_mut());

    // Epochs, with a look at each; `Break` would stop the run.
    let mut observe = |event: Event| {
        if let Event::Epoch(reports) = event {
            println!("epoch {}: {:.2} % right", reports[0].epoch, 100.0 * reports[0].test_accuracy_ensemble);
        }
        Ok(Continue(()))
    };
    while trainer.epoch(&mut observe)? == Advance::Epoch {}

    // Weights, `[slot][layer]`: slot 0 is A, slot 1 is B.
    let parameters = trainer.parameters()?;
    let shape = &parameters.slots[0][0].shape;
    println!("the weight of A's first layer has the shape {shape:?}");

    // Answers; `TrainedModel::open` reads a run's folder instead.
    let model = TrainedModel::new(parameters, ModelDescription::of(job))?;
    let answers = model.answers(&dataset.test.head(5), &open)?;
    for image in 0..answers.count() {
        let (class, probability) = answers.top(Network::Ensemble, image, 1)[0];
        println!("a {} was taken for {class} ({:.1} %)", dataset.test.labels[image], 100.0 * probability);
    }

    // Pictures.
    let shape = model.description().image;
    for file in std::env::args().skip(1) {
        let pixels = Preparation::of(model.description()).apply(&Picture::open(Path::new(&file))?, shape)?;
        let answers = model.answers(&Images { pixels, labels: vec![0], shape, features: None }, &open)?;
        println!("{file} shows a {}", answers.answer(Network::Ensemble, 0));
    }
    Ok(())
}
