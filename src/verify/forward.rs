//! Check of `shaders/forward.wgsl`.

use super::bounded::{Bounded, Bounding};
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, rows, scale_a_row};
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::Variant;
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::layout::{Layer, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            // Over all i, each j meets every size as output too.
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            // The first layer reads a view that two slots share, deeper ones their own slot.
            let networks = [
                (vec![inputs, outputs, 2], 0, false),
                (vec![2, inputs, outputs], 1, false),
                (vec![2, inputs, outputs, 2], 1, true),
            ];
            for (widths, index, keep) in networks {
                let layer = Layer::new(&Architecture::new(widths)?, index, batch_size, Views::Replica);
                case(context, tiles, row, &layer, keep)?;
            }
            // With the partner's weights, as prototypes are, and with a view for each slot.
            let hidden = Layer::new(&Architecture::new(vec![inputs, outputs, 2])?, 0, batch_size, Views::Slot);
            case(context, tiles, row, &Layer { weight_flip: 1, rectified: 0, ..hidden }, false)?;
        }
    }
    Ok(())
}

fn case(context: &Context, tiles: &Tiles, row: &mut Row, layer: &Layer, keep: bool) -> Result<()> {
    let mut generator = generator(row.cases);
    let slots = 2 * REPLICAS;
    let (batch_size, width) = (layer.batch_size as usize, layer.input_width as usize);
    let views = layer.view(slots - 1) + 1;
    let mut inputs = activations(&mut generator, views * batch_size, width, layer.input_stride(), false);
    scale_a_row(&mut inputs, layer.input_stride(), width, 1e25);
    let mut weights = rows(&mut generator, slots * layer.weight_rows(), layer.output_width as usize, layer.weight_stride());
    for slot in weights.chunks_exact_mut(layer.weight_len()) {
        slot[(width + 1) * layer.weight_stride()..].fill(0.0);
    }
    let mut expected = exact(&poison(slots * layer.output_len()));
    let mut expected_products: Vec<Bounded> = exact(&poison(slots * layer.delta_len()));
    let outputs = expected.chunks_exact_mut(layer.output_len()).zip(expected_products.chunks_exact_mut(layer.delta_len()));
    for (slot, (outputs, products)) in outputs.enumerate() {
        let inputs = &inputs[layer.view(slot) * layer.input_len()..][..layer.input_len()];
        let weights = &weights[(slot ^ layer.weight_flip as usize) * layer.weight_len()..][..layer.weight_len()];
        cpu::forward::forward::<Bounding>(layer, inputs, weights, outputs, products);
    }

    let name = format!("{width}x{} batch {batch_size} relu {}", layer.output_width, layer.rectified);
    let columns = layer.output_width as usize;
    let mut first: Option<Vec<u32>> = None;
    for tile in tiles.forward_tiles() {
        let mut actual = poison(slots * layer.output_len());
        let mut kept = poison(if keep { slots * layer.output_len() } else { 4 });
        let mut arguments = [
            Argument::Uniform(bytemuck::bytes_of(layer)),
            Argument::Read(bytes(&inputs)),
            Argument::Read(bytes(&weights)),
            Argument::Write(bytes_mut(&mut actual)),
            Argument::Write(bytes_mut(&mut kept)),
        ];
        let groups = tile.groups(layer.batch_size, layer.weight_quads, slots);
        run(context, row, &Variant::forward(tile, keep), &mut arguments, groups)?;
        row.cases += 1;
        row.compare_all(&name, &actual, &expected);
        // A tile's shape may not change a bit.
        let bits: Vec<u32> = actual.iter().map(|value| value.to_bits()).collect();
        row.compare_exactly(&format!("{name}: {tile:?}"), &bits, first.get_or_insert_with(|| bits.clone()));
        if keep {
            let rows = kept.chunks_exact(layer.output_stride()).zip(expected_products.chunks_exact(layer.weight_stride()));
            for (actual, expected) in rows {
                row.compare_all(&format!("{name} pre-activation"), &actual[..columns], &expected[..columns]);
            }
        }
    }
    Ok(())
}
