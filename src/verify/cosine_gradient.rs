//! Check of `shaders/cosine_gradient.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, scale_a_row};
use crate::config::Representation;
use crate::cpu;
use crate::cpu::cosine_gradient::Compared;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Layer, Views, partner};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for width in SIZES {
        for batch_size in BATCHES {
            for representation in [Representation::Activation, Representation::PreActivation] {
                let layer = Layer::new(&Architecture::new(vec![2, width, 3])?, 0, batch_size, Views::Replica);
                for centre in [false, true] {
                    case(context, tiles, row, &layer, representation, centre)?;
                }
            }
        }
    }
    Ok(())
}

fn case(
    context: &Context,
    tiles: &Tiles,
    row: &mut Row,
    layer: &Layer,
    representation: Representation,
    centre: bool,
) -> Result<()> {
    let mut generator = generator(row.cases);
    let (slots, batch_size, width) = (2 * REPLICAS, layer.batch_size as usize, layer.output_width as usize);
    let masked = representation == Representation::Activation;
    let mut values = activations(&mut generator, slots * batch_size, width, layer.output_stride(), masked);
    scale_a_row(&mut values, layer.output_stride(), width, 1e15);
    // Subnormal activations may count as zero for the mask, which no bound on the gradient describes: leave them to `forward`.
    for value in values.iter_mut().filter(|value| value.abs() < f32::MIN_POSITIVE) {
        *value = 0.0;
    }
    // In one row the partners nearly agree: the case in which the textbook form loses all digits.
    if batch_size > 4 {
        let (a, b) = values.split_at_mut(layer.output_len());
        let range = 4 * layer.output_stride()..4 * layer.output_stride() + width;
        for (b, a) in b[range.clone()].iter_mut().zip(&a[range]) {
            *b = a * 1.00001;
        }
    }
    let metrics: Vec<f32> = (0..slots * layer.metrics_len()).map(|_| generator.uniform(0.0, 9.0)).collect();
    // Any numbers will do: what they are the mean of is the business of `batch_mean`.
    let means: Vec<f32> = (0..slots * layer.weight_stride()).map(|_| generator.uniform(0.1, 0.9)).collect();
    let mut expected = exact(&poison(slots * layer.delta_len()));
    let mut expected_metrics = exact(&metrics);
    let outputs = expected.chunks_exact_mut(layer.delta_len()).zip(expected_metrics.chunks_exact_mut(layer.metrics_len()));
    for (slot, (deltas, metrics)) in outputs.enumerate() {
        let of = |slot: usize| &values[slot * layer.output_len()..][..layer.output_len()];
        let mean = |slot: usize| centre.then(|| &means[slot * layer.weight_stride()..][..layer.weight_stride()]);
        let compared = |slot: usize| Compared { rows: of(slot), means: mean(slot) };
        cpu::cosine_gradient::cosine_gradient::<Bounding>(
            layer,
            masked,
            compared(slot),
            compared(partner(slot)),
            deltas,
            metrics,
        );
    }

    let (mut actual, mut actual_metrics) = (poison(slots * layer.delta_len()), metrics);
    let mut arguments = [
        Argument::Uniform(bytemuck::bytes_of(layer)),
        Argument::Read(bytes(&values)),
        Argument::Read(bytes(&means)),
        Argument::Write(bytes_mut(&mut actual)),
        Argument::Write(bytes_mut(&mut actual_metrics)),
    ];
    let variant = Variant::cosine_gradient(tiles, representation, centre);
    run(context, row, &variant, &mut arguments, layer_groups(Kernel::CosineGradient, layer, tiles, slots))?;
    row.cases += 1;
    let name = format!("width {width} batch {batch_size} {representation:?} centre {centre}");
    row.compare_all(&format!("{name}: deltas"), &actual, &expected);
    row.compare_all(&format!("{name}: losses"), &actual_metrics, &expected_metrics);
    Ok(())
}
