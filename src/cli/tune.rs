//! `ffcl-gpu tune`.

use super::arguments::TuneOptions;
use super::session;
use super::terminal::print_line;
use super::tuning::{keep, key, warn_of_other_bits};
use ffcl_gpu::config::{Extent, Idle};
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::backend::GpuOptions;
use ffcl_gpu::gpu::tuning::{Candidate, Effort, tune};
use ffcl_gpu::program::blank_dataset;
use ffcl_gpu::{Error, Result};
use serde_json::json;

/// Times all candidates at length, prints them, and keeps the winners.
pub fn run(options: &TuneOptions) -> Result<()> {
    let config = options.options.check(Extent::default(), Idle::Refused(&options.options.given()))?;
    let dataset = blank_dataset(&config)?;
    let job = Job { config: &config, dataset: &dataset };
    let Some(context) = session::open_context(&options.device)? else {
        return Err(Error::Configuration("tune needs a GPU, but --device selected the CPU; use --device gpu".into()));
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
    print_line("")?;
    print_line("| kernels | tile | µs a step | chosen |")?;
    print_line("|---|---|---|---|")?;
    for Candidate { knob, setting, microseconds, chosen } in &tuned.candidates {
        let time = microseconds.map_or_else(|| "does not fit".to_owned(), |time| format!("{time:.1}"));
        print_line(&format!("| {knob} | {setting} | {time} | {} |", if *chosen { "yes" } else { "" }))?;
    }
    Ok(())
}
