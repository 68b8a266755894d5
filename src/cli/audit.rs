//! `ffcl-gpu audit`.

mod folder;
mod printed;

use super::data_options::{DataDirOption, ReadingOptions, Source};
use super::device_options::{DeviceOption, PlanName};
use super::interruption::{EXIT_CODE, Interruption};
use super::session;
use super::terminal::{print_line, report as warn};
use super::train::check;
use clap::Args;
use ffcl_gpu::assembly::Prepared;
use ffcl_gpu::audit::{
    Decisions, Findings, Original, RECORD, TABLE, check_clean, check_same, forget, is_stopped, keep, take_up, write_clean,
};
use ffcl_gpu::config::{DataShape, Extent, Idle, RunOptions};
use ffcl_gpu::dataset::folder::{Loaded, has_test_set};
use ffcl_gpu::dataset::{Dataset, Places};
use ffcl_gpu::diagnosis::Sign;
use ffcl_gpu::engine::Job;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::memory;
use ffcl_gpu::output::run_directory;
use ffcl_gpu::train::{Advance, Event, Judgements, ReplicaReport, Trainer, Verdicts};
use folder::Folder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditOptions {
    /// The data whose training labels are checked: what train --dataset takes.
    #[arg(value_name = "NAME|DIR|FILE")]
    pub data: Source,
    #[command(flatten)]
    pub data_dir: DataDirOption,
    /// Look only at the first N training images.
    #[arg(long, value_name = "N", conflicts_with = "write_clean")]
    pub limit_train: Option<usize>,
    #[command(flatten)]
    pub reading: ReadingOptions,
    #[command(flatten)]
    pub run: RunOptions,
    /// Seed of the first pair; the next ones count up from it.
    #[arg(long, default_value_t = 0, help_heading = "Training")]
    pub seed: u64,
    /// Shares that the images are cut into: each pair of networks leaves one out, and judges it without having learned it.
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Training")]
    pub folds: usize,
    /// Pairs of networks, a multiple of --folds: so many times is each image judged. Default: as many as folds.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub replicas: Option<usize>,
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Write into this new folder; where it holds an audit that was stopped, go on with that. Default: audit-NAME.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Write a copy of the data without the suspects into this new folder; of an audit in --out that has ended, without training again.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub write_clean: Option<PathBuf>,
    /// Train nothing: the copy goes by this table, a suspects.csv that may have been edited, or one with a column decision.
    #[arg(long, value_name = "FILE", requires = "write_clean", help_heading = "Output")]
    pub apply: Option<PathBuf>,
    /// Write the copy even if it loses a class, or more than a tenth of the images.
    #[arg(long, requires = "write_clean", help_heading = "Output")]
    pub force: bool,
    /// Keep suspects in that copy, with the label that is proposed.
    #[arg(long, requires = "write_clean", help_heading = "Output")]
    pub relabel: bool,
    /// Show at most N suspects on the page.
    #[arg(long, value_name = "N", default_value_t = 400, help_heading = "Output")]
    pub show: usize,
    /// Print only errors.
    #[arg(long, short, conflicts_with = "json", help_heading = "Output")]
    pub quiet: bool,
    /// Print one JSON object for each suspect.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

impl AuditOptions {
    /// The run on this data.
    fn prepare(&self, dataset: Dataset) -> Result<Prepared<'static>> {
        let extent = Extent { seed: self.seed, replicas: self.replicas(), ..Extent::default() };
        let run = self.run.for_audit(&DataShape::from(&dataset));
        run.on(Cow::Owned(dataset), extent, Idle::Refused(&self.run.given()))
    }

    fn replicas(&self) -> usize {
        self.replicas.unwrap_or(self.folds)
    }

    fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }
}

