//! gather: a batch from the resident data set, of images or of features.

use super::augment::Change;
use super::case::{BATCHES, Comparison, Contents, SLOTS, Take};
use super::shuffle::{Samples, shuffle};
use super::{Data, Describe, Kernel, Launch, Level, Memory, Operand, Tensor, Variant};
use crate::arithmetic::Arithmetic;
use crate::config::Augmentation;
use crate::dataset::{Features, ImageShape, Images};
use crate::error::Result;
use crate::layout::{Shard, Shuffle, Step, Views};

/// Numbers from the bytes of the images that the step names, as far as they are in one shard.
///
/// In bounds: quads past the row return, and the grid has one y for each row of the batch. [`crate::engine::Job::check_steps`] and the
/// construction of the evaluation's steps keep 1 ≤ row_count and first_row + row_count ≤ sample_count; orders hold numbers below
/// sample_count (`shuffle` writes a permutation before the first step); an image is compared with the shard's extent; the place at which
/// a changed image is read is clamped to it; a byte indexes 256 numbers; a record of features holds four words for each quad of a row.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The shard, and the shape of its records.
    pub shard: Shard,
    /// Who has a batch of its own.
    pub views: Views,
    /// The shard's images, `[image, record]`, whole numbers.
    pub records: Tensor,
    /// The order in which images are taken, `[replica, images]`, whole numbers.
    pub orders: Tensor,
    /// A number for each of the 256 values of a byte; features do not read it.
    pub table: Tensor,
    /// `[view, batch, quads(pixels)]`.
    pub inputs: Tensor,
    /// `[view, batch]`, whole numbers.
    pub labels: Tensor,
}

impl Describe for Gather {
    fn operands(&self) -> Vec<Operand> {
        let reads = [self.records, self.orders, self.table].map(Operand::read);
        reads.into_iter().chain([self.inputs, self.labels].map(Operand::write)).collect()
    }

    fn level(&self) -> Level {
        Level::View(self.views)
    }

    fn parameters(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shard).to_vec()
    }

    fn reads_step(&self) -> bool {
        true
    }

    fn variant(&self, _: Launch) -> Variant {
        Variant::new(Kernel::Gather)
            .flag("MOVE", self.shard.moves())
            .flag("TURN", self.shard.turns())
            .flag("BEND", self.shard.bends())
            .flag("FEATURES", self.shard.has_features())
    }

    fn groups(&self, launch: Launch) -> [u32; 3] {
        [self.shard.input_quads.div_ceil(64), self.shard.batch_size, self.views.count(launch.slots) as u32]
    }
}

impl Gather {
    pub(super) fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
        let mut table = [0.0; 256];
        table.iter_mut().zip(memory.own(self.table)).for_each(|(number, &given)| *number = given);
        let (mut inputs, mut labels) = (memory.take(self.inputs), memory.take_words(self.labels));
        let view = (memory.slot() >> self.views.shift()) as u32;
        let (records, orders) = (memory.words(self.records), memory.words(self.orders));
        gather(&self.shard, memory.step(), view, records, orders, &table, &mut inputs, &mut labels);
        memory.put(self.inputs, Data::Numbers(inputs));
        memory.put(self.labels, Data::Words(labels));
    }
}

/// Writes the rows of `inputs` `[batch, quads(pixels)]` and `labels` `[batch]` whose images lie in the shard `records`.
/// `order` is the view's, `[sample_count]`; `table` gives each byte's number.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel, and the view that its grid gives")]
pub fn gather<S: Copy + From<f32>>(
    shard: &Shard,
    step: &Step,
    view: u32,
    records: &[u32],
    order: &[u32],
    table: &[f32; 256],
    inputs: &mut [S],
    labels: &mut [u32],
) {
    let pixels = shard.pixels as usize;
    for (row, (target, label)) in inputs.chunks_exact_mut(4 * shard.input_quads as usize).zip(labels).enumerate() {
        let position = step.first_row + (row as u32).min(step.row_count - 1);
        let place = order[position as usize];
        let Some(image) = place.checked_sub(shard.first_image).filter(|&image| image < shard.image_count) else { continue };
        let record = &records[image as usize * shard.record_words as usize..][..shard.record_words as usize];
        if shard.has_features() {
            for (value, word) in target.iter_mut().zip(record) {
                *value = f32::from_bits(*word).into();
            }
        } else if shard.moves() {
            let change = Change::new(shard, step.epoch, view, place);
            for (pixel, value) in target[..pixels].iter_mut().enumerate() {
                *value = moved(shard, &change, record, table, pixel as u32).into();
            }
        } else {
            for (quad, word) in target.chunks_exact_mut(4).zip(record) {
                for (value, byte) in quad.iter_mut().zip(word.to_le_bytes()) {
                    *value = table[usize::from(byte)].into();
                }
            }
        }
        target[pixels..].fill(0.0.into());
        *label = record[record.len() - 1];
    }
}

