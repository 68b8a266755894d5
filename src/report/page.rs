//! Fills the pages in.

use super::charts::svg;
use super::content::{Run, TestAnswers, as_text};
use super::curves::{self, Chart};
use super::pictures;
use crate::diagnosis::Sign;
use crate::output::picture::{COLOURS, short};
use crate::study::statistics::mean_and_deviation;
use crate::train::ReplicaReport;
use askama::Template;
use std::collections::BTreeSet;

struct DrawnChart {
    svg: String,
    caption: &'static str,
}

struct Tile {
    label: &'static str,
    value: String,
}

struct Cell {
    count: u64,
    /// Of its row, 0 to 1.
    share: String,
    class: &'static str,
}

struct Row<'a> {
    name: &'a str,
    cells: Vec<Cell>,
    precision: String,
    recall: String,
}

struct Confusion<'a> {
    names: &'a [String],
    rows: Vec<Row<'a>>,
}

struct Mistake<'a> {
    uri: String,
    label: &'a str,
    answer: &'a str,
    probability: String,
}

struct Filters {
    uri: String,
    network: char,
    shown: usize,
    units: usize,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage<'a> {
    version: &'static str,
    title: String,
    subtitle: String,
    tiles: Vec<Tile>,
    warnings: Vec<String>,
    replicas: usize,
    charts: Vec<DrawnChart>,
    confusion: Option<Confusion<'a>>,
    mistakes: Vec<Mistake<'a>>,
    filters: Vec<Filters>,
    layers: Vec<Vec<String>>,
    options: Vec<Vec<(String, String)>>,
}

struct ComparedRun {
    name: String,
    colour: usize,
    values: Vec<String>,
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct ComparisonPage {
    version: &'static str,
    varying: Vec<String>,
    runs: Vec<ComparedRun>,
    charts: Vec<DrawnChart>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The page of one run.
pub fn of_run(run: &Run) -> Result<String, String> {
    let last = run.last();
    let (epochs, seconds) = (last.first().map_or(0, |report| report.epoch), seconds(run).sum::<f64>());
    let speed = images_per_second(run);
    let tile = |label, value| Tile { label, value };
    let answers = run.answers.as_ref();
    let page = RunPage {
        version: VERSION,
        title: format!("{}: {}", run.dataset, run.option("layers")),
        subtitle: format!(
            "{}: {} images to learn, {} to test; method {}, seed {}, on {}",
            run.name,
            run.train_images,
            run.test_images,
            run.option("method"),
            run.option("seed"),
            run.device
        ),
        tiles: vec![
            tile("A and B together, test", percent(last, |report| report.test_accuracy_ensemble)),
            tile("A alone", percent(last, |report| report.test_accuracy_a)),
            tile("B alone", percent(last, |report| report.test_accuracy_b)),
            tile("while training", percent(last, |report| report.train_accuracy)),
            tile("epochs", format!("{epochs} of {}", run.option("epochs"))),
            tile("time", duration(seconds)),
            tile("images a second", short(speed)),
        ],
        warnings: warnings(run),
        replicas: last.len(),
        charts: drawn(&curves::of_run(&run.metrics))?,
        confusion: answers.map(confusion),
        mistakes: answers.map(mistakes).unwrap_or_default(),
        filters: filters(run),
        layers: layers(last),
        options: options(run),
    };
    page.render().map_err(|error| error.to_string())
}

/// The page of several.
pub fn of_comparison(runs: &[Run]) -> Result<String, String> {
    // How a run was watched, and where it looked for its files, is no difference in what it did.
    const NOT_COMPARED: [&str; 6] = ["data-dir", "checkpoint-every", "plan", "epochs", "tensorboard", "no-report"];
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.options.keys()).collect();
    let differs = |name: &str| runs.iter().any(|run| run.option(name) != runs[0].option(name));
    let varying: Vec<String> =
        names.into_iter().filter(|name| !NOT_COMPARED.contains(&name.as_str()) && differs(name)).cloned().collect();
    let compared = runs.iter().enumerate().map(|(index, run)| {
        let last = run.last();
        let (mean_seconds, _) = mean_and_deviation(seconds(run));
        let mut values = vec![
            percent(last, |report| report.test_accuracy_ensemble),
            percent(last, |report| report.test_accuracy_a),
            percent(last, |report| report.test_accuracy_b),
            last.first().map_or_else(String::new, |report| report.epoch.to_string()),
            format!("{mean_seconds:.2}"),
        ];
        values.extend(varying.iter().map(|name| run.option(name)));
        ComparedRun { name: run.name.clone(), colour: index % COLOURS.len(), values }
    });
    let page = ComparisonPage {
        version: VERSION,
        runs: compared.collect(),
        charts: drawn(&curves::of_comparison(runs))?,
        varying: varying.clone(),
    };
    page.render().map_err(|error| error.to_string())
}

fn drawn(charts: &[Chart]) -> Result<Vec<DrawnChart>, String> {
    charts.iter().map(|chart| Ok(DrawnChart { svg: svg(chart)?, caption: chart.caption })).collect()
}

/// Wall time of each epoch.
fn seconds(run: &Run) -> impl Iterator<Item = f64> + Clone {
    run.metrics.iter().filter(|report| report.replica == 0).map(|report| report.seconds)
}

/// Images of all replicas in a second, over all epochs.
fn images_per_second(run: &Run) -> f64 {
    let images = |report: &&ReplicaReport| report.samples_per_second * report.seconds;
    let first = || run.metrics.iter().filter(|report| report.replica == 0);
    first().map(|report| images(&report)).sum::<f64>() / first().map(|report| report.seconds).sum::<f64>().max(1e-9)
}

fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 60.0 => format!("{seconds:.1} s"),
        seconds if seconds < 3600.0 => format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0),
        seconds => format!("{:.0} h {:02.0} min", (seconds / 3600.0).floor(), seconds % 3600.0 / 60.0),
    }
}

