//! Check of `shaders/output_gradient.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, scale_a_row};
use crate::config::OutputLoss;
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, layer_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::{Layer, Views, partner};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for classes in SIZES {
        for batch_size in BATCHES {
            // The prototypes of hidden layers count no right answers, and may look at the partner's.
            let cases = [
                (OutputLoss::BinaryCrossEntropy, true, 0.0),
                (OutputLoss::CrossEntropy, true, 0.0),
                (OutputLoss::CrossEntropy, false, 0.3),
            ];
            for (loss, count, mutual) in cases {
                let plain = Layer::new(&Architecture::new(vec![2, 3, classes])?, 1, batch_size, Views::Replica);
                let layer = Layer { mutual, ..plain };
                case(context, tiles, row, &layer, loss, count)?;
            }
        }
    }
    Ok(())
}

fn case(context: &Context, tiles: &Tiles, row: &mut Row, layer: &Layer, loss: OutputLoss, count: bool) -> Result<()> {
    let mut generator = generator(row.cases);
    let (slots, batch_size, classes) = (2 * REPLICAS, layer.batch_size as usize, layer.output_width as usize);
    // Its rows 1 to 6 are all equal, all but equal, saturated to 1 and 0 by logits of ±10⁴, all but equal, and saturated again.
    let mut logits = activations(&mut generator, slots * batch_size, classes, layer.output_stride(), false);
    scale_a_row(&mut logits, layer.output_stride(), classes, 1e30);
    let labels: Vec<u32> = (0..REPLICAS * batch_size).map(|_| generator.below(classes as u32)).collect();
    let metrics: Vec<f32> = (0..slots * layer.metrics_len()).map(|_| generator.uniform(0.0, 9.0).floor()).collect();
    let mut expected = exact(&poison(slots * layer.delta_len()));
    let mut expected_metrics = exact(&metrics);
    let outputs = expected.chunks_exact_mut(layer.delta_len()).zip(expected_metrics.chunks_exact_mut(layer.metrics_len()));
    let of = |slot: usize| &logits[slot * layer.output_len()..][..layer.output_len()];
    for (slot, (deltas, metrics)) in outputs.enumerate() {
        let (own, other) = (of(slot), (layer.mutual > 0.0).then(|| of(partner(slot))));
        let labels = &labels[slot / 2 * batch_size..][..batch_size];
        cpu::output_gradient::output_gradient::<Bounding>(layer, loss, count, own, other, labels, deltas, metrics);
    }

    let (mut actual, mut actual_metrics) = (poison(slots * layer.delta_len()), metrics);
    let mut arguments = [
        Argument::Uniform(bytemuck::bytes_of(layer)),
        Argument::Read(bytes(&logits)),
        Argument::Read(bytes(&labels)),
        Argument::Write(bytes_mut(&mut actual)),
        Argument::Write(bytes_mut(&mut actual_metrics)),
    ];
    let groups = layer_groups(Kernel::OutputGradient, layer, tiles, slots);
    run(context, row, &Variant::output_gradient(loss, count, layer.mutual > 0.0), &mut arguments, groups)?;
    row.cases += 1;
    let name = format!("{classes} classes batch {batch_size} {loss:?}");
    row.compare_all(&format!("{name}: deltas"), &actual, &expected);
    row.compare_all(&format!("{name}: losses"), &actual_metrics, &expected_metrics);
    Ok(())
}
