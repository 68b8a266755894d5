//! Check of `shaders/gather.wgsl`: bytes through a table, so equal or wrong. Runs once a shard, as training does.

use super::{BATCHES, REPLICAS, Row, bytes, bytes_mut, generator, poison};
use crate::cpu;
use crate::dataset::Images;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, gather_groups};
use crate::gpu::run_once::{Argument, run_once};
use crate::gpu::tiles::Tiles;
use crate::layout::{Shard, Shuffle, Step};
use crate::plan::Kernel;

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    let table: [f32; 256] = std::array::from_fn(|pixel| pixel as f32 * 0.017 - 1.3);
    for (case, pixels) in [1, 3, 7, 10, 63, 64, 65, 784].into_iter().enumerate() {
        for batch_size in BATCHES {
            let mut generator = generator(case);
            let count = 300;
            let images = Images {
                pixels: (0..count * pixels).map(|_| generator.below(256) as u8).collect(),
                labels: (0..count).map(|_| generator.below(10) as u8).collect(),
                height: 1,
                width: pixels,
            };
            let mut orders = vec![0; REPLICAS * count];
            cpu::shuffle::shuffle(&Shuffle::new(5, 1, count, REPLICAS, true), &mut orders);
            // A batch that is only partly filled, as the last one of a test set.
            let step = Step { first_row: 17, row_count: batch_size.div_ceil(2) as u32, ..Step::default() };
            let stride = Shard::new(&images, 0, 1, batch_size, true).input_quads as usize * 4;
            let length = REPLICAS * batch_size;
            let (mut actual, mut labels) = (poison(length * stride), vec![u32::MAX; length]);
            let (mut expected, mut expected_labels) = (poison(length * stride), vec![u32::MAX; length]);
            for (first, size) in [(0, 100), (100, 1), (101, count - 101)] {
                let shard = Shard::new(&images, first, size, batch_size, true);
                let records = shard.records(&images);
                let views = expected.chunks_exact_mut(batch_size * stride).zip(expected_labels.chunks_exact_mut(batch_size));
                for ((inputs, labels), order) in views.zip(orders.chunks_exact(count)) {
                    cpu::gather::gather(&shard, &step, &records, order, &table, inputs, labels);
                }
                let mut arguments = [
                    Argument::Uniform(bytemuck::bytes_of(&shard)),
                    Argument::Uniform(bytemuck::bytes_of(&step)),
                    Argument::Read(bytes(&records)),
                    Argument::Read(bytes(&orders)),
                    Argument::Read(bytes(&table)),
                    Argument::Write(bytes_mut(&mut actual)),
                    Argument::Write(bytes_mut(&mut labels)),
                ];
                run_once(context, &Variant::plain(Kernel::Gather), &mut arguments, gather_groups(&shard, REPLICAS))?;
            }
            row.cases += 1;
            let case = format!("{pixels} pixels, batch {batch_size}");
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            row.compare_exactly(&format!("{case}: inputs"), &bits(&actual), &bits(&expected));
            row.compare_exactly(&format!("{case}: labels"), &labels, &expected_labels);
        }
    }
    Ok(())
}
