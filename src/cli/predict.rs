//! `ffcl-gpu predict`.

use super::preparation::{describe_preparation, preparation_name};
use super::terminal::{print_line, report};
use super::trained_options::PredictOptions;
use super::{pictures, session};
use ffcl_gpu::Result;
use ffcl_gpu::dataset::{ImageShape, Images};
use ffcl_gpu::engine::Job;
use ffcl_gpu::evaluation::Answers;
use ffcl_gpu::model::Network;
use ffcl_gpu::trained::TrainedModel;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Preparation;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Classes that are shown for each picture.
const TOP: usize = 3;

/// The exit code is a failure where a picture could not be read.
pub fn run(options: &PredictOptions) -> Result<ExitCode> {
    let model = options.model.open()?;
    let shape = model.description().image;
    let preparation = if options.raw { Preparation::Resize } else { Preparation::of(model.description()) };
    let mut images = Images { pixels: Vec::new(), labels: Vec::new(), shape };
    let mut files = Vec::new();
    let named = pictures::files(&options.images);
    let count = named.len();
    for file in named {
        let prepared = file.and_then(|file| Ok((prepare(&file, preparation, shape)?, file)));
        match prepared {
            Ok((pixels, file)) => {
                images.pixels.extend(pixels);
                images.labels.push(0);
                files.push(file);
            }
            // The others need not suffer for it.
            Err(error) => report(&format!("error: {error}")),
        }
    }
    if !files.is_empty() {
        let answers = model.answers(&images, &|job: Job| session::open(&options.device.device, None, job))?;
        for (index, file) in files.iter().enumerate() {
            show(options, &model, &answers, index, file, preparation)?;
        }
        if !options.json {
            print_line(&format!("pictures were {}", describe_preparation(preparation)))?;
        }
    }
    Ok(if files.len() == count { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prepare(file: &Path, preparation: Preparation, shape: ImageShape) -> Result<Vec<u8>> {
    let picture = if file == Path::new("-") {
        Picture::read(Path::new("standard input"), std::io::stdin().lock())?
    } else {
        Picture::open(file)?
    };
    preparation.apply(&picture, shape)
}

fn show(
    options: &PredictOptions,
    model: &TrainedModel,
    answers: &Answers,
    index: usize,
    file: &Path,
    preparation: Preparation,
) -> Result<()> {
    let names = &model.description().classes;
    let top = |network| answers.top(network, index, TOP).into_iter().map(|(class, probability)| (&names[class], probability));
    if options.json {
        let list = |network| {
            let entries = top(network).map(|(label, probability)| json!({ "label": label, "probability": probability }));
            Value::Array(entries.collect())
        };
        let best = list(Network::Ensemble);
        return print_line(
            &json!({
                "file": file.to_string_lossy(),
                "label": best[0]["label"],
                "probability": best[0]["probability"],
                "preparation": preparation_name(preparation),
                "top": best,
                "a": list(Network::A),
                "b": list(Network::B),
            })
            .to_string(),
        );
    }
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    print_line(&file.display().to_string())?;
    for network in [Network::Ensemble, Network::A, Network::B] {
        let answers = top(network).map(|(name, probability)| format!("   {name:<width$} {:>5.1} %", 100.0 * probability));
        print_line(&format!("    {:<3}{}", network.to_string(), answers.collect::<String>()))?;
    }
    Ok(())
}
