//! Tiles that were measured once on an adapter, kept in the platform's cache folder.

use super::device_options::Tuning;
use super::terminal::report;
use ffcl_gpu::Result;
use ffcl_gpu::config::TrainingConfig;
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::backend::GpuOptions;
use ffcl_gpu::gpu::context::Context;
use ffcl_gpu::gpu::tuning::{Effort, Tuned, tune};
use ffcl_gpu::kernels::tiles::Tiles;
use ffcl_gpu::output::whole_file::write_whole;
use ffcl_gpu::program::Plan;
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

/// The cached tiles. A file that cannot be read counts as empty: the tiles are measured again.
fn cached() -> Cache {
    let text = cache_file().and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Keeps tiles for the next run of their kind.
pub fn keep(key: String, tiles: Tiles) {
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
pub fn key(context: &Context, config: &TrainingConfig, plan: Option<Plan>) -> String {
    let class = |size: usize| size.next_power_of_two();
    let layers: Vec<_> = config.architecture.widths().into_iter().map(class).collect();
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

/// Warns of a driver that computes other numbers with other tiles.
pub fn warn_of_other_bits(tuned: &Tuned) {
    if tuned.differs {
        report(
            "warning: the fastest tiles compute other numbers than the built-in ones here, which they must not; the built-in ones stay. \
             `ffcl-gpu verify --every-tile` tells which kernels this driver gets wrong",
        );
    }
}
