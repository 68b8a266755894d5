//! `ffcl-gpu predict` about the rows of files.

use super::session;
use super::terminal::{print_line, report};
use super::trained_options::PredictOptions;
use ffcl_gpu::dataset::file::{self, FileOptions};
use ffcl_gpu::engine::Job;
use ffcl_gpu::model::Network;
use ffcl_gpu::{Error, Result};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Classes that are shown for each row.
const TOP: usize = 3;

pub fn run(options: &PredictOptions) -> Result<ExitCode> {
    if options.annotate.is_some() || options.images.iter().any(|path| !file::is_named_so(path)) {
        let message = "give pictures or files of rows, not both; --annotate is for pictures";
        return Err(Error::Configuration(message.into()));
    }
    let model = options.model.open()?;
    let description = model.description();
    let names = &description.classes;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let (reading, like) = description.reading();
    let features = description.features.is_some() && like.is_none();
    let asked = FileOptions { label_column: options.label_column.clone(), features, reading, ..options.numbers.of_file() };
    for path in &options.images {
        let (rows, decided) = file::load_rows(path, description.image, &FileOptions { like: like.clone(), ..asked.clone() })?;
        decided.iter().for_each(|text| report(&format!("note: {}: {text}", path.display())));
        let answers = model.answers(&rows, &|job: Job| session::open(&options.device, None, job))?;
        let top = |network, row| answers.top(network, row, TOP).into_iter().map(|(class, share)| (names[class].as_str(), share));
        if !options.json {
            print_line(&path.display().to_string())?;
            if let Some(numbers) = like.as_ref().and_then(|like| like.input.numbers) {
                print_line(&format!("    numbers  {numbers}"))?;
            }
        }
        for row in 0..rows.count() {
            if options.json {
                let list = |network| -> Vec<Value> {
                    top(network, row).map(|(label, probability)| json!({ "label": label, "probability": probability })).collect()
                };
                let best = list(Network::Ensemble);
                let object = json!({
                    "file": path.to_string_lossy(),
                    "row": row,
                    "label": best.first().map(|best| best["label"].clone()),
                    "probability": best.first().map(|best| best["probability"].clone()),
                    "top": best,
                    "a": list(Network::A),
                    "b": list(Network::B),
                });
                print_line(&object.to_string())?;
            } else {
                let classes = top(Network::Ensemble, row);
                let text: String = classes.map(|(name, share)| format!("   {name:<width$} {:>5.1} %", 100.0 * share)).collect();
                print_line(&format!("    row {row:<6}{text}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
