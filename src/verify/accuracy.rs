//! Check of `shaders/accuracy.wgsl`: counts, so equal or wrong. The ensemble's sum of two numbers is rounded once on either side.

use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, bytes, bytes_mut, generator};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{EVALUATION_METRICS, Layer, Step, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    let slots = 2 * REPLICAS;
    for classes in SIZES {
        for batch_size in BATCHES {
            let mut generator = generator(row.cases);
            let layer = Layer::new(&Architecture::new(vec![3, classes])?, 0, batch_size, Views::Run);
            let step = Step { row_count: batch_size.div_ceil(2) as u32, ..Step::default() };
            // Few distinct values: ties between classes are frequent, and the first must win.
            let probabilities: Vec<f32> = (0..slots * layer.output_len()).map(|_| generator.below(6) as f32 * 0.125).collect();
            let labels: Vec<u32> = (0..batch_size).map(|_| generator.below(classes as u32)).collect();
            let length = REPLICAS * EVALUATION_METRICS * batch_size;
            let mut actual: Vec<f32> = (0..length).map(|_| generator.below(9) as f32).collect();
            let mut expected = actual.clone();
            let pairs = probabilities.chunks_exact(2 * layer.output_len());
            for (pair, counts) in pairs.zip(expected.chunks_exact_mut(EVALUATION_METRICS * batch_size)) {
                let (a, b) = pair.split_at(layer.output_len());
                cpu::accuracy::accuracy(&layer, &step, [a, b], &labels, counts);
            }
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&layer)),
                Argument::Uniform(bytemuck::bytes_of(&step)),
                Argument::Read(bytes(&probabilities)),
                Argument::Read(bytes(&labels)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            let groups = layer_groups(Kernel::Accuracy, &layer, tiles, slots);
            run(context, row, &Variant::plain(Kernel::Accuracy), &mut arguments, groups)?;
            row.cases += 1;
            let whole = |values: &[f32]| values.iter().map(|&value| value as u32).collect::<Vec<_>>();
            row.compare_exactly(&format!("{classes} classes batch {batch_size}"), &whole(&actual), &whole(&expected));
        }
    }
    Ok(())
}
