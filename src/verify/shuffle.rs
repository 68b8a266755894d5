//! Check of `shaders/shuffle.wgsl`: integers, so equal or wrong.

use super::rerun::run;
use super::{Row, bytes_mut};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, shuffle_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Shuffle, Step};

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    // Seeds beside a carry into the upper word, where replicas must not collide.
    for (seed, enabled) in [(0, true), (u64::from(u32::MAX) - 1, true), (u64::MAX, true), (7, false)] {
        for count in [1, 2, 3, 64, 65, 1000, 60_000] {
            let shape = Shuffle::new(seed, count, 4, enabled);
            let step = Step::default().in_epoch(3);
            let mut expected = vec![0; 4 * count];
            cpu::shuffle::shuffle(&shape, &step, &mut expected);
            let mut actual = vec![u32::MAX; 4 * count];
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&shape)),
                Argument::Uniform(bytemuck::bytes_of(&step)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            run(context, row, &Variant::plain(Kernel::Shuffle), &mut arguments, shuffle_groups(&shape))?;
            row.cases += 1;
            row.compare_exactly(&format!("seed {seed}, {count} samples"), &actual, &expected);
        }
    }
    Ok(())
}
