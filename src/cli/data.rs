//! `ffcl-gpu data fetch`, `data list` and `data verify`.

use super::data_command::{DataCommand, FetchOptions, ListOptions, VerifyDataOptions};
use super::terminal::{print_line, report};
use ffcl_gpu::dataset::catalogue::{Files, KNOWN, Known};
use ffcl_gpu::dataset::checksum::{State, check};
use ffcl_gpu::dataset::{DatasetName, Places, fetch::fetch};
use ffcl_gpu::error::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs one of them; the exit code is a failure if a file is not the right one.
pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Fetch(options) => fetch_all(options).map(|()| ExitCode::SUCCESS),
        DataCommand::List(options) => list(options).map(|()| ExitCode::SUCCESS),
        DataCommand::Verify(options) => verify(options),
    }
}

fn fetch_all(options: &FetchOptions) -> Result<()> {
    let mut places = Places::new(options.data_dir.path());
    if places.data_dir.is_some() {
        // Who names a folder wants the files there, in the cache or not.
        places.cache = None;
    }
    for name in &options.names {
        let known = name.known();
        let Some(files) = &known.files else {
            print_line(&format!("{name} needs no files"))?;
            continue;
        };
        if let Some((folder, paths)) = here(&places, files)?
            && is_sound(known, &places, &check(files, &paths)?)
        {
            print_line(&format!("{name} was already in {}", folder.display()))?;
            continue;
        }
        if files.downloads.is_empty() {
            return Err(Error::Configuration(format!(
                "no checksums of {name} are known, so it is not fetched; get its files elsewhere, such as by torchvision.datasets, and name their folder by --data-dir"
            )));
        }
        let folder = places.target(files)?;
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left") {
            bar.set_style(style);
        }
        let outcome = fetch(known, files, &folder, &options.mirror, &mut |file, here, all| {
            if bar.prefix() != file {
                bar.reset();
                bar.set_prefix(file.to_owned());
                bar.set_length(all);
            }
            bar.set_position(here);
        });
        bar.finish_and_clear();
        outcome?;
        print_line(&format!("{name} is now in {}", folder.display()))?;
    }
    Ok(())
}

fn list(options: &ListOptions) -> Result<()> {
    let places = Places::new(options.data_dir.path());
    if !options.json {
        print_line("name               train    test  shape    classes  download  where")?;
    }
    for known in &KNOWN {
        let folder = known.files.as_ref().map(|files| here(&places, files)).transpose()?.flatten().map(|(folder, _)| folder);
        let bytes: u64 = known.files.iter().flat_map(|files| files.downloads).map(|download| download.bytes).sum();
        let (train, test) = known.images;
        print_line(&if options.json {
            json!({
                "name": known.name, "train_images": train, "test_images": test, "shape": known.shape, "classes": known.classes,
                "download_bytes": bytes, "folder": folder,
            })
            .to_string()
        } else {
            let place = match (&known.files, folder) {
                (None, _) => "drawn by the program".to_owned(),
                (Some(_), Some(folder)) => folder.display().to_string(),
                (Some(_), None) => "not here".to_owned(),
            };
            let shape = known.shape.to_string();
            let size = if bytes == 0 { "–".to_owned() } else { format!("{:.1} MB", bytes as f64 / 1e6) };
            format!("{:<17} {train:>6}  {test:>6}  {shape:<8} {:>6}  {size:>9}  {place}", known.text, known.classes.len())
        })?;
    }
    Ok(())
}

fn verify(options: &VerifyDataOptions) -> Result<ExitCode> {
    let places = Places::new(options.data_dir.path());
    let named: Vec<&Known> = options.names.iter().map(|name: &DatasetName| name.known()).collect();
    let all: Vec<&Known> = if named.is_empty() { KNOWN.iter().collect() } else { named };
    let (mut checked, mut wrong) = (0, 0);
    for known in all {
        let Some(files) = &known.files else { continue };
        let Some((_, paths)) = here(&places, files)? else {
            if !options.names.is_empty() {
                wrong += 1;
                report(&format!("error: {0} is not here; run `ffcl-gpu data fetch {0}`", known.text));
            }
            continue;
        };
        let states = check(files, &paths)?;
        for (path, state) in paths.iter().zip(&states) {
            checked += 1;
            let verdict = match state {
                State::Good => "ok".to_owned(),
                State::Unknown => "unknown: no checksum is known of it".to_owned(),
                State::Wrong { has } => {
                    wrong += 1;
                    format!("WRONG: its checksum is {has}; remove it, and fetch the data set again")
                }
            };
            print_line(&format!("{}  {verdict}", path.display()))?;
        }
        // What cannot be compared can be read at least.
        if states.contains(&State::Unknown)
            && let Err(error) = known.name.load(&places)
        {
            wrong += 1;
            report(&format!("error: {error}"));
        }
    }
    if wrong == 0 && checked == 0 {
        print_line("no data set is here; `ffcl-gpu data list` shows what can be fetched")?;
    }
    Ok(if wrong > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether a data set need not be fetched: what cannot be compared can be read at least.
fn is_sound(known: &Known, places: &Places, states: &[State]) -> bool {
    let is_wrong = states.iter().any(|state| matches!(state, State::Wrong { .. }));
    !is_wrong && (!states.contains(&State::Unknown) || known.name.load(places).is_ok())
}

/// The folder that has a data set, and the files.
fn here(places: &Places, files: &Files) -> Result<Option<(PathBuf, Vec<PathBuf>)>> {
    let found = places.find(files)?;
    Ok(found.and_then(|paths| Some((paths.first()?.parent()?.to_owned(), paths))))
}
