//! `ffcl-gpu bench`.

use super::arguments::BenchOptions;
use super::{print_line, session};
use ffcl_gpu::bench::{Measurement, REGIMES, measure};
use ffcl_gpu::config::TrainingConfig;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::verify::steps;

pub fn run(options: &BenchOptions) -> Result<()> {
    let chosen: Vec<_> =
        REGIMES.iter().filter(|regime| options.regimes.is_empty() || options.regimes.contains(&regime.name.to_owned())).collect();
    if let Some(unknown) = options.regimes.iter().find(|name| REGIMES.iter().all(|regime| regime.name != **name)) {
        let names: Vec<_> = REGIMES.iter().map(|regime| regime.name).collect();
        return Err(Error::Configuration(format!("--regimes names {unknown}; there are {}", names.join(", "))));
    }
    // A speed of wrong results is worth nothing: parity first.
    let device = session::describe(&options.device.device)?;
    let rows = steps::check(&TrainingConfig::default(), 10, &|job| session::open_quietly(&options.device.device, job))?;
    if let Some(row) = rows.iter().find(|row| !row.passed) {
        return Err(Error::Gpu {
            during: "checking parity before the benchmark".into(),
            problem: format!("{} differ: {}; run `ffcl-gpu verify` for details", row.name, row.worst_at),
        });
    }
    if !options.json {
        print_line(&format!("device  {device}"))?;
        if device.is_software() {
            print_line("        a software adapter: these speeds say nothing about GPUs")?;
        }
        if cfg!(debug_assertions) {
            print_line("        a debug build: use --release")?;
        }
        print_line("parity  ok, 10 steps against the CPU twins\n")?;
        print_line("| regime | ms a step | ± MAD | images/s | GFLOP/s | MiB |")?;
        print_line("|---|---|---|---|---|---|")?;
    }
    for regime in chosen {
        match measure(regime, |job| session::open_quietly(&options.device.device, job)) {
            Ok(measurement) => show(&measurement, &device, options.json)?,
            // What does not fit one adapter must not hide the other regimes.
            Err(error @ Error::Limit { .. }) if !options.json => {
                print_line(&format!("| {} | does not fit: {error} | | | | |", regime.name))?;
            }
            Err(error @ Error::Limit { .. }) => {
                print_line(
                    &serde_json::json!({ "regime": regime.name, "device": device, "error": error.to_string() }).to_string(),
                )?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn show(measurement: &Measurement, device: &ffcl_gpu::engine::DeviceDescription, json: bool) -> Result<()> {
    if json {
        let mut line = serde_json::json!(measurement);
        line["device"] = serde_json::json!(device);
        line["software"] = device.is_software().into();
        return print_line(&line.to_string());
    }
    print_line(&format!(
        "| {} | {:.3} | {:.3} | {:.0} | {:.2} | {:.1} |",
        measurement.regime,
        measurement.milliseconds_per_step,
        measurement.deviation,
        measurement.images_per_second,
        measurement.gigaflops,
        measurement.memory_mib
    ))
}