/// What stands at a place of the channel whose first pixel is `plane`; the place may be outside.
fn pixel_at(shard: &Shard, flip: bool, record: &[u32], table: &[f32; 256], plane: u32, (x, y): (i32, i32)) -> f32 {
    let x = if flip { shard.width as i32 - 1 - x } else { x };
    if x < 0 || y < 0 || x >= shard.width as i32 || y >= shard.height as i32 {
        return table[0];
    }
    let pixel = plane as usize + y as usize * shard.width as usize + x as usize;
    table[usize::from(record[pixel / 4].to_le_bytes()[pixel % 4])]
}

fn moved(shard: &Shard, change: &Change, record: &[u32], table: &[f32; 256], pixel: u32) -> f32 {
    let within = pixel % (shard.height * shard.width);
    let at = |x: i32, y: i32| pixel_at(shard, change.flip, record, table, pixel - within, (x, y));
    let (x, y) = ((within % shard.width) as i32 - change.shift[0], (within / shard.width) as i32 - change.shift[1]);
    if !shard.turns() {
        return at(x, y);
    }
    let middle = [0.5 * (shard.width as f32 - 1.0), 0.5 * (shard.height as f32 - 1.0)];
    let (mut across, mut down) = (x as f32 - middle[0], y as f32 - middle[1]);
    if shard.bends() {
        let [right, below] = change.displaced(shard, within % shard.width, within / shard.width);
        (across, down) = (across + right, down + below);
    }
    let [cosine, sine] = change.turn;
    let source = [middle[0] + (cosine * across + sine * down), middle[1] + (cosine * down - sine * across)];
    let corner = source.map(f32::floor);
    let (x, y) = (corner[0] as i32, corner[1] as i32);
    let mix = |a: f32, b: f32, share: f32| a + share * (b - a);
    let share = [source[0] - corner[0], source[1] - corner[1]];
    mix(mix(at(x, y), at(x, y + 1), share[1]), mix(at(x + 1, y), at(x + 1, y + 1), share[1]), share[0])
}

/// Channels, heights and widths of images.
const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (1, 1, 3),
    (1, 7, 1),
    (1, 2, 5),
    (1, 7, 9),
    (1, 8, 8),
    (1, 5, 13),
    (1, 28, 28),
    (3, 5, 3),
    (3, 7, 9),
    (3, 32, 32),
];

/// Bytes go through a table, and features are only copied, so without turns a number is equal or wrong.
pub(super) fn cases(take: &mut Take) -> Result<()> {
    let still = Augmentation::default();
    let moves = [
        Augmentation { shift: 1, flip: true, ..still },
        Augmentation { shift: 40, ..still },
        Augmentation { shift: 2, rotation: 20.0, scale: 0.2, flip: true, ..still },
        Augmentation { shift: 1, rotation: 10.0, scale: 0.1, elastic: 2.0, flip: true, ..still },
        Augmentation { elastic: 16.0, ..still },
        Augmentation { rotation: 180.0, scale: 0.5, ..still },
        Augmentation { flip: true, ..still },
    ];
    let mut number = 0;
    for (i, (channels, height, width)) in SHAPES.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let views = if j % 2 == 0 { Views::Slot } else { Views::Replica };
            for (augmentation, views) in [(&still, Views::Replica), (&moves[(i + j) % moves.len()], views)] {
                // The whole set, and parts that leave some rows to other shards.
                for (first, size) in [(0, IMAGES), (0, 100), (100, 1), (101, IMAGES - 101)] {
                    let (contents, images) = pictures(number, ImageShape { channels, height, width });
                    case(take, contents, &images, batch_size, augmentation, views, first..first + size)?;
                }
                number += 1;
            }
        }
    }
    for (i, width) in WIDTHS.into_iter().enumerate() {
        for (j, batch_size) in BATCHES.into_iter().enumerate() {
            let views = if (i + j) % 2 == 0 { Views::Slot } else { Views::Replica };
            for (first, size) in [(0, IMAGES), (0, 100), (100, 1), (101, IMAGES - 101)] {
                let (contents, images) = rows(number, width);
                case(take, contents, &images, batch_size, &still, views, first..first + size)?;
            }
            number += 1;
        }
    }
    Ok(())
}

/// Features of a row: around a quad, and more quads than a workgroup has invocations.
const WIDTHS: [usize; 6] = [1, 3, 4, 13, 64, 301];

/// Images of a case.
const IMAGES: usize = 300;

