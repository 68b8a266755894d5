//! What `train` shows on a terminal, or prints where there is none.

use super::terminal::{print_line, report};
use super::train_options::TrainOptions;
use clap::ValueEnum;
use ffcl_gpu::config::{Schedule, TrainingConfig};
use ffcl_gpu::diagnosis::Diagnosis;
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::Result;
use ffcl_gpu::study::statistics::mean_and_deviation;
use ffcl_gpu::train::{Event, Outcome, Position, ReplicaReport};
use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};
use std::path::Path;
use std::time::Instant;

/// What the terminal shows: a bar for the running epoch, a row for each that is done.
pub struct Display {
    bar: ProgressBar,
    /// Steps of an epoch, of the whole run, and those that were done when it began or went on.
    steps_per_epoch: u64,
    steps: u64,
    steps_before: u64,
    began: Instant,
    quiet: bool,
    /// Not even warnings.
    silent: bool,
    replicas: usize,
    json: bool,
    software: bool,
    images_per_step: u64,
    last: String,
}

impl Display {
    /// Prints the head of the table.
    pub fn new(options: &TrainOptions, job: Job, device: &DeviceDescription, memory: u64, folder: Option<&Path>) -> Result<Self> {
        let quiet = options.quiet || options.json;
        let config = job.config;
        // Hidden by itself where standard error is no terminal; one that knows no control codes cannot show it either.
        let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        let bar = if quiet || dumb { ProgressBar::hidden() } else { ProgressBar::new(0) };
        if let Ok(style) = ProgressStyle::with_template("epoch {prefix} {bar:12} {wide_msg}") {
            bar.set_style(style);
        }
        let steps_per_epoch = config.steps_per_epoch(job.dataset.train.count()) as u64;
        if !quiet {
            print_line(&format!("device   {device}"))?;
            print_line(&format!(
                "data     {}: {:?} to learn, {:?} to test",
                job.dataset.name, job.dataset.train, job.dataset.test
            ))?;
            job.dataset.said().iter().try_for_each(|line| print_line(line))?;
            print_line(&format!(
                "model    {} × {} ({} of A and B), seed {}",
                2 * config.replicas,
                config.architecture.summary(),
                if config.replicas == 1 { "1 pair".into() } else { format!("{} pairs", config.replicas) },
                config.seed
            ))?;
            print_line(&format!(
                "training {} epochs of {} steps, batch {}, Adam {:e}, {:.1} MiB allocated",
                config.epochs,
                config.steps_per_epoch(job.dataset.train.count()),
                config.batch_size,
                config.adam.learning_rate,
                memory as f64 / f64::from(1 << 20)
            ))?;
            print_line(&format!("method   {}", method(config)))?;
            if let Some(folder) = folder {
                print_line(&format!("folder   {}", folder.display()))?;
            }
            let losses: String =
                (1..=config.architecture.layer_count()).map(|layer| format!(" {:>9}", format!("loss {layer}"))).collect();
            print_line("")?;
            print_line(&format!(
                "epoch{losses}  train %  test % A       B     A+B  align   dirs   images/s{}",
                if config.replicas > 1 { "  ± A+B" } else { "" }
            ))?;
        }
        Ok(Self {
            bar,
            steps_per_epoch,
            steps: config.max_steps.unwrap_or(u64::MAX).min(u64::from(config.epochs) * steps_per_epoch),
            steps_before: 0,
            began: Instant::now(),
            quiet,
            silent: options.quiet,
            replicas: config.replicas,
            json: options.json,
            software: device.is_software(),
            images_per_step: (config.batch_size * config.replicas) as u64,
            last: String::new(),
        })
    }

    /// The run begins, or goes on from here.
    pub fn begin(&mut self, position: Position) {
        self.steps_before = position.steps;
        self.began = Instant::now();
    }

    /// How long the rest of the run takes at its pace so far.
    fn time_left(&self, steps_done: u64) -> String {
        let (done, left) = (steps_done.saturating_sub(self.steps_before), self.steps.saturating_sub(steps_done));
        let Some(pace) = self.began.elapsed().checked_div(u32::try_from(done).unwrap_or(u32::MAX)) else { return String::new() };
        format!(", {} left", FormattedDuration(pace.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX))))
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Records(_) | Event::Judged { .. } => {}
            Event::Progress { epoch, steps_done, steps } => {
                if *steps_done == 0 || self.bar.length() != Some(*steps as u64) || self.bar.position() > *steps_done as u64 {
                    self.bar.reset();
                    self.bar.set_length(*steps as u64);
                }
                self.bar.set_prefix(epoch.to_string());
                self.bar.set_position(*steps_done as u64);
                let speed = self.bar.per_sec() * self.images_per_step as f64;
                self.bar.set_message(format!(
                    "{} images/s{}{}{}",
                    short(speed),
                    if self.software { " (software)" } else { "" },
                    self.time_left(u64::from(epoch - 1) * self.steps_per_epoch + *steps_done as u64),
                    self.last
                ));
            }
            Event::Epoch(reports) => {
                let summary = Means::of(reports);
                let loss = summary.losses.last().copied().unwrap_or_default();
                self.last = format!(", loss {loss:.3e}, test {:.2} %", 100.0 * summary.ensemble.0);
                if self.json {
                    for report in *reports {
                        print_line(&serde_json::json!(report).to_string())?;
                    }
                } else if !self.quiet {
                    let row = summary.row(reports, self.software);
                    self.bar.suspend(|| print_line(&row))?;
                }
            }
            Event::Warning { sign, epoch, replicas } => {
                let share = if self.replicas > 1 { format!(" ({replicas} of {} pairs)", self.replicas) } else { String::new() };
                if !self.silent {
                    self.bar.suspend(|| report(&format!("warning: epoch {epoch}{share}: {}", sign.advice())));
                }
            }
        }
        Ok(())
    }

    /// Removes the progress bar.
    pub fn close(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints the results of the run.
    pub fn summary(&self, outcome: &Outcome) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        let means = Means::of(&outcome.last);
        let percent = |(mean, deviation): (f64, f64)| {
            let spread = if outcome.last.len() > 1 { format!(" ± {:.2}", 100.0 * deviation) } else { String::new() };
            format!("{:.2}{spread} %", 100.0 * mean)
        };
        print_line("")?;
        print_line(&format!(
            "{} steps in {:.1} s. Test accuracy: A {}, B {}, A+B {}",
            outcome.steps,
            outcome.seconds,
            percent(means.a),
            percent(means.b),
            percent(means.ensemble)
        ))?;
        layer_table(&outcome.last)
    }
}

