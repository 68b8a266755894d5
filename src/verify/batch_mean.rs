//! Check of `shaders/batch_mean.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison};
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
            let layer = Layer::new(&Architecture::new(vec![2, width, 2])?, 0, batch_size, Views::Replica);
            let rows = activations(&mut generator(row.cases), slots * batch_size, width, layer.output_stride(), true);
            let mut actual = poison(slots * layer.weight_stride());
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&layer)),
                Argument::Read(bytes(&rows)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            let groups = layer_groups(Kernel::BatchMean, &layer, tiles, slots);
            run(context, row, &Variant::plain(Kernel::BatchMean), &mut arguments, groups)?;
            row.cases += 1;
            for (slot, actual) in actual.chunks_exact(layer.weight_stride()).enumerate() {
                let mut expected = exact(&poison(layer.weight_stride()));
                cpu::batch_mean::batch_mean::<Bounding>(
                    &layer,
                    &rows[slot * layer.output_len()..][..layer.output_len()],
                    &mut expected,
                );
                row.compare_all(&format!("{width} batch {batch_size} slot {slot}"), &actual[..width], &expected[..width]);
            }
        }
    }
    Ok(())
}
