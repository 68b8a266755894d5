//! Which plan suits a run and an adapter.

use super::context::Context;
use super::kernels::{Binding, source};
use super::resident::largest_buffer;
use super::tiles::FusedTile;
use crate::config::TrainingConfig;
use crate::error::{Error, Result};
use crate::layout::{Joined, Layer};
use crate::plan::{Kernel, Plan, fusible};

/// Above this width a layer's own tiles gain more than fewer dispatches: one workgroup would have to read all weights for a few
/// rows.
pub const MAX_FUSED_WIDTH: u32 = 128;

/// The plan to take: `request`, if it is possible, or the one that suits. On a software adapter that is the layered one: a dispatch
/// costs little beside the work, and each layer gets the tile that suits it.
pub fn choose_plan(
    request: Option<Plan>,
    context: &Context,
    config: &TrainingConfig,
    layers: &[Layer],
    joined: Joined,
    tile: FusedTile,
) -> Result<Plan> {
    let obstacle = if fusible(config) {
        obstacle(context, layers, joined, tile)
    } else {
        Some("it computes the plain cosine loss of --method local only, without --centre and --normalize".to_owned())
    };
    match (request, obstacle) {
        (Some(Plan::Layered), _) | (None, Some(_)) => Ok(Plan::Layered),
        (None, None) if context.description.is_software() => Ok(Plan::Layered),
        (_, None) => Ok(Plan::Fused),
        (Some(Plan::Fused), Some(reason)) => {
            Err(Error::Configuration(format!("--plan fused is not possible: {reason}; use --plan layered, or auto")))
        }
    }
}

fn obstacle(context: &Context, layers: &[Layer], joined: Joined, tile: FusedTile) -> Option<String> {
    let limits = &context.limits;
    let widest = layers.iter().map(|layer| layer.output_width).max().unwrap_or(0);
    if widest > MAX_FUSED_WIDTH {
        return Some(format!("a layer is {widest} wide, above {MAX_FUSED_WIDTH}"));
    }
    let bytes = 4 * joined.weights.max(joined.activations).max(joined.deltas) as u64;
    let exceeds = |what: &str, needed: u64, allowed: u64| {
        (needed > allowed).then(|| format!("it needs {needed} {what}, and this adapter allows {allowed}"))
    };
    let bindings = source(Kernel::FusedForward).bindings.iter().filter(|kind| matches!(kind, Binding::Read | Binding::Write));
    exceeds("bytes in one buffer", bytes, largest_buffer(context))
        .or(exceeds(
            "bytes of workgroup memory",
            tile.workgroup_bytes(layers).into(),
            limits.max_compute_workgroup_storage_size.into(),
        ))
        .or(exceeds("bytes of layers", size_of_val(layers) as u64, limits.max_uniform_buffer_binding_size))
        .or(exceeds("invocations in a workgroup", tile.threads().into(), limits.max_compute_invocations_per_workgroup.into()))
        .or(exceeds("storage buffers in a kernel", bindings.count() as u64, limits.max_storage_buffers_per_shader_stage.into()))
}
