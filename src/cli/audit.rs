//! `ffcl-gpu audit`.

use super::data_options::{DataDirOption, ReadingOptions, Source};
use super::device_options::{DeviceOption, PlanName};
use super::interruption::{EXIT_CODE, Interruption};
use super::session;
use super::terminal::{print_line, report as warn};
use super::train::check;
use clap::Args;
use ffcl_gpu::assembly::Prepared;
use ffcl_gpu::audit::{
    Findings, Original, RECORD, TABLE, check_clean, check_same, forget, is_stopped, keep, take_up, write_clean,
};
use ffcl_gpu::config::{DataShape, Extent, Idle, RunOptions, TrainingConfig, Trust};
use ffcl_gpu::dataset::folder::{Loaded, has_test_set};
use ffcl_gpu::dataset::{Dataset, Places};
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::memory;
use ffcl_gpu::output::run_directory;
use ffcl_gpu::text;
use ffcl_gpu::train::{Advance, Doubts, Event, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Suspects that the terminal names.
const NAMED: usize = 10;

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
    /// Pairs of networks that give their opinion.
    #[arg(long, default_value_t = 3, help_heading = "Training")]
    pub replicas: usize,
    #[command(flatten)]
    pub device: DeviceOption,
    /// How a GPU cuts a step into dispatches; the results are the same.
    #[arg(long, value_enum, default_value_t = PlanName::Auto)]
    pub plan: PlanName,
    /// Write into this new folder; where it holds an audit that was stopped, go on with that. Default: audit-NAME.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Write a copy of the data without the suspects into this new folder.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub write_clean: Option<PathBuf>,
    /// Keep suspects in that copy, with the label that is proposed.
    #[arg(long, requires = "write_clean", help_heading = "Output")]
    pub relabel: bool,
    /// Show at most N suspects on the page.
    #[arg(long, value_name = "N", default_value_t = 400, help_heading = "Output")]
    pub show: usize,
    /// List every image in the table, and not only suspects.
    #[arg(long, help_heading = "Output")]
    pub all: bool,
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
        let extent = Extent { seed: self.seed, replicas: self.replicas, ..Extent::default() };
        let run = self.run.for_audit(&DataShape::from(&dataset))?;
        run.on(Cow::Owned(dataset), extent, Idle::Refused(&self.run.given()))
    }

    fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }
}

