//! `ffcl-gpu study` and `ffcl-gpu study report`.

use super::arguments::{ReportOptions, StudyCommand, StudyOptions};
use super::data_options::{ReadingOptions, Source};
use super::session;
use super::terminal::{print_line, report as complain};
use ffcl_gpu::dataset::{Dataset, file};
use ffcl_gpu::engine::Job;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::home;
use ffcl_gpu::study::grid::{self, Cell};
use ffcl_gpu::study::manifest::Manifest;
use ffcl_gpu::study::report::{self, Written};
use ffcl_gpu::study::request::Study;
use ffcl_gpu::study::results::{SeedResult, Writer, read_all};
use ffcl_gpu::study::run::{Shared, train_cell};
use ffcl_gpu::study::statistics::mean_and_deviation;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Runs either of them; the exit code is a failure if a cell could not be trained.
pub fn run(options: &StudyOptions) -> Result<ExitCode> {
    match (&options.command, &options.file, &options.out) {
        (Some(StudyCommand::Report(options)), ..) => write_report(options).map(|()| ExitCode::SUCCESS),
        (None, Some(file), Some(out)) => run_study(options, file, out),
        _ => Err(Error::Configuration("study needs a FILE.toml and --out DIR; see `ffcl-gpu study --help`".into())),
    }
}

fn write_report(options: &ReportOptions) -> Result<()> {
    let written = report::write(&options.directory, options.out.as_deref().unwrap_or(&options.directory))?;
    print_line(&describe(&written))
}

fn describe(written: &Written) -> String {
    format!("{} of {} cells are in {}", written.finished, written.cells, written.path.display())
}

/// A cell and the seeds that it lacks.
struct Task<'a> {
    index: usize,
    cell: &'a Cell,
    missing: Vec<u64>,
}

