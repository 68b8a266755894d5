//! `ffcl-gpu bench`.

use super::arguments::{BenchOptions, Compared};
use super::session;
use super::terminal::print_line;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::bench::regimes::{BenchRecipe, GROUPS, Regime, all};
use ffcl_gpu::bench::{Ceilings, Make, Measurement, Misfit, cpu_ceilings, gpu_ceilings, measure, scaling_plot};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, DeviceDescription, Job};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::gpu::profile::profile;
use ffcl_gpu::layout::Step;
use ffcl_gpu::output::picture;
use ffcl_gpu::program::Plan;
use ffcl_gpu::verify::steps;
use serde_json::json;
use std::ops::ControlFlow::Continue;

pub fn run(options: &BenchOptions) -> Result<()> {
    let regimes = chosen(&options.regimes, &options.recipe)?;
    if let Some(path) = &options.plot {
        picture::check_path(path, "--plot")?;
    }
    let device = session::describe(&options.device)?;
    let on_gpu = device.kind != "cpu";
    if !on_gpu
        && (options.profile || options.plan.plan().is_some() || options.compare.iter().any(|&other| other != Compared::Cpu))
    {
        return Err(Error::Configuration(
            "--plan and --profile need a GPU, but --device selected the CPU; remove them or use --device gpu".into(),
        ));
    }
    check_parity(options)?;
    let table = Table { device: &device, json: options.json };
    table.head()?;
    if options.profile {
        return regimes.iter().try_for_each(|regime| show_profile(options, regime));
    }
    let ceilings = match session::open_context(&options.device)? {
        Some(context) => gpu_ceilings::measure(&context)?,
        None => cpu_ceilings::measure()?,
    };
    table.ceilings(&ceilings)?;

    let gpu = |plan: Option<Plan>| {
        move |job: Job| -> Result<Box<dyn Backend>> {
            let backend = session::open_gpu(&options.device, plan, job)?;
            Ok(Box::new(backend.ok_or_else(|| Error::Device("the adapter is gone; see `ffcl-gpu devices`".into()))?))
        }
    };
    let cpu = |job: Job| -> Result<Box<dyn Backend>> { Ok(Box::new(CpuBackend::<Blocked>::new(job)?)) };
    let (main, fused, layered) = (gpu(options.plan.plan()), gpu(Some(Plan::Fused)), gpu(Some(Plan::Layered)));
    let mut makers: Vec<(String, &Make)> = Vec::new();
    makers.push(match (on_gpu, options.plan.plan()) {
        (false, _) => ("cpu".into(), &cpu as &Make),
        (true, None) => ("gpu".into(), &main),
        (true, Some(plan)) => (format!("gpu {plan}"), &main),
    });
    for other in &options.compare {
        let maker: (String, &Make) = match other {
            Compared::Cpu => ("cpu".into(), &cpu),
            Compared::Fused => ("gpu fused".into(), &fused),
            Compared::Layered => ("gpu layered".into(), &layered),
        };
        // Nobody races itself.
        if makers.iter().all(|(name, _)| *name != maker.0) {
            makers.push(maker);
        }
    }
    let mut measurements = Vec::new();
    for regime in &regimes {
        let results = measure(regime, &makers)?;
        let first = results.iter().flatten().next().cloned();
        for result in results {
            match (result, &first) {
                (Ok(measurement), Some(first)) => {
                    table.row(&measurement, &ceilings, first)?;
                    measurements.push(measurement);
                }
                (Err(misfit), _) => table.misfit(regime, &misfit)?,
                (Ok(_), None) => {}
            }
        }
    }
    if let Some(path) = &options.plot {
        scaling_plot::write(path, &measurements, &device.to_string())?;
    }
    Ok(())
}

fn chosen(names: &[String], recipes: &[BenchRecipe]) -> Result<Vec<Regime>> {
    let regimes: Vec<Regime> = recipes.iter().flat_map(|&recipe| all(recipe)).collect();
    let fits = |regime: &Regime, name: &str| name == "all" || name == regime.name || name == regime.group;
    match names.iter().find(|name| regimes.iter().all(|regime| !fits(regime, name))) {
        Some(unknown) => {
            let groups = GROUPS.join(", ");
            Err(Error::Configuration(format!(
                "--regimes names '{unknown}'; there are {groups}, their members such as replicas-8, and all"
            )))
        }
        None => {
            // By the order of the groups, so that recipes stand side by side.
            let mut regimes: Vec<Regime> =
                regimes.into_iter().filter(|regime| names.iter().any(|name| fits(regime, name))).collect();
            regimes.sort_by_key(|regime| (GROUPS.iter().position(|group| *group == regime.group), regime.variable));
            Ok(regimes)
        }
    }
}

/// Checks every plan that is measured against the CPU first: the speed of wrong results is worthless.
fn check_parity(options: &BenchOptions) -> Result<()> {
    let compared = options.compare.iter().filter_map(|other| match other {
        Compared::Cpu => None,
        Compared::Fused => Some(Some(Plan::Fused)),
        Compared::Layered => Some(Some(Plan::Layered)),
    });
    let plans = std::iter::once(options.plan.plan()).chain(compared);
    for (plan, recipe) in plans.flat_map(|plan| options.recipe.iter().map(move |recipe| (plan, recipe))) {
        let rows = steps::check(&recipe.config(), 10, &|job| {
            Ok(match session::open_gpu(&options.device, plan, job)? {
                Some(backend) => Box::new(backend) as Box<dyn Backend>,
                None => Box::new(CpuBackend::<Blocked>::new(job)?),
            })
        })?;
        if let Some(row) = rows.iter().find(|row| !row.passed) {
            return Err(Error::Gpu {
                during: "checking parity before the benchmark".into(),
                problem: format!("{} differ: {}; run `ffcl-gpu verify` for details", row.name, row.worst_at),
            });
        }
    }
    Ok(())
}

