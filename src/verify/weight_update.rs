//! Check of `shaders/weight_update.wgsl`.

use super::bounded::Bounding;
use super::rerun::run;
use super::{BATCHES, REPLICAS, Row, SIZES, activations, bytes, bytes_mut, exact, generator, poison, rows};
use crate::config::Adam;
use crate::cpu;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, update_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::layout::{Layer, Step, Views};
use crate::model::Architecture;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for (i, inputs) in SIZES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let outputs = SIZES[(i + 2 * j + 1) % SIZES.len()];
            for (first, time) in [(true, 1), (false, 1000)] {
                let widths = if first { vec![inputs, outputs, 2] } else { vec![2, inputs, outputs] };
                let layer = Layer::new(&Architecture::new(widths)?, usize::from(!first), batch_size, Views::Replica);
                // Projections have no bias, and a frozen partner does not move.
                let layer = if first { layer } else { Layer { bias: 0, frozen: 0b10, ..layer } };
                case(context, tiles, row, &layer, time)?;
            }
        }
    }
    Ok(())
}

fn case(context: &Context, tiles: &Tiles, row: &mut Row, layer: &Layer, time: u64) -> Result<()> {
    let mut generator = generator(row.cases);
    let (slots, batch_size, outputs) = (2 * REPLICAS, layer.batch_size as usize, layer.output_width as usize);
    let views = layer.view(slots - 1) + 1;
    let inputs = activations(&mut generator, views * batch_size, layer.input_width as usize, layer.input_stride(), false);
    let deltas = rows(&mut generator, slots * batch_size, outputs, layer.weight_stride());
    let mut state = |scale: f32, positive: bool| {
        let mut values = vec![0.0; slots * layer.weight_len()];
        for slot in values.chunks_exact_mut(layer.weight_len()) {
            for row in slot.chunks_exact_mut(layer.weight_stride()).take(layer.input_width as usize + 1) {
                for value in &mut row[..outputs] {
                    let number = generator.normal() * scale;
                    // The step divides by the root of the second moment, which training keeps positive.
                    *value = if positive { number * number + 0.01 * scale } else { number };
                }
            }
        }
        values
    };
    let (weights, first, second) = (state(0.1, false), state(0.1, false), state(1.0, true));
    // A learning rate that shows in the weight's digits.
    let step = Step::new(0, batch_size, &Adam { learning_rate: 0.05, ..Adam::default() }, time);
    let [mut expected_weights, mut expected_first, mut expected_second] = [&weights, &first, &second].map(|values| exact(values));
    let length = layer.weight_len();
    for slot in (0..slots).filter(|&slot| layer.moves(slot)) {
        let range = slot * length..(slot + 1) * length;
        cpu::weight_update::weight_update::<Bounding>(
            layer,
            &step,
            &inputs[layer.view(slot) * layer.input_len()..][..layer.input_len()],
            &deltas[slot * layer.delta_len()..][..layer.delta_len()],
            &mut expected_weights[range.clone()],
            &mut expected_first[range.clone()],
            &mut expected_second[range],
            &mut exact(&poison(cpu::weight_update::scratch_len(layer))),
        );
    }

    let name = format!("{}x{outputs} batch {batch_size} step {time}", layer.input_width);
    let mut bits_of_first_tile: Option<Vec<u32>> = None;
    for tile in tiles.update_tiles() {
        let (mut actual_weights, mut actual_first, mut actual_second) = (weights.clone(), first.clone(), second.clone());
        let mut arguments = [
            Argument::Uniform(bytemuck::bytes_of(layer)),
            Argument::Uniform(bytemuck::bytes_of(&step)),
            Argument::Read(bytes(&inputs)),
            Argument::Read(bytes(&deltas)),
            Argument::Write(bytes_mut(&mut actual_weights)),
            Argument::Write(bytes_mut(&mut actual_first)),
            Argument::Write(bytes_mut(&mut actual_second)),
        ];
        let groups = update_groups(std::slice::from_ref(layer), tile, slots);
        run(context, row, &Variant::weight_update(tile, 1), &mut arguments, groups)?;
        row.cases += 1;
        row.compare_all(&format!("{name}: weights"), &actual_weights, &expected_weights);
        row.compare_all(&format!("{name}: first moments"), &actual_first, &expected_first);
        row.compare_all(&format!("{name}: second moments"), &actual_second, &expected_second);
        // A tile's shape may not change a bit.
        let bits: Vec<u32> = actual_weights.iter().map(|value| value.to_bits()).collect();
        row.compare_exactly(&format!("{name}: {tile:?}"), &bits, bits_of_first_tile.get_or_insert_with(|| bits.clone()));
    }
    Ok(())
}