/// How a run learns, in a line.
fn method(config: &TrainingConfig) -> String {
    let hidden =
        if config.has_hidden_losses() { format!(", hidden layers by {}", config.hidden_loss.summary()) } else { String::new() };
    let output = name(&config.output_loss);
    let schedule = if config.schedule == Schedule::Cosine { ", rate decays to 0" } else { "" };
    format!("{}{hidden}, output by {output}{schedule}", name(&config.method))
}

/// What an option's value is called on the command line.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// What the layers look like at the end.
fn layer_table(reports: &[ReplicaReport]) -> Result<()> {
    let mean = |value: &dyn Fn(&Diagnosis) -> Option<f64>| {
        let values: Option<Vec<f64>> = reports.iter().map(|report| value(&report.diagnosis)).collect();
        values.map(|values| mean_and_deviation(values.into_iter()).0)
    };
    print_line("")?;
    print_line("layer  alignment  directions  dead %  weights  last update  A to B")?;
    for layer in 0..reports.first().map_or(0, |report| report.layer_losses.len()) {
        let cell = |value: Option<f64>, width: usize, digits: usize| match value {
            Some(value) => format!("  {value:>width$.digits$}"),
            None => format!("  {:>width$}", "–"),
        };
        let row = [
            cell(mean(&|layers| layers.alignment.get(layer).copied()), 9, 3),
            cell(mean(&|layers| layers.participation_ratio.get(layer).copied()), 10, 1),
            cell(mean(&|layers| layers.dead_units.get(layer).map(|share| 100.0 * share)), 6, 1),
            cell(mean(&|layers| layers.weight_norm.get(layer).copied()), 7, 2),
            cell(mean(&|layers| layers.update_norm.get(layer).copied()), 11, 3),
            cell(mean(&|layers| layers.divergence.get(layer).copied()), 6, 3),
        ];
        print_line(&format!("{:>5}{}", layer + 1, row.concat()))?;
    }
    Ok(())
}

/// Means over the replicas of one epoch; accuracies with their sample deviation.
struct Means {
    losses: Vec<f64>,
    train: f64,
    a: (f64, f64),
    b: (f64, f64),
    ensemble: (f64, f64),
    /// Mean over the hidden layers.
    alignment: f64,
    /// Of the hidden layer that has the fewest.
    directions: f64,
}

impl Means {
    fn of(reports: &[ReplicaReport]) -> Self {
        let of = |value: fn(&ReplicaReport) -> f64| mean_and_deviation(reports.iter().map(value));
        let layers = reports.first().map_or(0, |report| report.layer_losses.len());
        Self {
            losses: (0..layers)
                .map(|layer| mean_and_deviation(reports.iter().map(|report| report.layer_losses[layer])).0)
                .collect(),
            train: of(|report| report.train_accuracy).0,
            a: of(|report| report.test_accuracy_a),
            b: of(|report| report.test_accuracy_b),
            ensemble: of(|report| report.test_accuracy_ensemble),
            alignment: of(|report| {
                let layers = &report.diagnosis.alignment;
                layers.iter().sum::<f64>() / layers.len().max(1) as f64
            })
            .0,
            directions: of(|report| {
                let ratios = &report.diagnosis.participation_ratio;
                ratios.iter().copied().reduce(f64::min).unwrap_or_default()
            })
            .0,
        }
    }

    fn row(&self, reports: &[ReplicaReport], software: bool) -> String {
        let losses: String = self.losses.iter().map(|loss| format!(" {loss:>9.3e}")).collect();
        let (epoch, speed) = reports.first().map_or((0, 0.0), |report| (report.epoch, report.samples_per_second));
        let spread = if reports.len() > 1 { format!("  {:>5.2}", 100.0 * self.ensemble.1) } else { String::new() };
        format!(
            "{epoch:>5}{losses}  {:>7.2}  {:>8.2}  {:>6.2}  {:>6.2}  {:>5.2}  {:>5.1}  {:>9}{}{spread}",
            100.0 * self.train,
            100.0 * self.a.0,
            100.0 * self.b.0,
            100.0 * self.ensemble.0,
            self.alignment,
            self.directions,
            short(speed),
            if software { " (software)" } else { "" }
        )
    }
}

/// A rate for people: three digits and a letter.
fn short(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2}M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1}k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}
