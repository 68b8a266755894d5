//! What a GPU can do at best: the fastest of several plain matrix products, a chain of empty dispatches, a large copy.

use super::{Ceilings, seconds_of};
use crate::error::Result;
use crate::gpu::buffers::Allocator;
use crate::gpu::context::{Context, Pipeline};
use crate::gpu::span::Span;
use crate::kernels::forward::Forward;
use crate::kernels::tiles::{Tile, Tiles};
use crate::kernels::{Binding, Launch, Operation, Tensor};
use crate::layout::Linear;
use crate::waiting::wait;

/// Seconds that a measurement lasts at least.
const STRETCH: f64 = 0.1;
/// Bytes of the copy, where buffers may be so large.
const COPY: u64 = 256 << 20;
/// Dispatches in the chain of empty ones.
const CHAIN: usize = 256;

/// Register tiles tried besides those that training uses.
pub const MORE_TILES: [Tile; 5] =
    [Tile::new(8, 8, 4, 1), Tile::new(16, 8, 4, 1), Tile::new(16, 16, 4, 1), Tile::new(8, 16, 8, 2), Tile::new(16, 16, 8, 1)];

/// Measures all of it.
pub fn measure(context: &Context) -> Result<Ceilings> {
    let side: usize = if context.description.is_software() { 512 } else { 2048 };
    let flops = 2.0 * (side as f64).powi(3);
    let allocator = Allocator::new(context);

    let mut best = (0.0, String::new());
    let mut keep = |name: String, seconds: f64| {
        let gigaflops = flops / seconds * 1e-9;
        if gigaflops > best.0 {
            best = (gigaflops, name);
        }
    };
    for tile in tiles(context) {
        keep(tile_name(tile), register_tiled(context, &allocator, side, tile)?);
    }
    let text = format!("const SIDE: u32 = {side}u;\n{}", include_str!("../../shaders/ceiling/matmul_tiled.wgsl"));
    let pipeline = wait(context.build("matmul_tiled", &text, &[Binding::Read, Binding::Read, Binding::Write]))?;
    let buffers = [(); 3].map(|()| wait(allocator.storage("matrix", side * side)));
    let [left, right, products] = buffers;
    let tiles = (side / 64) as u32;
    let seconds = time(context, &pipeline, &[&left?, &right?, &products?], [tiles, tiles, 1], 1)?;
    keep("tiles of 64 × 64 in workgroup memory".into(), seconds);

    let pipeline = wait(context.build("empty", include_str!("../../shaders/ceiling/empty.wgsl"), &[Binding::Write]))?;
    let chain = time(context, &pipeline, &[&wait(allocator.storage("counters", 64))?], [1, 1, 1], CHAIN)?;
    let (matmul_gigaflops, matmul) = best;
    Ok(Ceilings {
        matmul_gigaflops,
        matmul,
        dispatch_microseconds: Some(1e6 * chain),
        copy_gigabytes: copy(context, &allocator)?,
    })
}

fn tiles(context: &Context) -> Vec<Tile> {
    let mut tiles: Vec<Tile> = Tiles::possible(context.subgroup_size).iter().flat_map(Tiles::forward_tiles).collect();
    tiles.extend(MORE_TILES);
    let mut distinct = Vec::new();
    for tile in tiles {
        if !distinct.contains(&tile) {
            distinct.push(tile);
        }
    }
    distinct
}

fn tile_name(tile: Tile) -> String {
    format!(
        "register tiles of {} × {}, {} × {} invocations{}",
        tile.rows,
        4 * tile.quads,
        tile.lanes_y,
        tile.lanes_x,
        if tile.shuffle { ", loads shuffled" } else { "" }
    )
}

/// Seconds of one product by the forward kernel without activation.
fn register_tiled(context: &Context, allocator: &Allocator, side: usize, tile: Tile) -> Result<f64> {
    let layer = Linear::new(side, side, side);
    let [inputs, weights, outputs] = [0, 1, 2].map(Tensor);
    let operation = Operation::from(Forward { layer, inputs, weights, outputs });
    let tiles = Tiles::GPU.with_forward(tile);
    let launch = Launch { tiles: &tiles, slots: 1 };
    let pipeline = wait(context.compile(&operation.variant(launch)))?;
    let buffers = [
        wait(allocator.uniform("layer", &operation.describe().parameters()))?,
        wait(allocator.storage("left", layer.input_len()))?,
        wait(allocator.storage("right", layer.weight_len()))?,
        wait(allocator.storage("products", layer.output_len()))?,
    ];
    time(context, &pipeline, &buffers.each_ref(), operation.describe().groups(launch), 1)
}

/// Seconds of one dispatch, `times` of them recorded a call.
fn time(context: &Context, pipeline: &Pipeline, buffers: &[&wgpu::Buffer], groups: [u32; 3], times: usize) -> Result<f64> {
    let spans: Vec<Span> = buffers.iter().map(|buffer| Span::whole(buffer)).collect();
    let bind_group = wait(context.bind(pipeline, &spans))?;
    let seconds = seconds_of(STRETCH, &mut |calls| {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            (0..calls * times).for_each(|_| pass.dispatch_workgroups(groups[0], groups[1], groups[2]));
        }
        wait(context.wait(context.submit(encoder.finish()), "measuring ceilings"))
    })?;
    Ok(seconds / times as f64)
}

/// Bytes read and written by a copy between buffers, in 10⁹ a second.
fn copy(context: &Context, allocator: &Allocator) -> Result<f64> {
    let bytes = COPY.min(context.limits.max_buffer_size).min(context.limits.max_storage_buffer_binding_size);
    let (from, to) =
        (wait(allocator.storage("copied", (bytes / 4) as usize))?, wait(allocator.storage("copy", (bytes / 4) as usize))?);
    let seconds = seconds_of(STRETCH, &mut |calls| {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        (0..calls).for_each(|_| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, from.size()));
        wait(context.wait(context.submit(encoder.finish()), "measuring ceilings"))
    })?;
    Ok(2.0 * from.size() as f64 / seconds * 1e-9)
}
