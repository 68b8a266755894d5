//! What the compilers of real GPUs make of the kernels, without a GPU: Mesa's drivers compile for cards that are not there. Every kernel of
//! every recipe and plan, with the built-in tiles and with all that tuning may choose, must compile, and keep what it works on in
//! registers. Prints a table for each card, to compare versions of a kernel by; README.md, beside this folder, says what stands in it.
#![allow(unsafe_code)]

mod driver;
mod machine_code;

use clap::{Parser, ValueEnum};
use driver::{Driver, Outcome, Shader};
use ffcl_gpu::config::{Augmentation, HiddenLoss, Labelled, Method, Recipe, TrainingConfig, Trust, TrustOptions};
use ffcl_gpu::gpu::choice::MAX_FUSED_WIDTH;
use ffcl_gpu::kernels::case::SLOTS;
use ffcl_gpu::kernels::tiles::{Knob, Tiles};
use ffcl_gpu::kernels::{Kernel, Launch, Operation};
use ffcl_gpu::model::Architecture;
use ffcl_gpu::program::{Plan, Programs, fusible};
use machine_code::Code;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Waves that a SIMD should be able to hold at once, where nothing is tuned.
const OCCUPANCY: u64 = 6;

/// The argument that names the environment's device.
const HERE: &str = "here";

#[derive(Parser)]
#[command(about = "What the compilers of real GPUs make of the kernels, without a GPU")]
struct Options {
    /// Cards that RADV compiles for, by its own names; `here`: the device that the environment has chosen, whatever it is.
    #[arg(default_values = ["gfx1100", "navi21"])]
    families: Vec<String>,
    /// Keep the machine code in this folder.
    #[arg(long)]
    assembly: Option<PathBuf>,
}

/// A shader, and how it is met first.
struct Item {
    name: String,
    wgsl: String,
    groups: u64,
    built_in: bool,
}

/// Runs that together have every kernel.
fn runs() -> Vec<(String, TrainingConfig)> {
    let contrastive = || Recipe::Contrastive.config();
    let wide =
        || TrainingConfig { architecture: Architecture::dense(&[784, 1000, 1000, 1000, 10]), batch_size: 256, ..contrastive() };
    let trusting = |trust, config: TrainingConfig| TrainingConfig { trust: TrustOptions { trust, ..config.trust }, ..config };
    let few = || {
        let mut config = contrastive();
        config.few.labelled = Labelled::Drawn { count: 100, seed: 0 };
        config
    };
    let changed =
        || TrainingConfig { dropout: 0.2, augmentation: Augmentation { shift: 2, ..Augmentation::default() }, ..contrastive() };
    let mut runs: Vec<(String, TrainingConfig)> = Recipe::value_variants()
        .iter()
        .map(|recipe| (recipe.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default(), recipe.config()))
        .collect();
    let heads = || TrainingConfig { hidden_loss: HiddenLoss::HEAD, ..contrastive() };
    let more = [
        ("backprop", TrainingConfig { method: Method::Backprop, ..contrastive() }),
        ("trust partner", trusting(Trust::Partner, contrastive())),
        ("heads, trust output", trusting(Trust::Output, heads())),
        ("few labels", few()),
        ("dropout, shifts", changed()),
        ("128 wide", TrainingConfig { architecture: Architecture::dense(&[784, 128, 128, 10]), ..contrastive() }),
        ("wide", wide()),
        ("wide backprop", TrainingConfig { method: Method::Backprop, ..wide() }),
    ];
    runs.extend(more.map(|(name, config)| (name.to_owned(), config)));
    runs
}

