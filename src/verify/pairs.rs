//! Check of `shaders/pairs.wgsl`: integers, so equal or wrong.

use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, bytes, bytes_mut, generator};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Layer, Pairs, Step, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    let slots = 2 * REPLICAS;
    // Seeds beside a carry into the upper word, where replicas must not collide.
    for seed in [3, u64::from(u32::MAX), u64::MAX] {
        for views in [Views::Replica, Views::Slot] {
            for batch_size in BATCHES {
                // One class, two, ten, and nearly one for each row.
                for classes in [1, 2, 10, 65] {
                    let layer = Layer::new(&Architecture::new(vec![2, 3, 2])?, 0, batch_size, views);
                    let shape = Pairs::new(seed, &layer);
                    let step = Step { first_row: 3 * batch_size as u32, epoch: 2, ..Step::default() };
                    let mut generator = generator(row.cases);
                    let labels: Vec<u32> = (0..views.count(slots) * batch_size).map(|_| generator.below(classes)).collect();
                    let mut expected = vec![[0; 2]; slots * batch_size];
                    for (slot, expected) in expected.chunks_exact_mut(batch_size).enumerate() {
                        let labels = &labels[(slot >> views.shift()) * batch_size..][..batch_size];
                        cpu::pairs::pairs(&shape, &step, slot as u32, labels, expected);
                    }
                    let mut actual = vec![[7; 2]; slots * batch_size];
                    let mut arguments = [
                        Argument::Uniform(bytemuck::bytes_of(&shape)),
                        Argument::Uniform(bytemuck::bytes_of(&step)),
                        Argument::Read(bytes(&labels)),
                        Argument::Write(bytes_mut(&mut actual)),
                    ];
                    let groups = layer_groups(Kernel::Pairs, &layer, tiles, slots);
                    run(context, row, &Variant::plain(Kernel::Pairs), &mut arguments, groups)?;
                    row.cases += 1;
                    let case = format!("seed {seed} {views:?} batch {batch_size} classes {classes}");
                    row.compare_exactly(&case, actual.as_flattened(), expected.as_flattened());
                }
            }
        }
    }
    Ok(())
}