fn show_profile(options: &BenchOptions, regime: &Regime) -> Result<()> {
    const STEPS: usize = 16;
    let config = regime.config();
    let dataset = digits::generate_with_counts(digits::SEED, regime.batch_size.max(1024), 16);
    let job = Job { config: &config, dataset: &dataset };
    let Some(mut backend) = session::open_gpu(&options.device, options.plan.plan(), job)? else { return Ok(()) };
    backend.set_parameters(&config.initial_parameters()?)?;
    backend.begin_epoch(1)?;
    let steps: Vec<Step> = (1..=STEPS).map(|time| Step::new(0, config.batch_size, &config.adam, time as u64)).collect();
    // Warm-up: drivers finish compiling when a kernel first runs.
    backend.train(&steps[..1], &mut |_| Continue(()))?;
    backend.end_epoch()?;
    let times = profile(&mut backend, &steps)?;
    let total: f64 = times.iter().map(|time| time.microseconds).sum();
    if !options.json {
        print_line(&format!(
            "{} {} ({} plan), {total:.1} µs in {} dispatches",
            regime.recipe.name(),
            regime.name,
            backend.plan(),
            times.len()
        ))?;
    }
    for time in times {
        if options.json {
            let mut line = json!(time);
            line["regime"] = regime.name.clone().into();
            line["recipe"] = json!(regime.recipe);
            line["plan"] = json!(backend.plan());
            print_line(&line.to_string())?;
        } else {
            let share = 100.0 * time.microseconds / total;
            print_line(&format!("    {:<16} {:>12.1} µs {share:>6.1} %", time.kernel, time.microseconds))?;
        }
    }
    Ok(())
}

/// How results are printed.
struct Table<'a> {
    device: &'a DeviceDescription,
    json: bool,
}

impl Table<'_> {
    fn head(&self) -> Result<()> {
        if self.json {
            return Ok(());
        }
        print_line(&format!("device    {}", self.device))?;
        if self.device.is_software() {
            print_line("          a software adapter: GPUs have other speeds")?;
        }
        if cfg!(debug_assertions) {
            print_line("          a debug build: use --release")?;
        }
        print_line("parity    ok, 10 steps against the CPU twins")
    }

    fn ceilings(&self, ceilings: &Ceilings) -> Result<()> {
        if self.json {
            let mut line = json!({ "ceilings": ceilings });
            line["device"] = json!(self.device);
            return print_line(&line.to_string());
        }
        print_line(&format!("ceilings  {:.1} GFLOP/s plain matrix product ({})", ceilings.matmul_gigaflops, ceilings.matmul))?;
        if let Some(microseconds) = ceilings.dispatch_microseconds {
            print_line(&format!("          {microseconds:.2} µs a dependent empty dispatch"))?;
        }
        print_line(&format!("          {:.1} GB/s copy (read + written)", ceilings.copy_gigabytes))?;
        print_line("")?;
        print_line(
            "| recipe | regime | on | ms a step | ± MAD | images/s | ratio | GFLOP/s | of matmul | dispatches | of latency | MB a step | of copy | MiB |",
        )?;
        print_line("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    }

    fn row(&self, measurement: &Measurement, ceilings: &Ceilings, first: &Measurement) -> Result<()> {
        // The ceilings are those of the device measured, not of what stands beside it.
        let same = measurement.contestant.starts_with("gpu") == first.contestant.starts_with("gpu");
        let shares = if same { measurement.shares(ceilings) } else { [None; 3] };
        let ratio = measurement.images_per_second / first.images_per_second;
        if self.json {
            let mut line = json!(measurement);
            line["device"] = json!(self.device);
            line["software"] = self.device.is_software().into();
            line["ratio"] = ratio.into();
            line["share_of_matmul"] = json!(shares[0]);
            line["share_of_latency"] = json!(shares[1]);
            line["share_of_copy"] = json!(shares[2]);
            return print_line(&line.to_string());
        }
        let [matmul, latency, copy] = shares.map(|share| share.map_or("".into(), |share| format!("{:.1} %", 100.0 * share)));
        let dispatches = measurement.dispatches_per_step.map_or("".into(), |count| count.to_string());
        print_line(&format!(
            "| {} | {} | {} | {:.3} | {:.3} | {:.0} | {ratio:.2} | {:.2} | {matmul} | {dispatches} | {latency} | {:.2} | {copy} | {:.1} |",
            measurement.recipe.name(),
            measurement.regime,
            measurement.contestant,
            measurement.milliseconds_per_step,
            measurement.deviation,
            measurement.images_per_second,
            measurement.gigaflops,
            measurement.bytes_per_step * 1e-6,
            measurement.memory_mib
        ))
    }

    fn misfit(&self, regime: &Regime, misfit: &Misfit) -> Result<()> {
        let Misfit { contestant, error } = misfit;
        if self.json {
            let line = json!({ "recipe": regime.recipe, "regime": regime.name, "contestant": contestant, "device": self.device, "error": error.to_string() });
            return print_line(&line.to_string());
        }
        print_line(&format!(
            "| {} | {} | {contestant} | does not fit: {error} | | | | | | | | | | |",
            regime.recipe.name(),
            regime.name
        ))
    }
}
