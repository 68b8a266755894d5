//! Check of `shaders/input_gradient.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, rows};
use crate::config::TrainingConfig;
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::Variant;
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::layout::{Layer, Views, partner};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            let layer = Layer::new(&Architecture::new(vec![2, inputs, outputs])?, 1, batch_size, Views::Replica);
            case(context, tiles, row, &layer, true)?;
            // The weights of the partner, as prototypes are.
            let hidden = Layer::new(&Architecture::new(vec![2, inputs, outputs])?, 0, batch_size, Views::Replica);
            case(context, tiles, row, &hidden.guide(outputs, &TrainingConfig::default()), false)?;
        }
    }
    Ok(())
}

fn case(context: &Context, tiles: &Tiles, row: &mut Row, layer: &Layer, masked: bool) -> Result<()> {
    let mut generator = generator(row.cases);
    let (slots, batch_size) = (2 * REPLICAS, layer.batch_size as usize);
    let (inputs, outputs) = (layer.input_width as usize, layer.output_width as usize);
    let length = batch_size * layer.gradient_stride();
    let deltas = rows(&mut generator, slots * batch_size, outputs, layer.weight_stride());
    let mask = activations(&mut generator, slots * batch_size, inputs, layer.input_stride(), true);
    let mut weights = rows(&mut generator, slots * layer.weight_rows(), outputs, layer.weight_stride());
    for slot in weights.chunks_exact_mut(layer.weight_len()) {
        slot[(inputs + 1) * layer.weight_stride()..].fill(0.0);
    }
    let mut expected = exact(&poison(slots * length));
    for (slot, expected) in expected.chunks_exact_mut(length).enumerate() {
        let source = if layer.weight_flip > 0 { partner(slot) } else { slot };
        let mask = masked.then(|| &mask[slot * layer.input_len()..][..layer.input_len()]);
        let weights = &weights[source * layer.weight_len()..][..layer.weight_len()];
        let deltas = &deltas[slot * layer.delta_len()..][..layer.delta_len()];
        cpu::input_gradient::input_gradient::<Bounding>(layer, mask, deltas, weights, expected);
    }

    let name = format!("{inputs}x{outputs} batch {batch_size} masked {masked}");
    let mut first: Option<Vec<u32>> = None;
    for tile in tiles.forward_tiles() {
        let mut actual = poison(slots * length);
        let mut arguments = [
            Argument::Uniform(bytemuck::bytes_of(layer)),
            Argument::Read(bytes(&deltas)),
            Argument::Read(bytes(&weights)),
            Argument::Read(bytes(&mask)),
            Argument::Write(bytes_mut(&mut actual)),
        ];
        let groups = tile.groups(layer.batch_size, layer.input_width.div_ceil(4), slots);
        run(context, row, &Variant::input_gradient(tile, masked), &mut arguments, groups)?;
        row.cases += 1;
        row.compare_all(&name, &actual, &expected);
        // A tile's shape may not change a bit.
        let bits: Vec<u32> = actual.iter().map(|value| value.to_bits()).collect();
        row.compare_exactly(&format!("{name}: {tile:?}"), &bits, first.get_or_insert_with(|| bits.clone()));
    }
    Ok(())
}
