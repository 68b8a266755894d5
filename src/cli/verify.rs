//! `ffcl-gpu verify`.

use super::arguments::VerifyOptions;
use super::session;
use super::terminal::print_line;
use clap::ValueEnum;
use ffcl_gpu::Result;
use ffcl_gpu::config::{Extent, HiddenLoss, Idle, Method, Recipe, RunOptions, TrainingConfig};
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::error::Error;
use ffcl_gpu::kernels::Kernel;
use ffcl_gpu::output::picture;
use ffcl_gpu::program::Plan;
use ffcl_gpu::verify::{Row, Sweep, drift, drift_plot, kernel, steps};
use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

/// Steps of the longest comparison.
const LONGEST: usize = 100;

pub fn run(options: &VerifyOptions) -> Result<ExitCode> {
    let Some(context) = session::open_context(&options.device)? else {
        return Err(Error::Device(
            "verify compares a GPU adapter with the CPU, but --device selected the CPU; use --device gpu, an index or a name"
                .into(),
        ));
    };
    if let Some(path) = &options.drift {
        drop(context);
        return follow(options, path);
    }
    if !options.json {
        print_line(&context.description.to_string())?;
        print_line("")?;
        print_line(&format!(
            "{:<46} {:>6} {:>6} {:>9} {:>11} {:>11} {:>9}",
            "check", "cases", "reruns", "values", "worst error", "tolerance", "ratio"
        ))?;
    }
    let mut passed = true;
    let mut print = |row: &Row| {
        passed &= row.passed;
        show(row, options.json)
    };
    let sweep = if options.every_tile { Sweep::Whole } else { Sweep::for_device(&context.description) };
    for each in Kernel::ALL {
        print(&kernel(&context, each, sweep)?)?;
    }
    drop(context);
    let paper = TrainingConfig { seed: 1, ..Recipe::Paper.config() };
    let contrastive = TrainingConfig { seed: 1, ..Recipe::Contrastive.config() };
    let backprop = TrainingConfig { method: Method::Backprop, ..contrastive.clone() };
    let heads = TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..contrastive.clone() };
    let runs = [
        ("paper, fused", &paper, Plan::Fused),
        ("paper, layered", &paper, Plan::Layered),
        ("contrastive", &contrastive, Plan::Layered),
        ("backprop", &backprop, Plan::Layered),
        ("heads", &heads, Plan::Layered),
    ];
    for (name, config, plan) in runs {
        let rows = steps::check(config, LONGEST, &|job| {
            let backend = session::open_gpu(&options.device, Some(plan), job)?;
            Ok(Box::new(backend.ok_or_else(|| Error::Device("the adapter is gone; see `ffcl-gpu devices`".into()))?))
        })?;
        for row in rows {
            print(&Row { name: format!("{name}: {}", row.name), ..row })?;
        }
    }
    if !options.json {
        print_line("")?;
        print_line(if passed { "all checks passed" } else { "some checks FAILED" })?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An epoch, step by step.
fn follow(options: &VerifyOptions, path: &Path) -> Result<ExitCode> {
    picture::check_path(path, "--drift")?;
    let dataset = options.data.load(options.json)?;
    let config = RunOptions { recipe: Some(options.recipe), ..RunOptions::default() };
    let prepared = config.on(Cow::Owned(dataset), Extent::default(), Idle::Refused(&[]))?;
    let job = prepared.job();
    job.check()?;
    let device = session::describe(&options.device)?;
    if !options.json {
        print_line(&device.to_string())?;
        print_line("")?;
        print_line(&format!("{:>6} {:>11} {:>11} {:>11} {:>11}", "step", "movement", "device", "f32 twins", "allowed"))?;
    }
    let open = |job: Job| -> Result<Box<dyn Backend>> { session::reopen(&options.device, None, job) };
    let (row, points) = drift::measure(job, &open, &mut |point| match options.json {
        true => print_line(&serde_json::json!(point).to_string()),
        false => print_line(&format!(
            "{:>6} {:>11.2e} {:>11.2e} {:>11.2e} {:>11.2e}",
            point.step, point.movement, point.device, point.single, point.bound
        )),
    })?;
    let recipe = options.recipe.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let title = format!("{} on {}, recipe {recipe}", device.name, job.dataset.name);
    drift_plot::write(path, &points, &title)?;
    if !options.json {
        print_line("")?;
        print_line(if row.passed { "all within what rounding allows" } else { "the drift is MORE than rounding" })?;
        print_line(&format!("picture  {}", path.display()))?;
    }
    Ok(if row.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(row: &Row, json: bool) -> Result<()> {
    if json {
        return print_line(&serde_json::json!(row).to_string());
    }
    print_line(&format!(
        "{:<46} {:>6} {:>6} {:>9} {:>11.2e} {:>11.2e} {:>9.3}  {}",
        row.name,
        row.cases,
        row.reruns,
        row.values,
        row.worst_error,
        row.worst_tolerance,
        row.worst,
        if row.passed { "ok" } else { "FAIL" }
    ))?;
    if !row.passed {
        print_line(&format!("    worst at {}", row.worst_at))?;
    }
    Ok(())
}
