//! Check of `shaders/softmax.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes_mut, exact, generator, scale_a_row};
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
    for classes in SIZES {
        for batch_size in BATCHES {
            let layer = Layer::new(&Architecture::new(vec![3, classes])?, 0, batch_size, Views::Replica);
            let rows = slots * batch_size;
            let mut actual = activations(&mut generator(row.cases), rows, classes, layer.output_stride(), false);
            scale_a_row(&mut actual, layer.output_stride(), classes, 1e30);
            let mut expected = exact(&actual);
            cpu::softmax::softmax::<Bounding>(&layer, &mut expected);
            let mut arguments = [Argument::Uniform(bytemuck::bytes_of(&layer)), Argument::Write(bytes_mut(&mut actual))];
            let groups = layer_groups(Kernel::Softmax, &layer, tiles, slots);
            run(context, row, &Variant::plain(Kernel::Softmax), &mut arguments, groups)?;
            row.cases += 1;
            row.compare_all(&format!("{classes} classes batch {batch_size}"), &actual, &expected);
        }
    }
    Ok(())
}
