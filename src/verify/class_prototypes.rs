//! Check of `shaders/class_prototypes.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator};
use crate::config::TrainingConfig;
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
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let (classes, views) = ([1, 2, 10, 65][(i + j) % 4], if i % 2 == 0 { Views::Replica } else { Views::Slot });
            let hidden = Layer::new(&Architecture::new(vec![2, width, classes])?, 0, batch_size, views);
            let layer = hidden.guide(classes, &TrainingConfig::default());
            let mut generator = generator(row.cases);
            let rows = activations(&mut generator, slots * batch_size, width, layer.input_stride(), false);
            // The last class is absent, wherever there are two.
            let present = (classes as u32 - 1).max(1);
            let labels: Vec<u32> = (0..views.count(slots) * batch_size).map(|_| generator.below(present)).collect();
            let mut actual = vec![0.0; slots * layer.weight_len()];
            let mut expected = exact(&actual);
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&layer)),
                Argument::Read(bytes(&rows)),
                Argument::Read(bytes(&labels)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            let groups = layer_groups(Kernel::ClassPrototypes, &layer, tiles, slots);
            run(context, row, &Variant::plain(Kernel::ClassPrototypes), &mut arguments, groups)?;
            row.cases += 1;
            for (slot, expected) in expected.chunks_exact_mut(layer.weight_len()).enumerate() {
                let rows = &rows[slot * layer.input_len()..][..layer.input_len()];
                let labels = &labels[(slot >> views.shift()) * batch_size..][..batch_size];
                cpu::class_prototypes::class_prototypes::<Bounding>(&layer, rows, labels, expected);
            }
            row.compare_all(&format!("{width} batch {batch_size} classes {classes}"), &actual, &expected);
        }
    }
    Ok(())
}
