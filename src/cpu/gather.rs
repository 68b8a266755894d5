//! Twin of `shaders/gather.wgsl`, for one view: a batch from the resident data set.

use crate::layout::{Shard, Step};
use crate::random::{philox_words, unit};

/// Writes the rows of `inputs` `[batch, quads(pixels + 1)]` and `labels` `[batch]` whose images lie in the shard `records`.
/// `order` is the view's, `[sample_count]`; `table` gives each byte's number.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel, and the view that its grid gives")]
pub fn gather(
    shard: &Shard,
    step: &Step,
    view: u32,
    records: &[u32],
    order: &[u32],
    table: &[f32; 256],
    inputs: &mut [f32],
    labels: &mut [u32],
) {
    let pixels = shard.pixels as usize;
    for (row, (target, label)) in inputs.chunks_exact_mut(4 * shard.input_quads as usize).zip(labels).enumerate() {
        let position = step.first_row + (row as u32).min(step.row_count - 1);
        let place = order[position as usize];
        let Some(image) = place.checked_sub(shard.first_image).filter(|&image| image < shard.image_count) else { continue };
        let record = &records[image as usize * shard.record_words as usize..][..shard.record_words as usize];
        if shard.moves() {
            let change = Change::new(shard, step.epoch, view, place);
            for (pixel, value) in target[..pixels].iter_mut().enumerate() {
                *value = moved(shard, &change, record, table, pixel as u32);
            }
        } else {
            for (quad, word) in target.chunks_exact_mut(4).zip(record) {
                for (value, byte) in quad.iter_mut().zip(word.to_le_bytes()) {
                    *value = table[usize::from(byte)];
                }
            }
        }
        target[pixels..].fill(0.0);
        target[pixels] = 1.0;
        *label = record[record.len() - 1];
    }
}

/// How one image of one epoch is changed: `shaders/shared/augment.wgsl`.
struct Change {
    shift: [i32; 2],
    /// Cosine and sine of the angle, over the factor of size.
    turn: [f32; 2],
}

impl Change {
    fn new(shard: &Shard, epoch: u32, view: u32, image: u32) -> Self {
        let replica = u64::from(view >> shard.order_shift);
        let seed = (u64::from(shard.seed_high) << 32 | u64::from(shard.seed_low)).wrapping_add(replica);
        let model = view & ((1 << shard.order_shift) - 1);
        let words = philox_words(seed, shard.stream + model, u64::from(epoch) << 32 | u64::from(image));
        let span = 2 * shard.shift + 1;
        let shift = |word: u32| ((u64::from(word) * u64::from(span)) >> 32) as i32 - shard.shift as i32;
        let angle = 0.25 * shard.rotation * signed_unit(words[2]);
        let square = angle * angle;
        let mut sine = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
        let mut cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
        for _ in 0..2 {
            (sine, cosine) = (2.0 * sine * cosine, 1.0 - 2.0 * sine * sine);
        }
        let size = 1.0 + shard.scale * signed_unit(words[3]);
        Self { shift: [shift(words[0]), shift(words[1])], turn: [cosine / size, sine / size] }
    }
}

fn signed_unit(word: u32) -> f32 {
    2.0 * unit(word) - 1.0
}

/// What stands at a place of the channel whose first pixel is `plane`; the place may be outside.
fn pixel_at(shard: &Shard, record: &[u32], table: &[f32; 256], plane: u32, x: i32, y: i32) -> f32 {
    if x < 0 || y < 0 || x >= shard.width as i32 || y >= shard.height as i32 {
        return table[0];
    }
    let pixel = plane as usize + y as usize * shard.width as usize + x as usize;
    table[usize::from(record[pixel / 4].to_le_bytes()[pixel % 4])]
}

