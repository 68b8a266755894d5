//! Tiles that were measured once on an adapter, kept in the platform's cache folder; and `ffcl-gpu tune`.

use super::arguments::TuneOptions;
use super::device_options::Tuning;
use super::session;
use super::terminal::{print_line, report};
use ffcl_gpu::config::{Extent, Idle, TrainingConfig};
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::backend::GpuOptions;
use ffcl_gpu::gpu::context::Context;
use ffcl_gpu::gpu::tuning::{Candidate, Effort, Tuned, tune};
use ffcl_gpu::kernels::tiles::Tiles;
use ffcl_gpu::output::whole_file::write_whole;
use ffcl_gpu::program::{Plan, blank_dataset};
use ffcl_gpu::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Adapter, driver, build and kind of run, to the tiles.
type Cache = BTreeMap<String, Tiles>;

/// In the folder that `FFCL_CACHE_DIR` names, else in the platform's.
fn cache_file() -> Option<PathBuf> {
    let of_platform = || Some(directories::ProjectDirs::from("", "", "ffcl-gpu")?.cache_dir().to_owned());
    let folder = std::env::var_os("FFCL_CACHE_DIR").map(PathBuf::from).or_else(of_platform)?;
    Some(folder.join("tiles.json"))
}

/// What is there. A file that cannot be read is as good as none: it is measured again.
fn cached() -> Cache {
    let text = cache_file().and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn keep(key: String, tiles: Tiles) {
    let Some(path) = cache_file() else { return };
    let mut cache = cached();
    cache.insert(key, tiles);
    // Who cannot write there measures again next time.
    let _ = path.parent().map(std::fs::create_dir_all);
    if let Ok(text) = serde_json::to_string_pretty(&cache) {
        let _ = write_whole(&path, text.as_bytes());
    }
}

/// Runs of one kind share their tiles: sizes up to the next power of two.
fn key(context: &Context, config: &TrainingConfig, plan: Option<Plan>) -> String {
    let class = |size: usize| size.next_power_of_two();
    let layers: Vec<_> = config.layers.iter().map(|&width| class(width)).collect();
    let plan = plan.map_or_else(|| "auto".to_owned(), |plan| plan.to_string());
    let loss = (config.method, config.hidden_loss);
    let (batch, replicas) = (class(config.batch_size), class(config.replicas));
    format!(
        "{} | {} | {loss:?} {layers:?} batch {batch} replicas {replicas} {plan}",
        context.description,
        env!("CARGO_PKG_VERSION")
    )
}

/// The tiles for a job, from the cache or measured now; `options` come with the built-in ones.
pub fn choose(tuning: Tuning, context: Context, options: GpuOptions, job: Job) -> Result<(Context, Tiles)> {
    if tuning == Tuning::Off {
        return Ok((context, options.tiles));
    }
    let key = key(&context, job.config, options.plan);
    let known = cached().get(&key).copied().filter(|tiles| tiles.is_tuned_from(&options.tiles, context.subgroup_size));
    if let (Tuning::Auto, Some(tiles)) = (tuning, known) {
        return Ok((context, tiles));
    }
    report(
        "note: this adapter is new to this kind of run; its kernels are timed once to choose their tiles (--tune off skips it)",
    );
    let (context, tuned) = tune(job, context, options, Effort::QUICK)?;
    warn_of_other_bits(&tuned);
    keep(key, tuned.tiles);
    Ok((context, tuned.tiles))
}

fn warn_of_other_bits(tuned: &Tuned) {
    if tuned.differs {
        report(
            "warning: the fastest tiles compute other numbers than the built-in ones here, which they must not; the built-in ones stay. \
             `ffcl-gpu verify --every-tile` tells which kernels this driver gets wrong",
        );
    }
}

/// `ffcl-gpu tune`: times all candidates at length, prints them, and keeps the winners.
pub fn run(options: &TuneOptions) -> Result<()> {
    let config = options.options.check(Extent::default(), Idle::Refused(&options.options.given()))?;
    let dataset = blank_dataset(&config)?;
    let job = Job { config: &config, dataset: &dataset };
    let Some(context) = session::open_context(&options.device)? else {
        return Err(Error::Configuration("tiles are for GPUs, and --device came to the CPU; use --device gpu".into()));
    };
    let plan = options.plan.plan();
    let key = key(&context, &config, plan);
    let gpu = GpuOptions { plan, ..GpuOptions::for_device(&context) };
    let device = context.description.clone();
    let (_, tuned) = tune(job, context, gpu, Effort::LONG)?;
    warn_of_other_bits(&tuned);
    keep(key, tuned.tiles);
    if options.json {
        return tuned.candidates.iter().try_for_each(|candidate| print_line(&json!(candidate).to_string()));
    }
    print_line(&format!("device    {device}"))?;
    print_line("\n| kernels | tile | µs a step | chosen |\n|---|---|---|---|")?;
    for Candidate { knob, setting, microseconds, chosen } in &tuned.candidates {
        let time = microseconds.map_or_else(|| "does not fit".to_owned(), |time| format!("{time:.1}"));
        print_line(&format!("| {knob} | {setting} | {time} | {} |", if *chosen { "yes" } else { "" }))?;
    }
    Ok(())
}