/// Mean and deviation over the replicas.
fn percent(reports: &[ReplicaReport], value: fn(&ReplicaReport) -> f64) -> String {
    let (mean, deviation) = mean_and_deviation(reports.iter().map(value));
    let spread = if reports.len() > 1 { format!(" ± {:.2}", 100.0 * deviation) } else { String::new() };
    format!("{:.2}{spread} %", 100.0 * mean)
}

/// The signs of failure, each with the epochs that showed it.
fn warnings(run: &Run) -> Vec<String> {
    let signs: BTreeSet<Sign> = run.metrics.iter().flat_map(|report| &report.signs).copied().collect();
    let line = |sign: Sign| {
        let epochs = run.metrics.iter().filter(|report| report.signs.contains(&sign)).map(|report| report.epoch);
        let (first, last) = epochs.fold((u32::MAX, 0), |(first, last), epoch| (first.min(epoch), last.max(epoch)));
        let when = if first == last { format!("Epoch {first}") } else { format!("Epochs {first} to {last}") };
        format!("{when}: {}.", sign.advice())
    };
    signs.into_iter().map(line).collect()
}

fn confusion(answers: &TestAnswers) -> Confusion<'_> {
    let share = |value: Option<f64>| value.map_or_else(|| "–".into(), |share| format!("{:.1} %", 100.0 * share));
    let row = |class: usize| {
        let counts = &answers.evaluation.confusion[class];
        let score = &answers.evaluation.classes[class];
        let cell = |(answer, &count): (usize, &u64)| {
            // The root makes rare confusions visible.
            let part = (count as f64 / score.support.max(1) as f64).sqrt();
            let class = match (count, answer == class, part > 0.6) {
                (0, false, _) => "none",
                (_, true, true) => "right strong",
                (_, true, false) => "right",
                (_, false, true) => "strong",
                (_, false, false) => "",
            };
            Cell { count, share: format!("{part:.3}"), class }
        };
        Row {
            name: &answers.classes[class],
            cells: counts.iter().enumerate().map(cell).collect(),
            precision: share(score.precision),
            recall: share(score.recall),
        }
    };
    Confusion { names: &answers.classes, rows: (0..answers.classes.len()).map(row).collect() }
}

fn mistakes(answers: &TestAnswers) -> Vec<Mistake<'_>> {
    let mistake = |(index, mistake): (usize, &crate::evaluation::Mistake)| {
        Some(Mistake {
            uri: pictures::of_image(answers.image, &answers.pixels(index)?)?,
            label: &answers.classes[mistake.label],
            answer: &answers.classes[mistake.answer],
            probability: format!("{:.1} %", 100.0 * mistake.probability),
        })
    };
    answers.evaluation.mistakes.iter().enumerate().filter_map(mistake).collect()
}

fn filters(run: &Run) -> Vec<Filters> {
    let Some((parameters, model)) = &run.model else { return Vec::new() };
    let pair = parameters.slots.iter().take(2).zip(['A', 'B']);
    let filters = pair.filter_map(|(layers, network)| {
        let layer = layers.first()?;
        let (uri, shown) = pictures::of_filters(model.image, layer)?;
        Some(Filters { uri, network, shown, units: layer.bias.len() })
    });
    filters.collect()
}

/// Loss and looks of each layer, means over the replicas.
fn layers(last: &[ReplicaReport]) -> Vec<Vec<String>> {
    let mean = |value: &dyn Fn(&ReplicaReport) -> Option<f64>| {
        let values: Option<Vec<f64>> = last.iter().map(value).collect();
        values.map(|values| mean_and_deviation(values.into_iter()).0)
    };
    let count = last.first().map_or(0, |report| report.layer_losses.len());
    let layer = |layer: usize| {
        let digits =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"));
        vec![
            mean(&|report| report.layer_losses.get(layer).copied()).map_or_else(String::new, |loss| format!("{loss:.3e}")),
            digits(mean(&|report| report.diagnosis.alignment.get(layer).copied()), 3),
            digits(mean(&|report| report.diagnosis.participation_ratio.get(layer).copied()), 1),
            digits(mean(&|report| report.diagnosis.dead_units.get(layer).map(|share| 100.0 * share)), 1) + " %",
            digits(mean(&|report| report.diagnosis.weight_norm.get(layer).copied()), 2),
            digits(mean(&|report| report.diagnosis.update_norm.get(layer).copied()), 3),
            digits(mean(&|report| report.diagnosis.divergence.get(layer).copied()), 3),
        ]
        .into_iter()
        .map(|text| if text == "– %" { "–".to_owned() } else { text })
        .collect()
    };
    (0..count).map(layer).collect()
}

/// The options and the machine, in two columns.
fn options(run: &Run) -> Vec<Vec<(String, String)>> {
    let (mean, deviation) = mean_and_deviation(seconds(run));
    let mut rows: Vec<(String, String)> = run.options.iter().map(|(name, value)| (name.clone(), as_text(value))).collect();
    rows.push(("computed on".into(), run.device.clone()));
    rows.push(("ffcl-gpu".into(), run.version.clone()));
    rows.push(("an epoch".into(), format!("{mean:.2} s ± {deviation:.2} s, evaluation included")));
    let second = rows.split_off(rows.len().div_ceil(2));
    vec![rows, second]
}
