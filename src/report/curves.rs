//! What the charts show, as numbers: means over the replicas, with the band that all of them lie in.

use super::content::Run;
use crate::diagnosis::Diagnosis;
use crate::train::ReplicaReport;

/// A line, with a band around it where there are several replicas.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Epoch, mean, smallest and largest.
    pub points: Vec<[f64; 4]>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// What its vertical axis counts.
    pub unit: &'static str,
    /// What to read from it.
    pub caption: &'static str,
    /// Whether equal factors, not equal differences, are equally high.
    pub logarithmic: bool,
    /// Bounds of the vertical axis, where they are known beforehand.
    pub bounds: [Option<f64>; 2],
    /// The lines.
    pub series: Vec<Series>,
}

/// The charts of a run.
pub fn of_run(metrics: &[ReplicaReport]) -> Vec<Chart> {
    let layers = metrics.first().map_or(0, |report| report.layer_losses.len());
    let hidden = layers.saturating_sub(1);
    let by_layer = |count: usize, value: &dyn Fn(&ReplicaReport, usize) -> Option<f64>| -> Vec<Series> {
        (0..count).map(|layer| series(format!("layer {}", layer + 1), metrics, &|report| value(report, layer))).collect()
    };
    let diagnosis =
        |of: fn(&Diagnosis) -> &Vec<f64>| by_layer(hidden, &|report, layer| of(&report.diagnosis).get(layer).copied());
    let percent = |name: &str, of: fn(&ReplicaReport) -> f64| series(name.into(), metrics, &|report| Some(100.0 * of(report)));
    let mut charts = vec![
        Chart {
            title: "Accuracy",
            unit: "per cent",
            caption: "On the test set: A and B alone, and the mean of both outputs; on the training images as they passed by.",
            logarithmic: false,
            bounds: [None, Some(100.0)],
            series: vec![
                percent("A", |report| report.test_accuracy_a),
                percent("B", |report| report.test_accuracy_b),
                percent("A and B", |report| report.test_accuracy_ensemble),
                percent("training", |report| report.train_accuracy),
            ],
        },
        Chart {
            title: "Loss of each layer",
            unit: "logarithmic",
            caption: "Mean over A, B and the epoch's training images; each layer has a loss of its own.",
            logarithmic: true,
            bounds: [None, None],
            series: by_layer(layers, &|report, layer| report.layer_losses.get(layer).copied()),
        },
    ];
    if hidden > 0 {
        charts.push(Chart {
            title: "Agreement of A and B",
            unit: "cosine",
            caption: "Between both networks' activations of the same test image. At 1, with few directions beside it, the layer has collapsed.",
            logarithmic: false,
            bounds: [Some(0.0), Some(1.0)],
            series: diagnosis(|diagnosis| &diagnosis.alignment),
        });
        charts.push(Chart {
            title: "Directions in use",
            unit: "effective rank, logarithmic",
            caption: "Directions that share the variance of the activations (participation ratio). Near 1 every image looks the same to the layer.",
            logarithmic: true,
            bounds: [Some(1.0), None],
            series: diagnosis(|diagnosis| &diagnosis.participation_ratio),
        });
    }
    charts.retain(|chart| chart.series.iter().any(|series| !series.points.is_empty()));
    charts
}

/// The charts that compare runs.
pub fn of_comparison(runs: &[Run]) -> Vec<Chart> {
    let lines = |value: &dyn Fn(&ReplicaReport) -> Option<f64>| -> Vec<Series> {
        runs.iter().map(|run| series(run.name.clone(), &run.metrics, value)).collect()
    };
    let last_hidden = |values: &Vec<f64>| values.last().copied();
    let mut charts = vec![
        Chart {
            title: "Accuracy of A and B together",
            unit: "per cent",
            caption: "On each run's own test set.",
            logarithmic: false,
            bounds: [None, Some(100.0)],
            series: lines(&|report| Some(100.0 * report.test_accuracy_ensemble)),
        },
        Chart {
            title: "Loss of the output layer",
            unit: "logarithmic",
            caption: "Comparable only where the runs have the same loss there.",
            logarithmic: true,
            bounds: [None, None],
            series: lines(&|report| report.layer_losses.last().copied()),
        },
        Chart {
            title: "Agreement of A and B in the last hidden layer",
            unit: "cosine",
            caption: "Between both networks' activations of the same test image.",
            logarithmic: false,
            bounds: [Some(0.0), Some(1.0)],
            series: lines(&|report| last_hidden(&report.diagnosis.alignment)),
        },
        Chart {
            title: "Directions in use in the last hidden layer",
            unit: "effective rank, logarithmic",
            caption: "Near 1 every image looks the same to the layer.",
            logarithmic: true,
            bounds: [Some(1.0), None],
            series: lines(&|report| last_hidden(&report.diagnosis.participation_ratio)),
        },
    ];
    charts.retain(|chart| chart.series.iter().any(|series| !series.points.is_empty()));
    charts
}

/// A value's mean over the replicas in each epoch.
fn series(name: String, metrics: &[ReplicaReport], value: &dyn Fn(&ReplicaReport) -> Option<f64>) -> Series {
    let points = metrics.chunk_by(|a, b| a.epoch == b.epoch).filter_map(|reports| {
        let values: Option<Vec<f64>> = reports.iter().map(value).collect();
        let values = values.filter(|values| !values.is_empty())?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
        Some([f64::from(reports.first()?.epoch), mean, low, high])
    });
    Series { name, points: points.collect() }
}