pub fn run(options: &AuditOptions) -> Result<ExitCode> {
    let quiet = options.is_quiet();
    if let Some(folder) = &options.out {
        check_new(folder)?;
    }
    let mut loaded = options.reading.load_to_audit(&options.data, options.data_dir.path(), quiet)?;
    if let Some(count) = options.limit_train {
        loaded.dataset.limit(count)?;
    }
    let Prepared { config, dataset, .. } = options.prepare(loaded.dataset)?;
    loaded.dataset = dataset.into_owned();
    check(&config)?;
    let dataset = &loaded.dataset;
    let (count, classes) = (dataset.train.count(), dataset.classes());
    memory::require(count as u128 * (4 * classes as u128 + 24), "the opinions about these images")?;
    let original = original(options, &loaded)?;
    if let Some(folder) = &options.write_clean {
        check_clean(folder, &places_of(options, &original))?;
    }
    let job = Job { config: &config, dataset };
    let stopped = options.out.as_deref().filter(|folder| is_stopped(folder));
    let before = stopped.map(|folder| check_same(folder, &config)).transpose()?;
    let mut backend = session::open(&options.device, options.plan.plan(), job)?;
    let device = backend.device().clone();
    if !quiet {
        head(job, &device)?;
    }
    let (mut trainer, mut doubts) = match stopped {
        Some(folder) => {
            let (state, doubts) = take_up(folder, job)?;
            if !quiet && before.is_some_and(|record| record.get("device") != Some(&json!(device))) {
                warn("note: so far this audit was on another device: its bits are no longer those of one device");
            }
            (Trainer::resume(job, backend.as_mut(), &state, &mut [])?, doubts)
        }
        None => {
            backend.set_parameters(&config.initial_parameters()?)?;
            (Trainer::new(job, backend.as_mut()), Doubts::new(count, classes))
        }
    };
    let folder = || match &options.out {
        Some(folder) => create(folder).map(|()| folder.clone()),
        None => create_named(&text::file_name(&dataset.name)),
    };
    let mut record = json!({
        "version": env!("CARGO_PKG_VERSION"), "data": options.data.to_string(), "images": count,
        "options": RunOptions::of(&config), "seed": config.seed, "replicas": config.replicas,
        "device": device,
    });
    if !train(options, job, &mut trainer, &mut doubts)? {
        let (folder, epoch) = (folder()?, trainer.position().epoch);
        record["stopped_in_epoch"] = json!(epoch);
        run_directory::write_json(&folder.join(RECORD), &record)?;
        keep(&folder, job, &trainer.state()?, &doubts)?;
        let (epochs, folder) = (config.epochs, folder.display());
        warn(&format!("stopped in epoch {epoch} of {epochs}; the same command with --out {folder} goes on from there"));
        return Ok(ExitCode::from(EXIT_CODE));
    }
    drop(trainer);
    let findings = Findings::new(dataset, &loaded.train_files, &doubts);
    let folder = folder()?;
    let how = how(&config, &device);
    let page = findings.write_page(&folder, options.show, how)?;
    let table = findings.write_table(&folder, options.all)?;
    record["suspects"] = json!(findings.suspects().count());
    run_directory::write_json(&folder.join(RECORD), &record)?;
    forget(&folder)?;
    let cleaned = options
        .write_clean
        .as_deref()
        .map(|folder| write_clean(folder, &original, &dataset.train.labels, findings.suspects(), options.relabel));
    let cleaned = cleaned.transpose()?;
    if options.json {
        return findings
            .suspects()
            .try_for_each(|suspect| print_line(&json!(findings.row(suspect)).to_string()))
            .map(|()| ExitCode::SUCCESS);
    }
    if !options.quiet {
        summary(&findings)?;
        print_line("")?;
        print_line(&format!("table    {}", table.display()))?;
        print_line(&format!("page     {}", page.display()))?;
        if let (Some(folder), Some(what)) = (&options.write_clean, &cleaned) {
            print_line(&format!("clean    {}: {what}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains to the end; false where it was stopped before.
fn train(options: &AuditOptions, job: Job, trainer: &mut Trainer, doubts: &mut Doubts) -> Result<bool> {
    let config = job.config;
    let steps_per_epoch = config.steps_per_epoch(job.dataset.train.count()) as u64;
    let interruption = Interruption::listen()?;
    // Hidden by itself where standard error is no terminal.
    let bar =
        if options.is_quiet() { ProgressBar::hidden() } else { ProgressBar::new(u64::from(config.epochs) * steps_per_epoch) };
    if let Ok(style) = ProgressStyle::with_template("epoch {prefix} {bar:24} {percent:>3} %, {eta} left") {
        bar.set_style(style);
    }
    let ended = loop {
        let advance = trainer.epoch(&mut |event| {
            match event {
                Event::Progress { epoch, steps_done, .. } => {
                    bar.set_prefix(format!("{epoch} of {}", config.epochs));
                    bar.set_position(u64::from(epoch - 1) * steps_per_epoch + steps_done as u64);
                }
                Event::Records(records) => doubts.observe(records, 2 * config.replicas),
                Event::Epoch(_) | Event::Warning { .. } => {}
            }
            Ok(if interruption.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        match advance {
            Ok(Advance::Epoch) => {}
            ended => break ended,
        }
    };
    bar.finish_and_clear();
    Ok(ended? == Advance::Done)
}

fn head(job: Job, device: &DeviceDescription) -> Result<()> {
    let Job { config, dataset } = job;
    print_line(&format!("device   {device}"))?;
    print_line(&format!("data     {}: {:?}", dataset.name, dataset.train))?;
    dataset.said().iter().try_for_each(|line| print_line(line))?;
    print_line(&format!("networks {}", networks(config)))
}

fn networks(config: &TrainingConfig) -> String {
    let who = match config.trust.trust {
        Trust::None => "nothing",
        Trust::Own => "own losses",
        Trust::Partner => "the partner's losses",
        Trust::Exchange => "exchange",
        Trust::Output => "the output's losses",
        Trust::CoTeaching => "the partner's output",
    };
    format!("{} × {}, {} epochs, trust by {who}", 2 * config.replicas, config.architecture.summary(), config.epochs)
}

fn how(config: &TrainingConfig, device: &DeviceDescription) -> String {
    format!("Labels that fit worst what {}, seed {}, learned from the others; on {device}.", networks(config), config.seed)
}

fn summary(findings: &Findings) -> Result<()> {
    let (count, checked) = (findings.suspects().count(), findings.ranked.len());
    let share = 100.0 * count as f64 / checked.max(1) as f64;
    print_line(&format!("suspects {count} of {checked} labels ({share:.2} %)"))?;
    if count > 0 {
        print_line("")?;
        print_line("   index  score  agree  given → proposed")?;
    }
    for suspect in findings.suspects().take(NAMED) {
        let row = findings.row(suspect);
        print_line(&format!(
            "{:>8} {:>6.2} {:>4.0} %  {} → {}  {}",
            row.index,
            row.score,
            100.0 * row.agreement,
            row.given,
            row.proposed,
            row.file
        ))?;
    }
    if count > NAMED { print_line(&format!("     and {} more", count - NAMED)) } else { Ok(()) }
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

const FOLDER: &str = "give --out a folder that can be written";

/// Refuses a folder that holds an audit.
fn check_new(folder: &Path) -> Result<()> {
    if folder.join(TABLE).exists() {
        let folder = folder.display();
        return Err(Error::Configuration(format!("--out {folder} already holds an audit; give another folder, or remove it")));
    }
    Ok(())
}

fn create(folder: &Path) -> Result<()> {
    check_new(folder)?;
    std::fs::create_dir_all(folder).map_err(|error| Error::file("create the folder", folder, error, FOLDER))
}

/// A new folder of the data's name, with a number behind it where that is taken.
fn create_named(name: &str) -> Result<PathBuf> {
    for number in 1u32.. {
        let folder = PathBuf::from(if number == 1 { format!("audit-{name}") } else { format!("audit-{name}-{number}") });
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("create the folder", folder, error, FOLDER)),
        }
    }
    Err(Error::Configuration(format!("audit-{name} and all its numbers are taken; give --out")))
}
