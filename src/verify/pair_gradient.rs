//! Check of `shaders/pair_gradient.wgsl`.
//!
//! The gradient of the margin's hinge jumps where the cosine meets the margin. Where the bound of the error does not say on which
//! side a pair lies, a device may be right on either: the deltas of both its rows are left out, and the check fails if that
//! happens to more than a hundredth of the rows. The loss is continuous there, and is compared.

use super::bounded::{Bounded, Bounding};
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Layer, MARGIN_DISTANCE, NO_ROW, Pairs, Step, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    let (mut undecided, mut rows) = (0, 0);
    for (i, width) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            undecided += case(context, tiles, row, width, batch_size, [2, 10][(i + j) % 2])?;
            rows += 2 * REPLICAS * batch_size;
        }
    }
    row.compare(undecided as f64, rows as f64 / 100.0, || format!("{undecided} of {rows} rows at the margin"));
    Ok(())
}

/// Compares one case and returns the number of rows that were left out.
fn case(context: &Context, tiles: &Tiles, row: &mut Row, width: usize, batch_size: usize, classes: u32) -> Result<usize> {
    let mut generator = generator(row.cases);
    let slots = 2 * REPLICAS;
    let layer = Layer::new(&Architecture::new(vec![2, width, 3])?, 0, batch_size, Views::Slot);
    let mut values = activations(&mut generator, slots * batch_size, width, layer.output_stride(), true);
    // Independent rows are far apart: something in common, more of it in every third row, brings cosines to both sides of the
    // margin.
    for (row, values) in values.chunks_exact_mut(layer.output_stride()).enumerate().filter(|(row, _)| row % batch_size > 3) {
        let common = [0.0, 0.4, 1.2][row % 3];
        for (k, value) in values[..width].iter_mut().enumerate().filter(|(k, _)| k % 4 < 2) {
            *value += common * (1 + k % 3) as f32;
        }
    }
    // Subnormal activations may count as zero for the mask, which no bound on the gradient describes: leave them to `forward`.
    for value in values.iter_mut().filter(|value| value.abs() < f32::MIN_POSITIVE) {
        *value = 0.0;
    }
    let labels: Vec<u32> = (0..slots * batch_size).map(|_| generator.below(classes)).collect();
    let mut pairs = vec![[NO_ROW; 2]; slots * batch_size];
    for (slot, (pairs, labels)) in pairs.chunks_exact_mut(batch_size).zip(labels.chunks_exact(batch_size)).enumerate() {
        cpu::pairs::pairs(&Pairs::new(5, &layer), &Step::default(), slot as u32, labels, pairs);
    }
    let metrics: Vec<f32> = (0..slots * layer.metrics_len()).map(|_| generator.uniform(0.0, 9.0)).collect();
    let (mut expected, mut expected_metrics) = (exact(&poison(slots * layer.delta_len())), exact(&metrics));
    let mut decided = vec![true; slots * batch_size];
    let outputs = expected.chunks_exact_mut(layer.delta_len()).zip(expected_metrics.chunks_exact_mut(layer.metrics_len()));
    for (slot, (deltas, metrics)) in outputs.enumerate() {
        let values = &values[slot * layer.output_len()..][..layer.output_len()];
        let pairs = &pairs[slot * batch_size..][..batch_size];
        cpu::pair_gradient::pair_gradient::<Bounding>(&layer, values, pairs, deltas, metrics);
        for (row, &[_, other]) in pairs.iter().enumerate().filter(|(_, pair)| pair[1] != NO_ROW) {
            let Bounded { value, error } = cpu::pair_gradient::distance::<Bounding>(&layer, values, [row, other as usize]);
            if (value - f64::from(MARGIN_DISTANCE)).abs() <= error {
                for row in [row, other as usize] {
                    decided[slot * batch_size + row] = false;
                }
            }
        }
    }

    let (mut actual, mut actual_metrics) = (poison(slots * layer.delta_len()), metrics);
    let mut arguments = [
        Argument::Uniform(bytemuck::bytes_of(&layer)),
        Argument::Read(bytes(&values)),
        Argument::Read(bytes(&pairs)),
        Argument::Write(bytes_mut(&mut actual)),
        Argument::Write(bytes_mut(&mut actual_metrics)),
    ];
    run(context, row, &Variant::pair_gradient(tiles), &mut arguments, layer_groups(Kernel::PairGradient, &layer, tiles, slots))?;
    row.cases += 1;
    let name = format!("width {width} batch {batch_size} classes {classes}");
    let rows = actual.chunks_exact(layer.weight_stride()).zip(expected.chunks_exact(layer.weight_stride()));
    for (index, ((actual, expected), _)) in rows.zip(&decided).enumerate().filter(|(_, (_, decided))| **decided) {
        row.compare_all(&format!("{name}: deltas of row {index}"), actual, expected);
    }
    row.compare_all(&format!("{name}: losses"), &actual_metrics, &expected_metrics);
    Ok(decided.iter().filter(|&&decided| !decided).count())
}
