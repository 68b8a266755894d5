//! Check of `shaders/normalize_gradient.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, rows};
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
            // A hidden layer's rectified rows, and a projection's.
            for (unit, rectified) in [(true, true), (true, false), (false, true)] {
                let hidden = Layer::new(&Architecture::new(vec![2, width, 2])?, 0, batch_size, Views::Replica);
                let layer = Layer { rectified: u32::from(rectified), ..hidden };
                let mut generator = generator(row.cases);
                let outputs = activations(&mut generator, slots * batch_size, width, layer.output_stride(), rectified);
                let gradients = rows(&mut generator, slots * batch_size, width, layer.weight_stride());
                let mut actual = poison(slots * layer.delta_len());
                let mut arguments = [
                    Argument::Uniform(bytemuck::bytes_of(&layer)),
                    Argument::Read(bytes(&outputs)),
                    Argument::Read(bytes(&gradients)),
                    Argument::Write(bytes_mut(&mut actual)),
                ];
                let groups = layer_groups(Kernel::NormalizeGradient, &layer, tiles, slots);
                run(context, row, &Variant::normalize(Kernel::NormalizeGradient, tiles, unit), &mut arguments, groups)?;
                row.cases += 1;
                let mut expected = exact(&poison(slots * layer.delta_len()));
                for (slot, expected) in expected.chunks_exact_mut(layer.delta_len()).enumerate() {
                    let outputs = &outputs[slot * layer.output_len()..][..layer.output_len()];
                    let gradients = &gradients[slot * layer.delta_len()..][..layer.delta_len()];
                    cpu::normalize_gradient::normalize_gradient::<Bounding>(&layer, unit, outputs, gradients, expected);
                }
                let case = format!("{width} batch {batch_size} unit {unit} rectified {rectified}");
                row.compare_all(&case, &actual, &expected);
            }
        }
    }
    Ok(())
}