fn run_study(options: &StudyOptions, file: &Path, out: &Path) -> Result<ExitCode> {
    let study = Study::read(file)?;
    // What does not fit the data is a mistake of the file.
    let of_file = |error| match error {
        Error::Configuration(problem) => Error::Configuration(format!("{}: {problem}", file.display())),
        error => error,
    };
    let datasets = load(&study, options).map_err(of_file)?;
    let manifest = Manifest::new(&study, grid::cells(&study, &datasets).map_err(of_file)?);
    let earlier = read_all(out)?;
    let tasks: Vec<_> = (manifest.cells.iter().enumerate())
        .map(|(index, cell)| Task { index, cell, missing: missing(&manifest, cell, &earlier) })
        .filter(|task| options.shard.is_none_or(|shard| shard.has(task.index)))
        .collect();
    if options.dry_run {
        return list(&manifest, &tasks, options.json).map(|()| ExitCode::SUCCESS);
    }
    let open: Vec<_> = tasks.iter().filter(|task| !task.missing.is_empty()).collect();
    let device = (!open.is_empty()).then(|| session::describe_for(&options.device, options.plan.plan())).transpose()?;
    let fail = |error| Error::file("create the folder", out, error, "give --out a folder that can be written");
    std::fs::create_dir_all(out).map_err(fail)?;
    let mut writer = Writer::open(out, options.shard)?;
    manifest.write(out)?;

    let progress = Progress::new(options, &manifest, &open);
    let talks = !options.quiet && !options.json;
    if talks {
        print_line(&format!("study    {}", manifest.title))?;
        device.map_or(Ok(()), |device| print_line(&format!("device   {device}")))?;
        for (name, dataset) in study.datasets.iter().zip(&datasets) {
            print_line(&format!("data     {name}: {:?} to learn, {:?} to test", dataset.train, dataset.test))?;
            dataset.said().iter().try_for_each(|line| print_line(line))?;
        }
        let (cells, seeds) = (manifest.cells.len(), manifest.seeds);
        print_line(&format!("cells    {} to train of {} here and {cells} in all, {seeds} seeds each", open.len(), tasks.len()))?;
    }
    let shared = Shared { title: &manifest.title, hold_out: manifest.hold_out };
    let backend = |job: Job| session::reopen(&options.device, options.plan.plan(), job);
    let mut failed = 0;
    for task in &open {
        let key = &task.cell.key;
        let named = study.datasets.iter().zip(&datasets).find(|(name, _)| **name == key.dataset);
        let Some((_, all)) = named else { continue };
        let dataset = all.limited(key.train_images)?;
        let advance = &mut |steps| progress.bar.inc(steps);
        match train_cell(shared, task.cell, &task.missing, &dataset, &backend, advance) {
            Ok(results) => {
                writer.append(&results)?;
                progress.cell(task, &results)?;
            }
            // The other cells need not suffer for one that fits no device or whose numbers ran away.
            Err(error @ (Error::NotFinite(_) | Error::Limit { .. } | Error::DeviceMemory { .. } | Error::Configuration(_))) => {
                failed += 1;
                progress.bar.suspend(|| complain(&format!("note: {key} has no result: {error}")));
            }
            Err(error) => {
                progress.bar.finish_and_clear();
                return Err(error);
            }
        }
    }
    progress.bar.finish_and_clear();
    let done = read_all(out)?;
    let left = manifest.cells.iter().filter(|cell| !missing(&manifest, cell, &done).is_empty()).count();
    if left == 0 {
        let written = report::write(out, out)?;
        if talks {
            print_line(&describe(&written))?;
        }
    } else if talks {
        let folder = out.display();
        print_line(&format!(
            "left     {left} of {} cells; `ffcl-gpu study report {folder}` shows what is there",
            manifest.cells.len()
        ))?;
    }
    if failed > 0 {
        complain(&format!("error: {failed} cells have no result; change them as the notes say and run again"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn load(study: &Study, options: &StudyOptions) -> Result<Vec<Dataset>> {
    let load = |name: &String| {
        let Ok(source) = home::expand(Path::new(name)).to_string_lossy().parse::<Source>();
        if let Source::File(path) = &source {
            let mut dataset = file::load(path, &study.reading.options())?;
            study.hold_out.map_or(Ok(()), |count| dataset.hold_out(count))?;
            return Ok(dataset);
        }
        let reading = match source {
            Source::Folder(_) => ReadingOptions::of_folder(study.image_size, study.grayscale),
            _ => ReadingOptions::default(),
        };
        let mut dataset = reading.load(&source, options.data_dir.path(), options.quiet || options.json)?;
        study.hold_out.map_or(Ok(()), |count| dataset.hold_out(count))?;
        Ok(dataset)
    };
    study.datasets.iter().map(load).collect()
}

fn missing(manifest: &Manifest, cell: &Cell, results: &[SeedResult]) -> Vec<u64> {
    let is_done = |&seed: &u64| results.iter().any(|result| result.cell == cell.key && result.seed == seed);
    manifest.all_seeds().filter(|seed| !is_done(seed)).collect()
}

fn list(manifest: &Manifest, tasks: &[Task], json: bool) -> Result<()> {
    for task in tasks {
        let (cell, seeds, missing) = (task.cell, manifest.seeds, task.missing.len());
        let state = match missing {
            0 => "done".into(),
            _ if missing == seeds => "to train".into(),
            _ => format!("{missing} of {seeds} seeds to train"),
        };
        print_line(&if json {
            json!({ "cell": task.index, "key": cell.key, "steps": cell.steps, "seeds": seeds, "missing": task.missing })
                .to_string()
        } else {
            format!("{:>4}  {}: {} steps × {seeds} seeds, {state}", task.index + 1, cell.key, cell.steps)
        })?;
    }
    Ok(())
}

/// What the terminal shows: a bar over all that is left, a line for each cell that is done.
struct Progress<'a> {
    bar: ProgressBar,
    options: &'a StudyOptions,
    cells: usize,
}

impl<'a> Progress<'a> {
    fn new(options: &'a StudyOptions, manifest: &Manifest, open: &[&Task]) -> Self {
        let steps = open.iter().map(|task| task.cell.steps * task.missing.len() as u64).sum();
        // Hidden by itself where standard error is no terminal.
        let bar = if options.quiet || options.json { ProgressBar::hidden() } else { ProgressBar::new(steps) };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} % of all steps, {eta} left") {
            bar.set_style(style);
        }
        Self { bar, options, cells: manifest.cells.len() }
    }

    fn cell(&self, task: &Task, results: &[SeedResult]) -> Result<()> {
        if self.options.quiet {
            return Ok(());
        }
        if self.options.json {
            return results.iter().try_for_each(|result| print_line(&json!(result).to_string()));
        }
        let percent = |of: fn(&SeedResult) -> f64| {
            let (mean, deviation) = mean_and_deviation(results.iter().map(of));
            let spread = if results.len() > 1 { format!(" ± {:.2}", 100.0 * deviation) } else { String::new() };
            format!("{:.2}{spread} %", 100.0 * mean)
        };
        let (single, ensemble) = (percent(|result| result.test_accuracy_single), percent(|result| result.test_accuracy_ensemble));
        let line = format!("{:>4}/{}  {}: single {single}, ensemble {ensemble}", task.index + 1, self.cells, task.cell.key);
        self.bar.suspend(|| print_line(&line))
    }
}
