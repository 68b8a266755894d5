//! Small runs, and how one is made on a backend.

use crate::adapter::context;
use crate::harness::Device;
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{FewLabels, Labelled, Recipe, TrainingConfig, Trust, TrustOptions, TrustRate};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::Dataset;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::kernels::tiles::{Knob, Tiles};
use ffcl_gpu::model::{Architecture, Parameters};
use ffcl_gpu::program::Plan;
use ffcl_gpu::train::{Event, ReplicaReport, train};
use std::ops::ControlFlow::Continue;

pub fn small() -> TrainingConfig {
    TrainingConfig { epochs: 2, ..small_run_of(Recipe::Paper) }
}

pub fn small_run_of(recipe: Recipe) -> TrainingConfig {
    let recipe = recipe.config();
    TrainingConfig { architecture: Architecture::dense(&[784, 33, 17, 10]), epochs: 3, batch_size: 30, seed: 5, ..recipe }
}

/// Images are selected from the second step on.
pub fn trusting(trust: Trust, trust_rate: TrustRate) -> TrustOptions {
    TrustOptions { trust, trust_rate, trust_ramp: 1 }
}

/// Most images without labels, and answers soon taken for theirs.
pub fn few(count: usize, pseudo_threshold: f64) -> FewLabels {
    FewLabels { labelled: Labelled::Drawn { count, seed: 0 }, pseudo_threshold, pseudo_ramp: 1 }
}

/// Trains and returns the parameters and each epoch's reports.
pub fn run(backend: &mut dyn Backend, job: Job) -> (Parameters, Vec<Vec<ReplicaReport>>) {
    backend.set_parameters(&Parameters::initialize(&job.config.architecture, job.config.seed, job.config.replicas)).unwrap();
    let mut reports = Vec::new();
    let outcome = train(job, backend, &mut |event| {
        if let Event::Epoch(epoch) = event {
            reports.push(epoch.to_vec());
        }
        Ok(Continue(()))
    });
    (outcome.unwrap().parameters, reports)
}

/// The shapes of tiles that whole runs are tested with: on software adapters the smallest that tuning tries, which compile several times as
/// fast. Kernels are compared with every shape, and no shape changes a bit.
pub fn quick_tiles(context: &Context) -> Tiles {
    let given = Tiles::for_device(&context.description, context.subgroup_size);
    if context.description.is_software() { smallest_tiles(given, context) } else { given }
}

/// Each shape of a set as the first other one that tuning tries.
pub fn smallest_tiles(tiles: Tiles, context: &Context) -> Tiles {
    Knob::ALL.into_iter().fold(tiles, |tiles, knob| tiles.candidates(knob, context.subgroup_size)[1])
}

pub fn run_gpu(
    config: &TrainingConfig,
    dataset: &Dataset,
    options: &ContextOptions,
    plan: Plan,
) -> (Parameters, Vec<Vec<ReplicaReport>>) {
    let context = context(options);
    let gpu = GpuOptions { plan: Some(plan), tiles: quick_tiles(&context) };
    let job = Job { config, dataset };
    run(&mut GpuBackend::new(job, context, gpu).unwrap(), job)
}

/// A backend of the device, for a GPU with the plan that suits it or the one that is given.
pub fn open(device: Device, plan: Option<Plan>, job: Job) -> Box<dyn Backend> {
    match device {
        Device::Cpu => Box::new(CpuBackend::<Blocked>::new(job).unwrap()),
        Device::Gpu => {
            let context = context(&ContextOptions::default());
            let options = GpuOptions { plan, tiles: quick_tiles(&context) };
            Box::new(GpuBackend::new(job, context, options).unwrap())
        }
    }
}

/// Everything but the times.
pub fn numbers(reports: &[Vec<ReplicaReport>]) -> Vec<Vec<ReplicaReport>> {
    let timeless = |report: &ReplicaReport| ReplicaReport { seconds: 0.0, samples_per_second: 0.0, ..report.clone() };
    reports.iter().map(|epoch| epoch.iter().map(timeless).collect()).collect()
}
