//! Check of `shaders/normalize.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, scale_a_row};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Layer, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    let slots = 2 * REPLICAS;
    for width in SIZES {
        for batch_size in BATCHES {
            for unit in [true, false] {
                let layer = Layer::new(&Architecture::new(vec![2, width, 2])?, 0, batch_size, Views::Replica);
                let mut rows = activations(&mut generator(row.cases), slots * batch_size, width, layer.output_stride(), !unit);
                scale_a_row(&mut rows, layer.output_stride(), width, 1e15);
                let mut actual = poison(slots * layer.output_len());
                let mut arguments = [
                    Argument::Uniform(bytemuck::bytes_of(&layer)),
                    Argument::Read(bytes(&rows)),
                    Argument::Write(bytes_mut(&mut actual)),
                ];
                let groups = layer_groups(Kernel::Normalize, &layer, tiles, slots);
                run(context, row, &Variant::normalize(Kernel::Normalize, tiles, unit), &mut arguments, groups)?;
                row.cases += 1;
                let mut expected = exact(&poison(slots * layer.output_len()));
                for (rows, expected) in rows.chunks_exact(layer.output_len()).zip(expected.chunks_exact_mut(layer.output_len())) {
                    cpu::normalize::normalize::<Bounding>(&layer, unit, rows, expected);
                }
                row.compare_all(&format!("{width} batch {batch_size} unit {unit}"), &actual, &expected);
            }
        }
    }
    Ok(())
}
