//! The only source of randomness: a counter-based generator, so that any number can be computed anywhere, in any order,
//! by host or device, from `(seed, stream, counter)` alone.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//! `shaders/shared/random.wgsl` is the same function on the device; [`crate::kernels::shuffle`] is the kernel which pins them together.

/// Multipliers of the two lanes and increments of the two key words, from the paper's table 2.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: u32 = 10;

/// What a sequence of random numbers is for. Two streams of one seed share no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Initial weights and biases of one layer of one model (0 is A, 1 is B).
    Parameters {
        /// 0 for A, 1 for B.
        model: u8,
        /// Layer index from 0.
        layer: u16,
    },
    /// The order of the samples; the counter is the epoch.
    Shuffle,
    /// Initial weights of the projection behind one hidden layer of one model.
    Projection {
        /// 0 for A, 1 for B.
        model: u8,
        /// Layer index from 0.
        layer: u16,
    },
    /// Changes of training images; the counter is the image and, above it, the epoch.
    Augmentation {
        /// 0 for A, 1 for B.
        model: u8,
        /// 0 for what happens to the whole image, then a number for each place that is displaced.
        place: u8,
    },
    /// Pairs of rows of a batch; the counter is the row's position in the epoch's order and, above it, the epoch.
    Pairs {
        /// 0 for A, 1 for B.
        model: u8,
    },
    /// The generated data set `digits`; the counter is owned by `dataset::digits`.
    Digits {
        /// 0 for the training images, 1 for the test images.
        split: u8,
    },
    /// Labels that are made wrong; the counter is the image.
    LabelNoise,
    /// Images that keep their labels; the counter is the image.
    Labelled,
    /// The fold of an image, whose content is in the seed; the counter is the round.
    Folds,
    /// Units of a hidden layer that are left out; the counter is the quad's position in the epoch and, above it, the epoch.
    Dropout {
        /// 0 for A, 1 for B.
        model: u8,
        /// Layer index from 0.
        layer: u16,
    },
    /// Inputs of parity checks and benchmarks.
    Check,
}

impl Stream {
    /// The stream's identity inside the counter.
    pub const fn id(self) -> u32 {
        match self {
            Stream::Parameters { model, layer } => 0x0100_0000 | (model as u32) << 16 | layer as u32,
            Stream::Shuffle => 0x0200_0000,
            Stream::Digits { split } => 0x0300_0000 | split as u32,
            Stream::Check => 0x0400_0000,
            Stream::Projection { model, layer } => 0x0500_0000 | (model as u32) << 16 | layer as u32,
            Stream::Augmentation { model, place } => 0x0600_0000 | (place as u32) << 8 | model as u32,
            Stream::Pairs { model } => 0x0700_0000 | model as u32,
            Stream::LabelNoise => 0x0800_0000,
            Stream::Labelled => 0x0a00_0000,
            Stream::Folds => 0x0b00_0000,
            Stream::Dropout { model, layer } => 0x0900_0000 | (model as u32) << 16 | layer as u32,
        }
    }
}

/// Four random words for `(seed, stream, counter)`.
pub fn philox(seed: u64, stream: Stream, counter: u64) -> [u32; 4] {
    philox_words(seed, stream.id(), counter)
}

/// The same for a stream that is known by its identity only, as on a device.
pub fn philox_words(seed: u64, stream: u32, counter: u64) -> [u32; 4] {
    let [low, high] = halves(counter);
    philox_4x32_10([low, high, stream, 0], halves(seed))
}

/// The lower and the upper half of a number, as devices, which have no 64 bits, hold it.
pub fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

fn philox_4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let first = u64::from(counter[0]) * u64::from(MULTIPLIERS[0]);
        let second = u64::from(counter[2]) * u64::from(MULTIPLIERS[1]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(KEY_INCREMENTS[0]), key[1].wrapping_add(KEY_INCREMENTS[1])];
    }
    counter
}

/// A word as a uniform number in `[0, 1)`: the upper 24 bits, all of which an `f32` holds exactly.
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A sequential reader of one stream, for host code that wants "the next number".
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    stream: Stream,
    counter: u64,
    block: [u32; 4],
    used: usize,
}

impl Generator {
    /// Starts at `counter`. Generators whose counters are at least `numbers / 4` apart do not overlap.
    pub fn new(seed: u64, stream: Stream, counter: u64) -> Self {
        Self { seed, stream, counter, block: [0; 4], used: 4 }
    }

    /// The next word.
    pub fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.seed, self.stream, self.counter);
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.word())
    }

    /// Uniform in `0..bound`; the bias of the multiplication method is below `bound / 2³²`.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(bound)) >> 32) as u32
    }

    /// A standard normal number (Box–Muller; one of the pair, so that the consumption of words is fixed).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - unit(self.word())).ln()).sqrt();
        radius * (std::f32::consts::TAU * unit(self.word())).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published known-answer vectors of Philox4x32-10.
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox_4x32_10([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox_4x32_10([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox_4x32_10([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_do_not_collide() {
        let streams = [
            Stream::Parameters { model: 0, layer: 0 },
            Stream::Parameters { model: 1, layer: 0 },
            Stream::Parameters { model: 0, layer: 1 },
            Stream::Shuffle,
            Stream::Digits { split: 0 },
            Stream::Digits { split: 1 },
            Stream::Check,
            Stream::Projection { model: 0, layer: 0 },
            Stream::Projection { model: 1, layer: 0 },
            Stream::Augmentation { model: 0, place: 0 },
            Stream::Augmentation { model: 1, place: 0 },
            Stream::Augmentation { model: 0, place: 1 },
            Stream::Pairs { model: 0 },
            Stream::Pairs { model: 1 },
            Stream::Dropout { model: 0, layer: 0 },
            Stream::Dropout { model: 1, layer: 0 },
            Stream::Dropout { model: 0, layer: 1 },
            Stream::LabelNoise,
            Stream::Labelled,
            Stream::Folds,
        ];
        for (index, left) in streams.iter().enumerate() {
            for right in &streams[index + 1..] {
                assert_ne!(left.id(), right.id(), "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let mut generator = Generator::new(7, Stream::Check, 0);
        let count = 100_000;
        let uniform: f64 = (0..count).map(|_| f64::from(generator.uniform(0.0, 1.0))).sum::<f64>() / f64::from(count);
        // Standard error of the mean of a uniform number: 1/sqrt(12 n) = 9.1e-4; five of them.
        assert!((uniform - 0.5).abs() < 5.0 * 9.2e-4, "{uniform}");
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..count {
            let value = f64::from(generator.normal());
            sum += value;
            squares += value * value;
        }
        // Standard errors: 1/sqrt(n) = 3.2e-3 of the mean, sqrt(2/n) = 4.5e-3 of the variance; five of each.
        assert!((sum / f64::from(count)).abs() < 5.0 * 3.2e-3);
        assert!((squares / f64::from(count) - 1.0).abs() < 5.0 * 4.5e-3);
    }
}
