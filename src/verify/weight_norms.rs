//! Check of `shaders/weight_norms.wgsl`.

use super::bounded::Bounding;
use super::covariance::compare_parts;
use super::rerun::run;
use super::{REPLICAS, Row, SIZES, bytes, bytes_mut, generator, poison, rows};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, norm_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{DIAGNOSIS_SUMS, Layer, Views, partner};
use crate::model::Architecture;

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    let slots = 2 * REPLICAS;
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for outputs in [SIZES[i], SIZES[(i + 4) % SIZES.len()]] {
            let layer = Layer::new(&Architecture::new(vec![inputs, outputs])?, 0, 1, Views::Replica);
            let mut generator = generator(row.cases);
            let mut weights = || rows(&mut generator, slots * layer.weight_rows(), outputs, layer.weight_stride());
            let (now, before) = (weights(), weights());
            let groups = norm_groups(&layer, slots);
            let mut actual = poison(slots * DIAGNOSIS_SUMS * groups[0] as usize);
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&layer)),
                Argument::Read(bytes(&now)),
                Argument::Read(bytes(&before)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            run(context, row, &Variant::plain(Kernel::WeightNorms), &mut arguments, groups)?;
            row.cases += 1;
            for slot in 0..slots {
                let of = |values: &'_ [f32], slot: usize| values[slot * layer.weight_len()..][..layer.weight_len()].to_vec();
                let (own, before, other) = (of(&now, slot), of(&before, slot), of(&now, partner(slot)));
                let expected = cpu::weight_norms::weight_norms::<Bounding>(&own, &before, &other);
                compare_parts(row, &format!("{inputs}x{outputs} slot {slot}"), &actual, groups[0] as usize, slot, &expected);
            }
        }
    }
    Ok(())
}