fn pictures(number: usize, shape: ImageShape) -> (Contents, Images) {
    let mut contents = Contents::new(number);
    let images = Images {
        pixels: (0..IMAGES * shape.pixels()).map(|_| contents.generator.below(256) as u8).collect(),
        labels: (0..IMAGES).map(|_| contents.generator.below(10) as u8).collect(),
        shape,
        features: None,
    };
    (contents, images)
}

fn rows(number: usize, width: usize) -> (Contents, Images) {
    let mut contents = Contents::new(number);
    let features = Features::of((0..IMAGES * width).map(|_| contents.generator.normal()).collect(), width);
    let images = Images {
        pixels: Vec::new(),
        labels: (0..IMAGES).map(|_| contents.generator.below(10) as u8).collect(),
        shape: ImageShape::gray(1, width),
        features: Some(features),
    };
    (contents, images)
}

fn case(
    take: &mut Take,
    mut contents: Contents,
    images: &Images,
    batch_size: usize,
    augmentation: &Augmentation,
    views: Views,
    part: std::ops::Range<usize>,
) -> Result<()> {
    let table: Vec<f32> = (0..256).map(|pixel| pixel as f32 * 0.017 - 1.3).collect();
    let range = f64::from(table[255] - table[0]);
    let mut orders = vec![0; SLOTS / 2 * IMAGES];
    shuffle(&Shuffle::new(5, IMAGES, SLOTS / 2, true), &Step::default().in_epoch(1), Samples::All, &mut orders);
    // A batch that is only partly filled, as the last one of a test set. A seed whose lower half overflows at the second replica.
    let step = Step { first_row: 17, row_count: batch_size.div_ceil(2) as u32, epoch: 3, ..Step::default() };
    let shard = Shard::new(images, part.start, part.len(), batch_size, views).augmented(augmentation, (7 << 32) - 1);
    let (per, count) = (Level::View(views), views.count(SLOTS));
    // Rows of other shards keep what they have.
    let before = (0..count * batch_size * 4 * shard.input_quads as usize).map(|_| contents.generator.normal()).collect();
    let operation = Gather {
        shard,
        views,
        records: contents.words(Level::Run, shard.records(images, &[], None)),
        orders: contents.words(Level::Replica, orders),
        table: contents.numbers(Level::Run, table),
        inputs: contents.numbers(per, before),
        labels: contents.words(per, vec![u32::MAX; count * batch_size]),
    };
    let mut tolerance = 0.0;
    if shard.turns() {
        // Where a pixel comes from is a product of numbers of at most 2 (the turn over the size) and of the distance from the
        // middle, shift and displacement included. The angle's series, its doublings and this product round some 24 times, and divisions
        // and products of a device may be 2.5 units off: 60 units of 2⁻²³ times that distance, in both axes. A displacement is a division
        // and three interpolations, of three roundings each, of numbers of at most twice the largest: 30 units of it. Bilinear sampling is
        // continuous, so the number changes by at most the largest step between neighbours for each pixel of displacement; then
        // come its own roundings.
        let shape = images.shape;
        let distance = 2.0 * (shape.height.max(shape.width) as f64 + f64::from(augmentation.shift) + augmentation.elastic);
        tolerance = 2f64.powi(-23) * range * (2.0 * (60.0 * distance + 2.0 * 30.0 * augmentation.elastic) + 12.0);
    }
    contents.compare(operation.inputs, Comparison::Within(tolerance));
    let name = format!("{part:?} of {images:?}, batch {batch_size}, {augmentation:?}");
    take(contents.case(name, step, operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Augmentation;
    use crate::dataset::{ImageShape, Images};
    use crate::layout::Views;

    fn shard(augmentation: Augmentation, pixels: Vec<u8>, views: Views) -> (Shard, Vec<u32>) {
        let images = Images { pixels, labels: vec![0], shape: ImageShape::gray(5, 5), features: None };
        let shard = Shard::new(&images, 0, 1, 1, views).augmented(&augmentation, 9);
        let records = shard.records(&images, &[], None);
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

    #[test]
    fn it_follows_the_order_and_repeats_the_last_row() {
        let images = Images {
            pixels: vec![0, 51, 102, 153, 204, 255, 1, 2, 3],
            labels: vec![4, 5, 6],
            shape: ImageShape::gray(1, 3),
            features: None,
        };
        let shard = Shard::new(&images, 0, 3, 3, Views::Replica);
        let table = std::array::from_fn(|pixel| pixel as f32);
        let (mut inputs, mut labels) = (vec![f32::NAN; 12], vec![99; 3]);
        gather(
            &shard,
            &Step::evaluation(1, 2),
            0,
            &shard.records(&images, &[], None),
            &[2, 0, 1],
            &table,
            &mut inputs,
            &mut labels,
        );
        assert_eq!(inputs, [0.0, 51.0, 102.0, 0.0, 153.0, 204.0, 255.0, 0.0, 153.0, 204.0, 255.0, 0.0]);
        assert_eq!(labels, [4, 5, 5]);
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
            Augmentation { shift: 1, rotation: 40.0, scale: 0.3, elastic: 1.0, ..Augmentation::default() },
        ] {
            let images = Images {
                pixels: colours.clone(),
                labels: vec![0],
                shape: ImageShape { channels: 3, height: 5, width: 5 },
                features: None,
            };
            let colour = Shard::new(&images, 0, 1, 1, Views::Replica).augmented(&augmentation, 9);
            for epoch in 0..20 {
                let (mut inputs, mut labels) = (vec![f32::NAN; 76], [0]);
                let step = Step { epoch, ..Step::evaluation(0, 1) };
                gather(&colour, &step, 0, &colour.records(&images, &[], None), &[0], &table, &mut inputs, &mut labels);
                for (channel, plane) in inputs[..75].chunks(25).enumerate() {
                    let (grey, records) = shard(augmentation, colours[25 * channel..][..25].to_vec(), Views::Replica);
                    assert_eq!(plane, picture(&grey, &records, epoch, 0), "{augmentation:?}, channel {channel}");
                }
            }
        }
    }

    /// Half of the images are mirrored, each anew in each epoch, and nothing else happens to them.
    #[test]
    fn flips_mirror_half_of_the_images() {
        let picture_of = |flip| {
            let pixels: Vec<u8> = (0..25).map(|pixel| (pixel * 37 % 251) as u8).collect();
            shard(Augmentation { flip, ..Augmentation::default() }, pixels, Views::Replica)
        };
        let (still, records) = picture_of(false);
        let plain = picture(&still, &records, 0, 0);
        let mirrored: Vec<f32> = plain.chunks(5).flat_map(|row| row.iter().rev().copied()).collect();
        let (flipping, records) = picture_of(true);
        let count = (0..400).filter(|&epoch| {
            let seen = picture(&flipping, &records, epoch, 0);
            assert!(seen == plain || seen == mirrored);
            seen == mirrored
        });
        // 200 expected with a deviation of 10; four of them are exceeded once in 16,000.
        assert!((160..=240).contains(&count.count()));
    }

    /// Displacements are those of the nodes, and between neighbouring pixels they differ by no more than across a cell. A picture that is
    /// linear in x and y shows them: bilinear sampling is exact there.
    #[test]
    fn elastic_displacements_are_smooth() {
        let pixels: Vec<u8> = (0..81).map(|pixel| (20 * (pixel / 9) + pixel % 9) as u8).collect();
        let images = Images { pixels, labels: vec![0], shape: ImageShape::gray(9, 9), features: None };
        let augmentation = Augmentation { elastic: 0.9, ..Augmentation::default() };
        let shard = Shard::new(&images, 0, 1, 1, Views::Replica).augmented(&augmentation, 9);
        let records = shard.records(&images, &[], None);
        let table = std::array::from_fn(|byte| byte as f32);
        let mut largest = 0f32;
        for epoch in 0..50 {
            let change = Change::new(&shard, epoch, 0, 0);
            let at = |column: usize, row: usize| change.displaced(&shard, column as u32, row as u32);
            let (mut inputs, mut labels) = (vec![f32::NAN; 84], [0]);
            let step = Step { epoch, ..Step::evaluation(0, 1) };
            gather(&shard, &step, 0, &records, &[0], &table, &mut inputs, &mut labels);
            for (row, column) in (0..9).flat_map(|row| (0..9).map(move |column| (row, column))) {
                let [right, below] = at(column, row);
                largest = largest.max(right.abs()).max(below.abs());
                if row % 2 == 0 && column % 2 == 0 {
                    // At the last node of a row the interpolation rounds.
                    let [at_right, at_below] = change.displacements[row / 2 * 5 + column / 2];
                    assert!((right - at_right).abs() < 1e-6 && (below - at_below).abs() < 1e-6);
                }
                if column > 0 {
                    // Half a cell, whose ends are at most 1.8 apart.
                    assert!((right - at(column - 1, row)[0]).abs() <= 0.9001);
                }
                if (1..8).contains(&row) && (1..8).contains(&column) {
                    let expected = 20.0 * (row as f32 + below) + column as f32 + right;
                    // A few roundings of numbers below 256.
                    assert!((inputs[9 * row + column] - expected).abs() < 2e-4, "{} for {expected}", inputs[9 * row + column]);
                }
            }
        }
        assert!((0.85..=0.9).contains(&largest), "{largest}");
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
