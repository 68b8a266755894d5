//! Check of `shaders/gather.wgsl`. Bytes go through a table, so without turns a number is equal or wrong. Runs once a shard, as
//! training does.

use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, bytes, bytes_mut, generator, poison};
use crate::config::Augmentation;
use crate::cpu;
use crate::dataset::{ImageShape, Images};
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, gather_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::layout::{Shard, Shuffle, Step, Views};

/// Channels, heights and widths of images.
const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (1, 1, 3),
    (1, 7, 1),
    (1, 2, 5),
    (1, 7, 9),
    (1, 8, 8),
    (1, 5, 13),
    (1, 28, 28),
    (3, 5, 3),
    (3, 7, 9),
    (3, 32, 32),
];

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    let still = Augmentation::default();
    let moves = [
        still,
        Augmentation { shift: 1, ..still },
        Augmentation { shift: 40, ..still },
        Augmentation { shift: 2, rotation: 20.0, scale: 0.2, shared: false },
        Augmentation { rotation: 180.0, scale: 0.5, ..still },
    ];
    for (i, (channels, height, width)) in SHAPES.into_iter().enumerate() {
        let shape = ImageShape { channels, height, width };
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            case(context, row, shape, batch_size, &still, Views::Replica)?;
            let views = if j % 2 == 0 { Views::Slot } else { Views::Replica };
            case(context, row, shape, batch_size, &moves[1 + (i + j) % 4], views)?;
        }
    }
    Ok(())
}

fn case(
    context: &Context,
    row: &mut Row,
    shape: ImageShape,
    batch_size: usize,
    augmentation: &Augmentation,
    views: Views,
) -> Result<()> {
    let table: [f32; 256] = std::array::from_fn(|pixel| pixel as f32 * 0.017 - 1.3);
    let mut generator = generator(row.cases);
    let count = 300;
    let images = Images {
        pixels: (0..count * shape.pixels()).map(|_| generator.below(256) as u8).collect(),
        labels: (0..count).map(|_| generator.below(10) as u8).collect(),
        shape,
    };
    let mut orders = vec![0; REPLICAS * count];
    cpu::shuffle::shuffle(&Shuffle::new(5, count, REPLICAS, true), &Step::default().in_epoch(1), &mut orders);
    // A batch that is only partly filled, as the last one of a test set. A seed whose lower half overflows at the second replica.
    let step = Step { first_row: 17, row_count: batch_size.div_ceil(2) as u32, epoch: 3, ..Step::default() };
    let shard = |first, size| Shard::new(&images, first, size, batch_size, views).augmented(augmentation, (7 << 32) - 1);
    let (stride, number) = (shard(0, 1).input_quads as usize * 4, views.count(2 * REPLICAS));
    let length = number * batch_size;
    let (mut actual, mut labels) = (poison(length * stride), vec![u32::MAX; length]);
    let (mut expected, mut expected_labels) = (poison(length * stride), vec![u32::MAX; length]);
    for (first, size) in [(0, 100), (100, 1), (101, count - 101)] {
        let shard = shard(first, size);
        let records = shard.records(&images);
        let each = expected.chunks_exact_mut(batch_size * stride).zip(expected_labels.chunks_exact_mut(batch_size));
        for (view, (inputs, labels)) in (0..).zip(each) {
            let order = &orders[(view >> shard.order_shift) as usize * count..][..count];
            cpu::gather::gather(&shard, &step, view, &records, order, &table, inputs, labels);
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
        run(context, row, &Variant::gather(&shard), &mut arguments, gather_groups(&shard, number))?;
    }
    row.cases += 1;
    let case = format!("images of {shape}, batch {batch_size}, {augmentation:?}");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    if shard(0, 1).turns() {
        // Where a pixel comes from is a product of numbers of at most 2 (the turn over the size) and of the distance from the
        // middle, shift included. The angle's series, its doublings and this product round some 24 times, and divisions and
        // products of a device may be 2.5 units off: 60 units of 2⁻²³ times that distance, in both axes. Bilinear sampling is
        // continuous, so the number changes by at most the largest step between neighbours for each pixel of displacement; then
        // come its own roundings.
        let distance = 2.0 * (shape.height.max(shape.width) as f64 + f64::from(augmentation.shift));
        let range = f64::from(table[255] - table[0]);
        let tolerance = 2f64.powi(-23) * range * (2.0 * 60.0 * distance + 12.0);
        for (index, (&actual, &expected)) in actual.iter().zip(&expected).enumerate() {
            let error = (f64::from(actual) - f64::from(expected)).abs();
            row.compare(error, tolerance, || format!("{case} [{index}]: {actual} for {expected}"));
        }
    } else {
        row.compare_exactly(&format!("{case}: inputs"), &bits(&actual), &bits(&expected));
    }
    row.compare_exactly(&format!("{case}: labels"), &labels, &expected_labels);
    Ok(())
}
