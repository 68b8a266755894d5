//! The data set on the device, and what is drawn from it: orders, changes of images, pairs of rows.

use super::{Rows, UNLABELLED, Views, quads};
use crate::config::Augmentation;
use crate::dataset::{Images, Statistics};
use crate::random::{Stream, halves};

device_struct! {
    /// One shard of a data set on the device, and the shape of its records: `[pixel words, label word]`, four pixels a word, or
    /// `[features, padding to quads, label word]`, each feature a word.
    Shard {
        /// Index of the shard's first image.
        first_image: u32,
        /// Images in the shard.
        image_count: u32,
        /// Pixels of an image.
        pixels: u32,
        /// Images in the whole set: the length of one replica's order.
        sample_count: u32,
        /// Words of one record: `quads(pixels) + 1`, of features `4 quads(pixels) + 1`.
        record_words: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// Row length of the inputs to fill, in quads.
        input_quads: u32,
        /// View v reads order `v >> order_shift`, and is of that replica.
        order_shift: u32,
        /// Rows of an image.
        height: u32,
        /// Columns of an image.
        width: u32,
        /// Largest random shift in pixels.
        shift: u32,
        /// Largest random rotation in radians.
        rotation: f32,
        /// Largest random change of size, as a fraction.
        scale: f32,
        /// The random stream of these changes; the second view of a replica has the next one.
        stream: u32,
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// 1: images are mirrored or not, by chance.
        flip: u32,
        /// Largest displacement of a place, in pixels.
        elastic: f32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
    }
}

device_struct! {
    /// The orders of the epochs.
    Shuffle {
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// The random stream's identity; its counter is the epoch.
        stream: u32,
        /// Samples in an order.
        sample_count: u32,
        /// Orders to make, one a replica.
        replicas: u32,
        /// 1 to shuffle, 0 for the data set's own order.
        enabled: u32,
        /// Samples with a label, where some have none, or samples that a replica learns from, where it leaves some out; else 0.
        labelled: u32,
        /// Rows of a batch, where some samples have no label.
        batch_size: u32,
    }
}

device_struct! {
    /// The pairs of rows that a step draws.
    Pairs {
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// The random stream of A's pairs; B has the next one.
        stream: u32,
        /// Rows of a batch.
        batch_size: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
        /// Padding.
        padding_2: u32,
    }
}