pub fn run(options: &AuditOptions) -> Result<ExitCode> {
    let quiet = options.is_quiet();
    let ended = options.out.as_ref().map(|out| out.join(TABLE)).filter(|table| table.exists());
    if let (Some(folder), Some(_), None) = (&options.out, &ended, &options.write_clean) {
        let folder = folder.display();
        return Err(Error::Configuration(format!(
            "--out {folder} already holds an audit; give another folder, remove it, or have its clean copy written by --write-clean"
        )));
    }
    let mut loaded = options.reading.load_to_audit(&options.data, options.data_dir.path(), quiet)?;
    if let Some(count) = options.limit_train {
        loaded.dataset.limit(count)?;
    }
    if let Some(table) = options.apply.as_ref().or(ended.as_ref()) {
        let decisions = Decisions::read(table, &loaded.dataset, options.relabel)?;
        let original = original(options, &loaded)?;
        options.check_copy(&original)?;
        return options.write_copy(&original, &loaded.dataset, &decisions).map(|()| ExitCode::SUCCESS);
    }
    let Prepared { config, dataset, .. } = options.prepare(loaded.dataset)?;
    loaded.dataset = dataset.into_owned();
    check(&config)?;
    loaded.dataset.fold(options.folds, config.replicas, config.seed)?;
    let dataset = &loaded.dataset;
    let (count, classes) = (dataset.train.count(), dataset.classes());
    // What is said of each image, and what the networks say of those that they leave out.
    let said = 8 * classes as u128
        + 8 * (config.replicas / options.folds) as u128 * (classes as u128 * config.architecture.layer_count() as u128 + 2);
    memory::require(count as u128 * said, "the opinions about these images")?;
    let original = original(options, &loaded)?;
    options.check_copy(&original)?;
    let job = Job { config: &config, dataset };
    let stopped = options.out.as_deref().filter(|folder| is_stopped(folder));
    let before = stopped.map(|folder| check_same(folder, &config, options.folds)).transpose()?;
    let mut backend = session::open(&options.device, options.plan.plan(), job)?;
    let device = backend.device().clone();
    let folder = Folder::open(options.out.as_deref(), &dataset.name)?;
    if !quiet {
        printed::head(job, &device)?;
        print_line(&format!("out      {}", folder.path.display()))?;
    }
    let mut reports: Vec<ReplicaReport> = Vec::new();
    let (mut trainer, mut judgements) = match &before {
        Some(record) => {
            let (state, judgements) = take_up(&folder.path, job)?;
            if !quiet && record.get("device") != Some(&json!(device)) {
                warn("note: so far this audit was on another device: its bits are no longer those of one device");
            }
            reports = serde_json::from_value(record.get("reports").cloned().unwrap_or_default()).unwrap_or_default();
            (Trainer::resume(job, backend.as_mut(), &state, &mut reports)?, judgements)
        }
        None => {
            backend.set_parameters(&config.initial_parameters()?)?;
            (Trainer::new(job, backend.as_mut()), Judgements::new(count, classes))
        }
    };
    let mut record = json!({
        "version": env!("CARGO_PKG_VERSION"), "data": options.data.to_string(), "images": count,
        "options": RunOptions::of(&config), "seed": config.seed, "replicas": config.replicas, "folds": options.folds,
        "device": device,
    });
    let mut audit =
        Audit { options, job, folder: &folder.path, record: &record, judgements: &mut judgements, reports: &mut reports };
    if !audit.train(&mut trainer)? {
        let (epoch, epochs, folder) = (trainer.position().epoch, config.epochs, folder.path.display());
        warn(&format!("stopped in epoch {epoch} of {epochs}; the same command with --out {folder} goes on from there"));
        return Ok(ExitCode::from(EXIT_CODE));
    }
    drop(trainer);
    let verdicts = Verdicts::new(&judgements, &dataset.train.labels);
    let findings = Findings::new(dataset, &loaded.train_files, verdicts);
    let warnings: Vec<String> = findings.warnings().into_iter().chain(warnings(&reports, config.replicas)).collect();
    let notes: Vec<String> =
        findings.summary().into_iter().chain(warnings.iter().map(|text| format!("Warning: {text}"))).collect();
    let page = findings.write_page(&folder.path, options.show, printed::how(&config, options.folds, &device), &notes)?;
    let table = findings.write_tables(&folder.path)?;
    record["suspects"] = json!(findings.verdicts.suspects().count());
    record["wrong"] = findings.verdicts.wrong.map_or(
        Value::Null,
        |wrong| json!({"about": wrong.about, "low": wrong.low, "high": wrong.high, "listed": findings.verdicts.expected()}),
    );
    let name = |&class: &u8| dataset.class_names[usize::from(class)].as_str();
    record["not_judged"] = json!(findings.verdicts.unknown.iter().map(name).collect::<Vec<_>>());
    record["copies"] = json!({
        "within": findings.copies.within.len(), "contradicted": findings.copies.contradicted.len(),
        "in_test_set": findings.copies.tested.len(),
    });
    record["warnings"] = json!(warnings);
    run_directory::write_json(&folder.path.join(RECORD), &record)?;
    forget(&folder.path)?;
    if !options.quiet {
        warnings.iter().for_each(|text| warn(&format!("warning: {text}")));
    }
    if options.json {
        let print = |suspect| print_line(&json!(findings.row(suspect)).to_string());
        findings.verdicts.suspects().try_for_each(print)?;
    } else if !options.quiet {
        printed::summary(&findings)?;
        print_line("")?;
        print_line(&format!("table    {}", table.display()))?;
        print_line(&format!("page     {}", page.display()))?;
    }
    if options.write_clean.is_some() {
        if findings.verdicts.wrong.is_none() && !options.force {
            let message =
                "no label was judged, and the clean copy was not written: it would be the data as it is; add --force to have it";
            return Err(Error::Configuration(message.into()));
        }
        let decisions = Decisions::of_suspects(&dataset.train.labels, findings.verdicts.suspects(), options.relabel);
        options.write_copy(&original, dataset, &decisions)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl AuditOptions {
    /// Refuses a place for a clean copy that cannot be.
    fn check_copy(&self, original: &Original) -> Result<()> {
        self.write_clean.as_ref().map_or(Ok(()), |folder| check_clean(folder, &places_of(self, original)))
    }

    /// Writes the clean copy, if one was asked for.
    fn write_copy(&self, original: &Original, dataset: &Dataset, decisions: &Decisions) -> Result<()> {
        let Some(folder) = &self.write_clean else { return Ok(()) };
        if !self.force {
            decisions.check(dataset)?;
        }
        let what = write_clean(folder, original, &dataset.train.labels, decisions.labels())?;
        if self.is_quiet() {
            return Ok(());
        }
        let (dropped, changed) = decisions.counts(&dataset.train.labels);
        print_line(&format!("clean    {}: {what}; {dropped} left out, {changed} relabelled", folder.display()))
    }
}

/// An audit that trains.
struct Audit<'a> {
    options: &'a AuditOptions,
    job: Job<'a>,
    folder: &'a Path,
    record: &'a Value,
    judgements: &'a mut Judgements,
    reports: &'a mut Vec<ReplicaReport>,
}

impl Audit<'_> {
    /// Trains to the end, and keeps the audit after each epoch; false where it was stopped before.
    fn train(&mut self, trainer: &mut Trainer) -> Result<bool> {
        let config = self.job.config;
        let steps_per_epoch = self.job.steps_per_epoch() as u64;
        let interruption = Interruption::listen()?;
        let is_quiet = self.options.is_quiet();
        // Hidden by itself where standard error is no terminal.
        let bar = if is_quiet { ProgressBar::hidden() } else { ProgressBar::new(u64::from(config.epochs) * steps_per_epoch) };
        if let Ok(style) = ProgressStyle::with_template("epoch {prefix} {bar:24} {percent:>3} %, {eta} left") {
            bar.set_style(style);
        }
        let ended = loop {
            let (judgements, reports) = (&mut *self.judgements, &mut *self.reports);
            let advance = trainer.epoch(&mut |event| {
                match event {
                    Event::Progress { epoch, steps_done, .. } => {
                        bar.set_prefix(format!("{epoch} of {}", config.epochs));
                        bar.set_position(u64::from(epoch - 1) * steps_per_epoch + steps_done as u64);
                    }
                    Event::Judged { epoch, probabilities } => {
                        if let Some(folds) = &self.job.dataset.folds {
                            judgements.observe(folds, epoch, config.epochs, probabilities);
                        }
                    }
                    Event::Epoch(of_epoch) => reports.extend_from_slice(of_epoch),
                    // What the training ends with is said then.
                    Event::Records(_) | Event::Warning { .. } => {}
                }
                Ok(if interruption.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            match advance {
                Ok(Advance::Epoch) => self.keep(trainer)?,
                ended => break ended,
            }
        };
        bar.finish_and_clear();
        let is_done = ended? == Advance::Done;
        if !is_done {
            self.keep(trainer)?;
        }
        Ok(is_done)
    }

    fn keep(&self, trainer: &mut Trainer) -> Result<()> {
        let mut record = self.record.clone();
        record["stopped_in_epoch"] = json!(trainer.position().epoch);
        record["reports"] = json!(self.reports);
        run_directory::write_json(&self.folder.join(RECORD), &record)?;
        keep(self.folder, self.job, &trainer.state()?, self.judgements)
    }
}

/// The signs of failure that the training ended with.
fn warnings(reports: &[ReplicaReport], replicas: usize) -> Vec<String> {
    let last = &reports[reports.len().saturating_sub(replicas)..];
    let signs: BTreeSet<Sign> = last.iter().flat_map(|report| &report.signs).copied().collect();
    let warning = |sign: Sign| {
        let share = last.iter().filter(|report| report.signs.contains(&sign)).count();
        format!("{share} of {replicas} pairs: {}", sign.advice())
    };
    signs.into_iter().map(warning).collect()
}

/// Where the data comes from, for a copy of it.
fn original<'a>(options: &AuditOptions, loaded: &'a Loaded) -> Result<Original<'a>> {
    let classes = &loaded.dataset.class_names;
    Ok(match &options.data {
        Source::Folder(root) => {
            let test = has_test_set(root).then_some(&loaded.test_files[..]);
            Original::Folder { train: &loaded.train_files, test, classes }
        }
        Source::Known(name) => match &name.known().files {
            Some(files) => match Places::new(options.data_dir.path()).find(files)? {
                Some(paths) => Original::Known { format: files.format, names: files.names, paths },
                None => Original::Rows { classes },
            },
            None => Original::Rows { classes },
        },
        Source::File(_) => Original::Rows { classes },
    })
}

/// The folders that hold the data.
fn places_of<'a>(options: &'a AuditOptions, original: &'a Original) -> Vec<&'a Path> {
    match (&options.data, original) {
        (Source::Folder(root), _) => vec![root],
        (_, Original::Known { paths, .. }) => paths.first().and_then(|path| path.parent()).into_iter().collect(),
        _ => Vec::new(),
    }
}
