//! Check of `shaders/covariance.wgsl`.

use super::bounded::{Bounded, Bounding};
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, generator, poison};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, covariance_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{DIAGNOSIS_SUMS, Layer, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    let slots = 2 * REPLICAS;
    // A thousand outputs are half a million pairs of them, which the twin takes one by one.
    for width in SIZES.into_iter().filter(|&width| width < 784) {
        for batch_size in BATCHES {
            let layer = Layer::new(&Architecture::new(vec![2, width, 2])?, 0, batch_size, Views::Replica);
            let mut rows = activations(&mut generator(row.cases), slots * batch_size, width, layer.output_stride(), true);
            // The sum has fourth powers.
            rows.iter_mut().for_each(|value| *value = value.min(1e4));
            let mut means = vec![0.0f32; slots * layer.weight_stride()];
            for (rows, means) in rows.chunks_exact(layer.output_len()).zip(means.chunks_exact_mut(layer.weight_stride())) {
                cpu::batch_mean::batch_mean::<cpu::Single>(&layer, rows, means);
                // One unit that never is above 0.
                means[width - 1] = 0.0;
            }
            let groups = covariance_groups(&layer, slots);
            let tiles = (groups[0] * groups[1]) as usize;
            let mut actual = poison(slots * DIAGNOSIS_SUMS * tiles);
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&layer)),
                Argument::Read(bytes(&rows)),
                Argument::Read(bytes(&means)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            run(context, row, &Variant::plain(Kernel::Covariance), &mut arguments, groups)?;
            row.cases += 1;
            for slot in 0..slots {
                let rows = &rows[slot * layer.output_len()..][..layer.output_len()];
                let means = &means[slot * layer.weight_stride()..][..layer.weight_stride()];
                let expected = cpu::covariance::covariance::<Bounding>(&layer, rows, means);
                compare_parts(row, &format!("{width} batch {batch_size} slot {slot}"), &actual, tiles, slot, &expected);
            }
        }
    }
    Ok(())
}

/// Compares the sums of a slot's parts, added up exactly here, with the twin's.
pub(super) fn compare_parts(row: &mut Row, case: &str, parts: &[f32], count: usize, slot: usize, expected: &[Bounded]) {
    for (sum, expected) in expected.iter().enumerate() {
        let parts = &parts[(slot * DIAGNOSIS_SUMS + sum) * count..][..count];
        let actual: f64 = parts.iter().map(|&part| f64::from(part)).sum();
        row.compare((actual - expected.value).abs(), expected.error, || format!("{case} sum {sum}: {actual} for {expected:?}"));
    }
}