/// Every shader, once.
fn items() -> Outcome<Vec<Item>> {
    let (mut items, mut met) = (Vec::new(), BTreeSet::new());
    let mut take = |name: &str, operation: &Operation, tiles: &Tiles, slots: usize, built_in: bool| {
        let launch = Launch { tiles, slots };
        let wgsl = operation.variant(launch).wgsl();
        if met.insert(wgsl.clone()) {
            let groups = operation.describe().groups(launch).iter().map(|&count| u64::from(count)).product();
            items.push(Item { name: format!("{name} {}", operation.kernel().name()), wgsl, groups, built_in });
        }
    };
    let mut kernels = Vec::new();
    let mut programs = Vec::new();
    for (name, config) in runs() {
        let fuses = fusible(&config) && config.architecture.outputs().all(|width| width <= MAX_FUSED_WIDTH);
        for plan in [Plan::Fused, Plan::Layered].into_iter().filter(|&plan| plan == Plan::Layered || fuses) {
            for replicas in [1, 32] {
                let config = TrainingConfig { replicas, ..config.clone() };
                let name = if replicas > 1 { format!("{name} x{replicas}, {plan}:") } else { format!("{name}, {plan}:") };
                programs.push((name, Programs::on_blank_images(&config, plan)?));
            }
        }
    }
    for (name, programs) in &programs {
        for operation in programs.operations() {
            kernels.push(operation.kernel());
            take(name, operation, &Tiles::GPU, programs.slots, true);
        }
    }
    for kernel in Kernel::ALL.into_iter().filter(|kernel| !kernels.contains(kernel)) {
        kernel.cases(&mut |case| {
            take("", &case.operation, &Tiles::GPU, SLOTS, true);
            Ok(())
        })?;
    }
    for tiles in Knob::ALL.into_iter().flat_map(|knob| Tiles::GPU.candidates(knob, None)) {
        let tuned = ["contrastive, fused:", "128 wide, fused:", "wide, layered:"];
        for (name, programs) in programs.iter().filter(|(name, _)| tuned.contains(&name.as_str())) {
            for operation in programs.stages.iter().flatten() {
                take(&format!("candidate, {name}"), operation, &tiles, programs.slots, false);
            }
        }
    }
    Ok(items)
}

/// A constant of a shader's text.
fn constant(wgsl: &str, name: &str) -> Option<u64> {
    let line = wgsl.lines().find_map(|line| line.strip_prefix("const ")?.strip_prefix(name)?.strip_prefix(": u32 = "))?;
    line.trim_end_matches("u;").parse().ok()
}

/// The shape of a tile, where there is one, and the fma of a step of its product.
fn tile(wgsl: &str) -> (String, u64, u64) {
    let get = |name| constant(wgsl, name);
    let rows = get("TILE_ROWS").or(get("TILE_INPUTS"));
    let (Some(x), Some(rows), Some(quads)) = (get("LANES_X"), rows, get("TILE_QUADS")) else { return (String::new(), 0, 0) };
    let lanes = [get("LANES_Y"), get("SPLITS"), get("TEAMS")].into_iter().flatten().map(|size| format!("x{size}"));
    let chunk = get("CHUNK").unwrap_or(0);
    let chunks = if chunk > 0 { format!(" chunk {chunk}") } else { String::new() };
    (format!("{x}{} {rows}x{quads}{chunks}", lanes.collect::<String>()), 16 * rows * quads, chunk)
}

/// What is wrong with a shader, if anything is.
fn fault(item: &Item, statistics: &[(String, u64)], driver: &str) -> Option<String> {
    let is_memory = |name: &str| ["spill", "fill", "scratch"].iter().any(|word| name.to_lowercase().contains(word));
    let spilled: Vec<String> = statistics
        .iter()
        .filter(|(name, value)| is_memory(name) && *value > 0)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let waves = statistics.iter().find(|(name, _)| name == "Subgroups per SIMD").map_or(OCCUPANCY, |&(_, waves)| waves);
    if !spilled.is_empty() && !EXCEPTIONS.iter().any(|exception| exception.covers(driver, item)) {
        Some(spilled.join(", "))
    } else if waves < OCCUPANCY && item.built_in {
        Some(format!("{waves} waves a SIMD, fewer than {OCCUPANCY}"))
    } else {
        None
    }
}

/// A shader that a driver compiles badly, known and borne.
struct Exception {
    driver: &'static str,
    kernel: &'static str,
    tile: &'static str,
}

impl Exception {
    fn covers(&self, driver: &str, item: &Item) -> bool {
        driver.contains(self.driver)
            && item.name.ends_with(&format!(" {}", self.kernel))
            && tile(&item.wgsl).0.starts_with(self.tile)
    }
}

const EXCEPTIONS: [Exception; 2] = [
    // Networks 128 wide with tiles for many rows.
    Exception { driver: "GFX1100), Mesa 22.3", kernel: "fused_forward", tile: "16x4x2 8x2" },
    Exception { driver: "GFX1100), Mesa 22.3", kernel: "fused_backward", tile: "16x8 8x2" },
];

