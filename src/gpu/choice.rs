//! Which plan suits a run and an adapter.

use super::context::Context;
use crate::engine::Job;
use crate::error::{Error, Result};
use crate::kernels::tiles::Tiles;
use crate::kernels::{Launch, Operation, Pack};
use crate::program::{Plan, Programs, UNLABELLED, unfusible};

/// Above this width a layer's own tiles gain more than fewer dispatches: one workgroup would have to read all weights for a few
/// rows.
pub const MAX_FUSED_WIDTH: usize = 128;

/// Bytes that a kernel can see through one binding.
pub fn largest_buffer(context: &Context) -> u64 {
    context.limits.max_storage_buffer_binding_size.min(context.limits.max_buffer_size)
}

/// The plan to take, and its programs: `request`, if it is possible, or the one that suits. On a software adapter that is the layered
/// one: a dispatch costs little beside the work, and each layer gets the tile that suits it.
pub fn choose_plan(request: Option<Plan>, context: &Context, job: Job, tiles: &Tiles) -> Result<(Plan, Programs)> {
    let layered = || Ok((Plan::Layered, Programs::new(job, Plan::Layered, largest_buffer(context))?));
    let wanted = match request {
        Some(plan) => plan == Plan::Fused,
        None => !context.description.is_software(),
    };
    if !wanted {
        return layered();
    }
    let obstacle = match width_obstacle(job) {
        Some(obstacle) => obstacle,
        None => {
            let programs = Programs::new(job, Plan::Fused, largest_buffer(context))?;
            match limit_obstacle(context, &programs, tiles) {
                Some(obstacle) => obstacle,
                None => return Ok((Plan::Fused, programs)),
            }
        }
    };
    if request == Some(Plan::Fused) {
        let message = format!("--plan fused is not possible: {obstacle}; use --plan layered, or auto");
        return Err(Error::Configuration(message));
    }
    layered()
}

/// Whether a device has the workgroups that an operation's tile asks for.
pub fn fits(context: &Context, operation: &Operation, launch: Launch) -> bool {
    let (invocations, bytes) = operation.workgroup(launch).unwrap_or_default();
    bytes <= context.limits.max_compute_workgroup_storage_size
        && invocations <= context.limits.max_compute_invocations_per_workgroup
}

fn width_obstacle(job: Job) -> Option<String> {
    if let Some(reason) = unfusible(job.config) {
        return Some(reason.to_owned());
    }
    if !job.dataset.unlabelled.is_empty() {
        return Some(UNLABELLED.to_owned());
    }
    let widest = job.config.architecture.outputs().chain(job.config.projection()).max().unwrap_or(0);
    (widest > MAX_FUSED_WIDTH).then(|| format!("a layer is {widest} wide, above {MAX_FUSED_WIDTH}"))
}

fn limit_obstacle(context: &Context, programs: &Programs, tiles: &Tiles) -> Option<String> {
    let limits = &context.limits;
    let words = Pack::ALL.map(|pack| programs.pack_words(pack));
    let bytes = 4 * words.into_iter().max().unwrap_or(0) as u64;
    let exceeds = |what: &str, needed: u64, allowed: u64| {
        (needed > allowed).then(|| format!("it needs {needed} {what}, and this adapter allows {allowed}"))
    };
    let launch = Launch { tiles, slots: programs.slots };
    let of_operation = |operation: &Operation| {
        let (invocations, memory) = operation.workgroup(launch)?;
        let description = operation.describe();
        exceeds("bytes of workgroup memory", memory.into(), limits.max_compute_workgroup_storage_size.into())
            .or(exceeds("bytes of layers", description.parameters().len() as u64, limits.max_uniform_buffer_binding_size))
            .or(exceeds("invocations in a workgroup", invocations.into(), limits.max_compute_invocations_per_workgroup.into()))
            .or(exceeds(
                "storage buffers in a kernel",
                description.operands().len() as u64,
                limits.max_storage_buffers_per_shader_stage.into(),
            ))
    };
    exceeds("bytes in one buffer", bytes, largest_buffer(context))
        .or_else(|| programs.stages.iter().flatten().find_map(of_operation))
}