device_struct! {
    /// Units of a hidden layer that a step leaves out.
    Dropout {
        /// Lower half of replica 0's seed; replica r has seed + r.
        seed_low: u32,
        /// Upper half.
        seed_high: u32,
        /// The random stream of A's units; B's is 2¹⁶ further.
        stream: u32,
        /// Rows of a slot.
        rows: u32,
        /// Row length, in quads.
        quads: u32,
        /// A unit whose random word is below this is left out.
        threshold: u32,
        /// What the others are multiplied by.
        factor: f32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

impl Shuffle {
    /// The orders of `replicas` runs whose seeds start at `seed`.
    pub fn new(seed: u64, sample_count: usize, replicas: usize, enabled: bool) -> Self {
        let [seed_low, seed_high] = halves(seed);
        Self {
            seed_low,
            seed_high,
            stream: Stream::Shuffle.id(),
            sample_count: sample_count as u32,
            replicas: replicas as u32,
            enabled: u32::from(enabled),
            ..Self::default()
        }
    }

    /// The same for batches of `batch_size` rows whose first half is drawn from the first `labelled` samples, the rest from the others.
    pub fn in_halves(self, labelled: usize, batch_size: usize) -> Self {
        Self { labelled: labelled as u32, batch_size: batch_size as u32, ..self }
    }

    /// The same where each replica learns from `learned` samples and leaves the others out.
    pub fn of_folds(self, learned: usize) -> Self {
        Self { labelled: learned as u32, ..self }
    }

    /// The order of one replica alone.
    pub fn of_replica(&self, replica: usize) -> Self {
        let seed = (u64::from(self.seed_high) << 32 | u64::from(self.seed_low)).wrapping_add(replica as u64);
        let [seed_low, seed_high] = halves(seed);
        Self { seed_low, seed_high, replicas: 1, ..*self }
    }
}

impl Dropout {
    /// A `share` of the units of `rows`, of hidden layer `layer` of runs whose seeds start at `seed`.
    pub fn new(seed: u64, layer: usize, share: f64, rows: &Rows) -> Self {
        let [seed_low, seed_high] = halves(seed);
        Self {
            seed_low,
            seed_high,
            stream: Stream::Dropout { model: 0, layer: layer as u16 }.id(),
            rows: rows.rows,
            quads: rows.quads,
            threshold: (share * 2f64.powi(32)) as u32,
            factor: (1.0 / (1.0 - share)) as f32,
            padding_0: 0,
        }
    }
}

impl Pairs {
    /// The pairs among batches of `batch_size` rows of `views`, of runs whose seeds start at `seed`.
    pub fn new(seed: u64, batch_size: usize, views: Views) -> Self {
        let [seed_low, seed_high] = halves(seed);
        Self {
            seed_low,
            seed_high,
            stream: Stream::Pairs { model: 0 }.id(),
            batch_size: batch_size as u32,
            label_shift: views.shift(),
            ..Self::default()
        }
    }
}

/// By how many bits a view's number is larger than that of its order.
fn order_shift(views: Views) -> u32 {
    match views {
        Views::Slot => 1,
        Views::Replica => 0,
        Views::Run => 31,
    }
}

impl Shard {
    /// The shard `first_image .. first_image + image_count` of `images`, gathered in batches of `batch_size` for `views`.
    pub fn new(images: &Images, first_image: usize, image_count: usize, batch_size: usize, views: Views) -> Self {
        let pixels = images.pixels_per_image();
        Self {
            first_image: first_image as u32,
            image_count: image_count as u32,
            pixels: pixels as u32,
            sample_count: images.count() as u32,
            record_words: (quads(pixels) * if images.has_features() { 4 } else { 1 } + 1) as u32,
            batch_size: batch_size as u32,
            input_quads: quads(pixels) as u32,
            order_shift: order_shift(views),
            height: images.shape.height as u32,
            width: images.shape.width as u32,
            ..Self::default()
        }
    }

    /// The same images as they are, gathered in batches of `batch_size` for `views`.
    pub fn unchanged(&self, batch_size: usize, views: Views) -> Self {
        let still = self.augmented(&Augmentation::default(), 0);
        Self { batch_size: batch_size as u32, order_shift: order_shift(views), stream: 0, ..still }
    }

    /// The same with random changes of its images.
    pub fn augmented(self, augmentation: &Augmentation, seed: u64) -> Self {
        let [seed_low, seed_high] = halves(seed);
        Self {
            shift: augmentation.shift,
            flip: u32::from(augmentation.flip),
            rotation: augmentation.rotation.to_radians() as f32,
            scale: augmentation.scale as f32,
            elastic: augmentation.elastic as f32,
            stream: Stream::Augmentation { model: 0, place: 0 }.id(),
            seed_low,
            seed_high,
            ..self
        }
    }

    /// Whether images are turned, resized or bent.
    pub fn turns(&self) -> bool {
        self.rotation > 0.0 || self.scale > 0.0 || self.bends()
    }

    /// Whether places of an image are displaced.
    pub fn bends(&self) -> bool {
        self.elastic > 0.0
    }

    /// Whether images are changed at all.
    pub fn moves(&self) -> bool {
        self.flip > 0 || self.shift > 0 || self.turns()
    }

    /// Whether records hold features and not bytes.
    pub fn has_features(&self) -> bool {
        self.record_words > self.input_quads + 1
    }

    /// The part of the shard that begins `first` images behind its beginning and has at most `count` of them.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let count = count.min((self.image_count as usize).saturating_sub(first));
        Self { first_image: self.first_image + first as u32, image_count: count as u32, ..*self }
    }

    /// Words of the shard's records.
    pub fn words(&self) -> usize {
        self.image_count as usize * self.record_words as usize
    }

    /// The shard's records: four pixels a word, the first in the lowest byte, or a word for each feature, standardised by
    /// `statistics`; then a word with the label, [`UNLABELLED`] for the images of which `unlabelled`, ascending, has the numbers.
    pub fn records(&self, images: &Images, unlabelled: &[u32], statistics: Option<&Statistics>) -> Vec<u32> {
        let label = |index: usize| match unlabelled.binary_search(&(index as u32)) {
            Ok(_) => UNLABELLED,
            Err(_) => u32::from(images.labels[index]),
        };
        let range = self.first_image as usize..(self.first_image + self.image_count) as usize;
        let mut records = Vec::with_capacity(self.words());
        if let Some(features) = &images.features {
            let (mut row, padding) = (vec![0.0; features.width()], self.record_words as usize - 1 - features.width());
            for index in range {
                features.read(index..index + 1, &mut row);
                if let Some(statistics) = statistics {
                    statistics.apply(&mut row);
                }
                records.extend(row.iter().map(|number| number.to_bits()));
                records.extend(std::iter::repeat_n(0, padding));
                records.push(label(index));
            }
            return records;
        }
        for index in range {
            records.extend(
                images
                    .image(index)
                    .chunks(4)
                    .map(|pixels| pixels.iter().rev().fold(0, |word, &pixel| word << 8 | u32::from(pixel))),
            );
            records.push(label(index));
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Features, ImageShape};

    #[test]
    fn records_hold_four_pixels_a_word_and_the_label() {
        let images = Images { pixels: (1..=10).collect(), labels: vec![7, 9], shape: ImageShape::gray(1, 5), features: None };
        let shard = Shard::new(&images, 1, 1, 4, Views::Replica);
        assert_eq!(shard.records(&images, &[], None), [0x0908_0706, 0x0000_000a, 9]);
        assert_eq!(shard.records(&images, &[1], None), [0x0908_0706, 0x0000_000a, UNLABELLED]);
        assert!(!shard.has_features());
    }

    #[test]
    fn records_hold_standardised_features_and_the_label() {
        let features = Features::of(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        let images =
            Images { pixels: Vec::new(), labels: vec![7, 9], shape: ImageShape::gray(1, 3), features: Some(features.clone()) };
        let shard = Shard::new(&images, 0, 2, 4, Views::Replica);
        let words = |numbers: [f32; 3], label| [numbers.map(f32::to_bits).to_vec(), vec![0, label]].concat();
        assert!(shard.has_features());
        assert_eq!(shard.records(&images, &[], None), [words([1.0, 2.0, 3.0], 7), words([4.0, 5.0, 6.0], 9)].concat());
        let statistics = Some(features.statistics());
        assert_eq!(shard.part(1, 5).records(&images, &[], statistics), words([1.0; 3], 9));
        assert_eq!(shard.part(1, 5).words(), 5);
    }
}