/// Compiles all for the device that the environment names; prints the tables, and what is wrong.
fn compile_here(options: &Options) -> Outcome<bool> {
    let driver = Driver::open()?;
    let items = items()?;
    let shaders: Vec<Shader> = items
        .par_iter()
        .map(|item| Shader::of(&item.wgsl).map_err(|error| format!("{}: {error}", item.name).into()))
        .collect::<Outcome<_>>()?;
    let mut faults = Vec::new();
    let waves: &[Option<u32>] = if driver.name.contains("RADV") { &[Some(32), Some(64)] } else { &[None] };
    for &wave in waves {
        let lanes = wave.unwrap_or(32);
        println!("\n### {}{}\n", driver.name, wave.map(|lanes| format!(", waves of {lanes}")).unwrap_or_default());
        println!(
            "| shader | tile | waves a dispatch | VGPR | LDS | code | waves a SIMD | fma a round | vector instructions a step | clocks a step | straight | loops |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
        let compiled: Vec<_> = shaders.par_iter().map(|shader| driver.compile(shader, wave)).collect();
        for (number, ((item, shader), compiled)) in items.iter().zip(&shaders).zip(compiled).enumerate() {
            let pipeline = match compiled {
                Ok(pipeline) => pipeline,
                Err(error) => {
                    faults.push(format!("{}: {error}", item.name));
                    continue;
                }
            };
            let (tile, step, chunk) = tile(&item.wgsl);
            if let Some(folder) = &options.assembly {
                let folder = folder.join(driver.name.replace([' ', '/'], "-")).join(lanes.to_string());
                std::fs::create_dir_all(&folder)?;
                let name = format!("{number:03} {} {tile}", item.name).replace([' ', ','], "_").replace(':', "");
                std::fs::write(folder.join(format!("{name}.s")), &pipeline.assembly)?;
                std::fs::write(folder.join(format!("{name}.wgsl")), &item.wgsl)?;
            }
            let code = Code::parse(&pipeline.assembly, lanes);
            let product = if step > 0 { code.product(step, chunk) } else { None };
            let product = product.map_or("| |".to_owned(), |product| {
                format!("{} | {:.1} | {:.0}", product.round.fma, product.vector, product.latency)
            });
            let loops =
                code.rounds().iter().map(|(depth, cost)| format!("{}{}", "·".repeat(*depth), cost.latency)).collect::<Vec<_>>();
            let get = |names: [&str; 2]| {
                names.iter().find_map(|name| pipeline.statistic(name)).map(|value| value.to_string()).unwrap_or_default()
            };
            println!(
                "| {} | {tile} | {} | {} | {} | {} | {} | {product} | {} | {} |",
                item.name,
                item.groups * u64::from(shader.threads.div_ceil(lanes)),
                get(["VGPRs", "GPRs"]),
                get(["LDS size", "Shared size"]),
                get(["Code size", "Code Size"]),
                get(["Subgroups per SIMD", "Max warps/SM"]),
                code.straight().latency,
                loops.join(" "),
            );
            if let Some(fault) = fault(item, &pipeline.statistics, &driver.name) {
                faults.push(format!("{}, waves of {lanes}: {} {tile}: {fault}", driver.name, item.name));
            }
        }
    }
    println!("\n{} shaders, {} faults", items.len(), faults.len());
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(faults.is_empty())
}

/// Compiles in a process for each card, since a driver looks at the environment once.
fn compile_for_families(options: &Options) -> Outcome<bool> {
    let folder = "/usr/share/vulkan/icd.d";
    let driver = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_radv = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd"));
    let Some(driver) = driver.into_iter().find(is_radv) else {
        let message = format!("{folder} has no radeon_icd*.json; install mesa-vulkan-drivers (Debian 12 or 13)");
        if std::env::var_os("FFCL_REQUIRE_GPU").is_some() {
            return Err(message.into());
        }
        println!("left out: {message}");
        return Ok(true);
    };
    let mut good = true;
    for family in &options.families {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(HERE);
        if let Some(folder) = &options.assembly {
            command.arg("--assembly").arg(folder);
        }
        let environment = [("VK_DRIVER_FILES", driver.as_path()), ("VK_ICD_FILENAMES", driver.as_path())];
        good &= command.envs(environment).env("RADV_FORCE_FAMILY", family).env("NODEVICE_SELECT", "1").status()?.success();
    }
    Ok(good)
}

fn main() -> ExitCode {
    let options = Options::parse();
    match if options.families == [HERE] { compile_here(&options) } else { compile_for_families(&options) } {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