fn moved(shard: &Shard, change: &Change, record: &[u32], table: &[f32; 256], pixel: u32) -> f32 {
    let within = pixel % (shard.height * shard.width);
    let at = |x: i32, y: i32| pixel_at(shard, record, table, pixel - within, x, y);
    let (x, y) = ((within % shard.width) as i32 - change.shift[0], (within / shard.width) as i32 - change.shift[1]);
    if !shard.turns() {
        return at(x, y);
    }
    let middle = [0.5 * (shard.width as f32 - 1.0), 0.5 * (shard.height as f32 - 1.0)];
    let (across, down) = (x as f32 - middle[0], y as f32 - middle[1]);
    let [cosine, sine] = change.turn;
    let source = [middle[0] + (cosine * across + sine * down), middle[1] + (cosine * down - sine * across)];
    let corner = source.map(f32::floor);
    let (x, y) = (corner[0] as i32, corner[1] as i32);
    let mix = |a: f32, b: f32, share: f32| a + share * (b - a);
    let share = [source[0] - corner[0], source[1] - corner[1]];
    mix(mix(at(x, y), at(x, y + 1), share[1]), mix(at(x + 1, y), at(x + 1, y + 1), share[1]), share[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Augmentation;
    use crate::dataset::{ImageShape, Images};
    use crate::layout::Views;

    fn shard(augmentation: Augmentation, pixels: Vec<u8>, views: Views) -> (Shard, Vec<u32>) {
        let images = Images { pixels, labels: vec![0], shape: ImageShape::gray(5, 5) };
        let shard = Shard::new(&images, 0, 1, 1, views).augmented(&augmentation, 9);
        let records = shard.records(&images);
        (shard, records)
    }

    fn picture(shard: &Shard, records: &[u32], epoch: u32, view: u32) -> Vec<f32> {
        let table = std::array::from_fn(|byte| byte as f32);
        let (mut inputs, mut labels) = (vec![f32::NAN; 28], [0]);
        let step = Step { epoch, ..Step::evaluation(0, 1) };
        gather(shard, &step, view, records, &[0], &table, &mut inputs, &mut labels);
        inputs.truncate(25);
        inputs
    }

    /// A point moves by at most the shift, to every place within it, and A's and B's copies move independently.
    #[test]
    fn shifts_are_uniform_and_independent() {
        let mut point = vec![0; 25];
        point[12] = 200;
        let (shard, records) = shard(Augmentation { shift: 1, ..Augmentation::default() }, point, Views::Slot);
        let mut counts = [[0u32; 9]; 9];
        for epoch in 0..8100 {
            let [a, b] = [0, 1].map(|view| {
                let place = picture(&shard, &records, epoch, view).iter().position(|&value| value == 200.0).unwrap();
                let (x, y) = (place % 5 - 1, place / 5 - 1);
                assert!(x < 3 && y < 3);
                3 * y + x
            });
            counts[a][b] += 1;
        }
        // 81 cells of 100 expected each; chi² with 80 degrees of freedom is above 124.8 once in a thousand.
        let chi: f64 = counts.iter().flatten().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
        assert!(chi < 124.8, "{chi}");
    }

    /// Each channel of a moved image is what a grey image with that channel alone would be.
    #[test]
    fn channels_move_alike_and_stay_apart() {
        let colours: Vec<u8> = (0..75).map(|pixel| (pixel * 37 % 251) as u8).collect();
        let table = std::array::from_fn(|byte| byte as f32);
        for augmentation in [
            Augmentation { shift: 2, ..Augmentation::default() },
            Augmentation { shift: 1, rotation: 40.0, scale: 0.3, ..Augmentation::default() },
        ] {
            let images =
                Images { pixels: colours.clone(), labels: vec![0], shape: ImageShape { channels: 3, height: 5, width: 5 } };
            let colour = Shard::new(&images, 0, 1, 1, Views::Replica).augmented(&augmentation, 9);
            for epoch in 0..20 {
                let (mut inputs, mut labels) = (vec![f32::NAN; 76], [0]);
                let step = Step { epoch, ..Step::evaluation(0, 1) };
                gather(&colour, &step, 0, &colour.records(&images), &[0], &table, &mut inputs, &mut labels);
                for (channel, plane) in inputs[..75].chunks(25).enumerate() {
                    let (grey, records) = shard(augmentation, colours[25 * channel..][..25].to_vec(), Views::Replica);
                    assert_eq!(plane, picture(&grey, &records, epoch, 0), "{augmentation:?}, channel {channel}");
                }
            }
        }
    }

    /// Half a turn about the middle mirrors both axes; the generator's angle is uniform, so look for one near it.
    #[test]
    fn turns_are_about_the_middle() {
        let gradient: Vec<u8> = (0..25).map(|pixel| (10 * (pixel / 5) + pixel % 5) as u8).collect();
        let (shard, records) = shard(Augmentation { rotation: 180.0, ..Augmentation::default() }, gradient, Views::Replica);
        for epoch in 0..100 {
            let change = Change::new(&shard, epoch, 0, 0);
            // The picture is linear in x and y, so bilinear sampling is exact: each axis turns as the angle says.
            let [cosine, sine] = change.turn.map(f64::from);
            assert!((cosine * cosine + sine * sine - 1.0).abs() < 2e-6, "{cosine} {sine}");
            let turned = picture(&shard, &records, epoch, 0);
            assert_eq!(turned[12], 22.0);
            let expected = 22.0 + (cosine - 10.0 * sine);
            // A few roundings of numbers below 64.
            assert!((f64::from(turned[13]) - expected).abs() < 1e-4, "{} for {expected}", turned[13]);
        }
    }
}
