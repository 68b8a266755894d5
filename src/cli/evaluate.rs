//! `ffcl-gpu evaluate`.

use super::data_options::Split;
use super::preparation::{describe_preparation, preparation_name};
use super::session;
use super::terminal::print_line;
use super::test_set::TestSet;
use super::trained_options::EvaluateOptions;
use ffcl_gpu::Result;
use ffcl_gpu::dataset::Origin;
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::evaluation::Evaluation;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::learned;
use ffcl_gpu::trained::classes::Matching;
use serde_json::json;
use std::cell::RefCell;

/// Names of classes head columns if they are no longer; else their numbers do.
const LONGEST_NAME: usize = 4;

pub fn run(options: &EvaluateOptions) -> Result<()> {
    let model = options.model.open()?;
    let description = model.description();
    let data = options.data.load(description)?;
    let device = RefCell::new(None);
    let evaluation = model.evaluate(&data.images, &|job: Job| {
        let backend = session::open(&options.device, None, job)?;
        device.replace(Some(backend.device().clone()));
        Ok(backend)
    })?;
    let device = device.take();
    let learned = learned::count(&options.model.model, &data.images)?;
    if options.json {
        let mut object = as_json(options, description, &data, device.as_ref(), &evaluation);
        object["learned_from"] = json!(learned);
        return print_line(&object.to_string());
    }
    head(description, &data, device.as_ref())?;
    if let Some(learned) = learned {
        let (count, noun) = (data.images.count(), data.images.noun());
        print_line(&format!("learned  {learned} of these {count} {noun}s were learned from"))?;
    }
    totals(&evaluation)?;
    scores(&evaluation, &description.classes)?;
    confusion(&evaluation, &description.classes)
}

fn as_json(
    options: &EvaluateOptions,
    description: &ModelDescription,
    data: &TestSet,
    device: Option<&DeviceDescription>,
    evaluation: &Evaluation,
) -> serde_json::Value {
    let mut object = json!(evaluation);
    for (score, name) in object["classes"].as_array_mut().into_iter().flatten().zip(&description.classes) {
        score["name"] = json!(name);
    }
    object["model"] = json!(options.model.model.to_string_lossy());
    object["layers"] = json!(description.architecture.widths());
    object["replicas"] = json!(description.replicas);
    object["dataset"] = json!(data.name);
    object["split"] = json!(data.split);
    object["left_out"] = json!(data.left_out);
    object["classes_matched_by"] = json!(data.matching);
    object["preparation"] = json!(data.preparation.map(preparation_name));
    object["device"] = json!(device);
    object
}

fn head(description: &ModelDescription, data: &TestSet, device: Option<&DeviceDescription>) -> Result<()> {
    let layers = description.architecture.summary();
    let networks = 2 * description.replicas;
    let kind = match description.origin {
        Origin::Known => "",
        Origin::Folder { .. } => "the folder ",
        Origin::File { .. } => "the file ",
    };
    let trained_on = format!("{kind}{}", description.dataset);
    if let Some(device) = device {
        print_line(&format!("device   {device}"))?;
    }
    print_line(&format!("model    {networks} × {layers}, trained on {trained_on}"))?;
    let which = match data.split {
        Split::Test => "to test",
        Split::HeldOut => "held out of those for training",
        Split::All => "to test, all that there are",
    };
    let left_out = match data.left_out {
        0 => String::new(),
        count => format!(", {count} left out (--split all takes all)"),
    };
    print_line(&format!("data     {}: {:?} {which}{left_out}", data.name, data.images))?;
    if let Some(preparation) = data.preparation {
        print_line(&format!("pictures {}", describe_preparation(preparation)))?;
    }
    print_line(match data.matching {
        Matching::Names => "classes  compared by name",
        Matching::Numbers => "classes  compared by number, since the data or the model has no names of classes",
    })
}

fn totals(evaluation: &Evaluation) -> Result<()> {
    let row = |name: &str, accuracy: f64, loss: f64| print_line(&format!("{name:<8}{:>12.2}{loss:>12.4}", 100.0 * accuracy));
    print_line("")?;
    print_line(&format!("{:<8}{:>12}{:>12}", "", "accuracy %", "loss"))?;
    row("A", evaluation.accuracy_a, evaluation.loss_a)?;
    row("B", evaluation.accuracy_b, evaluation.loss_b)?;
    row("A+B", evaluation.accuracy, evaluation.loss)
}

fn scores(evaluation: &Evaluation, names: &[String]) -> Result<()> {
    let width = longest(names).max(5);
    let percent = |share: Option<f64>| share.map_or_else(|| "–".into(), |share| format!("{:.2}", 100.0 * share));
    print_line("")?;
    print_line(&format!("{:<width$}{:>13}{:>10}{:>8}{:>8}", "A+B", "precision %", "recall %", "F1 %", "images"))?;
    for (score, name) in evaluation.classes.iter().zip(names) {
        let [precision, recall, f1] = [score.precision, score.recall, score.f1].map(percent);
        print_line(&format!("{name:<width$}{precision:>13}{recall:>10}{f1:>8}{:>8}", score.support))?;
    }
    Ok(())
}

fn confusion(evaluation: &Evaluation, names: &[String]) -> Result<()> {
    const CORNER: &str = "true";
    let counts = evaluation.confusion.iter().flatten();
    let digits = counts.max().map_or(1, |most| most.to_string().len());
    let short = longest(names) <= LONGEST_NAME;
    let numbers: Vec<String> = (0..names.len()).map(|class| class.to_string()).collect();
    let heads = if short { names } else { &numbers };
    let labels: Vec<String> =
        if short { names.to_vec() } else { numbers.iter().zip(names).map(|(number, name)| format!("{number} {name}")).collect() };
    let (first, width) = (longest(&labels).max(CORNER.len()), digits.max(longest(heads)) + 2);
    print_line("")?;
    print_line("images by their class (rows) and by the class that A+B predicted (columns)")?;
    let line = |label: &str, cells: Vec<String>| {
        print_line(&format!("{label:<first$}{}", cells.iter().map(|cell| format!("{cell:>width$}")).collect::<String>()))
    };
    line(CORNER, heads.to_vec())?;
    for (label, row) in labels.iter().zip(&evaluation.confusion) {
        // What did not happen is not worth a number.
        line(label, row.iter().map(|&count| if count == 0 { "·".into() } else { count.to_string() }).collect())?;
    }
    Ok(())
}

fn longest(names: &[String]) -> usize {
    names.iter().map(|name| name.chars().count()).max().unwrap_or(0)
}
