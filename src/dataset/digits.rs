//! The built-in data set `digits`: handwritten-looking digits that the program draws itself, so that it can be tried and
//! tested without a download.
//!
//! Every image is a function of `(seed, split, index)` alone. Its arithmetic is `+ − × ÷ √` and rounding of `f32`, which IEEE
//! 754 defines to the bit and Rust neither fuses nor reorders; no sine, logarithm or `Generator::normal`, whose last bits
//! are the platform's. Hence the bytes are the same on every platform, in any order and on any number of threads.

mod strokes;

use super::{Dataset, ImageShape, Images, numbered};
use crate::parallel;
use crate::random::{Generator, Stream};
use strokes::{Knot, STYLES, Style};

/// The name that the command line knows the data set by.
pub const NAME: &str = "digits";
/// Number of training images.
pub const TRAIN_COUNT: usize = 60_000;
/// Number of test images.
pub const TEST_COUNT: usize = 10_000;
/// The seed of *the* data set: a training seed must not change what is learnt.
pub const SEED: u64 = 0;

const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = STYLES.len();

/// Counters, of four words each, that one image owns. It takes 196 words for its noise, four for each of at most 16 knots and
/// some 30 for all else, which is below 300; with 1024 words of its own it never shares a number with another.
const BLOCK: u64 = 256;

/// Straight pieces per stretch between two knots: one piece is about a pixel long.
const STEPS: u8 = 5;
/// Pixels between the edge of the image and the outline of an evenly pressed stroke.
const MARGIN: f32 = 1.5;

type Point = [f32; 2];

/// A straight piece of a stroke, as thick as the pen's pressure makes it.
struct Segment {
    ends: [Point; 2],
    radius: f32,
}

/// The full data set.
pub fn generate(seed: u64) -> Dataset {
    generate_with_counts(seed, TRAIN_COUNT, TEST_COUNT)
}

/// The first `train` and `test` images of the endless sequences that `seed` stands for: a smaller set is a prefix of a
/// larger one. Zero is taken as one, since [`Images`] are never empty.
pub fn generate_with_counts(seed: u64, train: usize, test: usize) -> Dataset {
    Dataset::of(NAME, images(seed, 0, train.max(1)), images(seed, 1, test.max(1)), numbered(CLASSES))
}

fn images(seed: u64, split: u8, count: usize) -> Images {
    let mut pixels = vec![0; count * PIXELS];
    let mut labels = vec![0; count];
    let mut places: Vec<_> = pixels.chunks_exact_mut(PIXELS).zip(&mut labels).collect();
    parallel::for_each(&mut places, |(index, (image, label))| {
        let mut generator = Generator::new(seed, Stream::Digits { split }, index as u64 * BLOCK);
        // Below ten, so the narrowing loses nothing.
        **label = generator.below(CLASSES as u32) as u8;
        draw(&mut generator, STYLES[usize::from(**label)], image);
    });
    Images { pixels, labels, shape: ImageShape::gray(SIDE, SIDE), features: None }
}

/// Triangular in `(-amount, amount)`: small deviations are more frequent than large ones, as with a hand.
fn deviation(generator: &mut Generator, amount: f32) -> f32 {
    generator.uniform(-0.5, 0.5) * amount + generator.uniform(-0.5, 0.5) * amount
}

fn draw(generator: &mut Generator, styles: &[Style], image: &mut [u8]) {
    let style = styles[generator.below(styles.len() as u32) as usize];
    let mut segments = shape(generator, style);
    place(generator, &mut segments);
    let softness = generator.uniform(1.0, 2.2);
    let coverage = rasterize(&segments, softness);
    let ink = 255.0 * generator.uniform(0.55, 1.0);
    let noise = 255.0 * generator.uniform(0.0, 0.15);
    for (four, values) in image.chunks_exact_mut(4).zip(coverage.chunks_exact(4)) {
        let word = generator.word();
        for ((pixel, value), byte) in four.iter_mut().zip(values).zip(word.to_le_bytes()) {
            let grain = (f32::from(byte) - 127.5) * (1.0 / 127.5);
            // `as` saturates at 0 and 255.
            *pixel = (value * ink + grain * noise + 0.5) as u8;
        }
    }
}

/// The strokes of a style with every knot displaced, as segments around the origin in units of the digit's height.
fn shape(generator: &mut Generator, style: Style) -> Vec<Segment> {
    let wobble = generator.uniform(0.03, 0.12);
    let mut places: Vec<(Knot, Point)> = Vec::new();
    let mut segments = Vec::new();
    for stroke in style {
        // A pen that presses harder at one end of the stroke than at the other.
        let taper = deviation(generator, 0.35);
        let mut points = Vec::with_capacity(stroke.len());
        for &knot in *stroke {
            if let Some((_, point)) = places.iter().find(|(other, _)| *other == knot) {
                points.push(*point);
                continue;
            }
            let point = [knot.0, knot.1].map(|coordinate| f32::from(coordinate) * 0.01 - 0.5 + deviation(generator, wobble));
            places.push((knot, point));
            points.push(point);
        }
        let first = segments.len();
        let mut start = 0;
        for index in 1..=points.len() {
            // A repeated knot is a corner.
            if index == points.len() || stroke[index] == stroke[index - 1] {
                curve(&points[start..index], &mut segments);
                start = index;
            }
        }
        let scale = 2.0 / (segments.len() - first).max(1) as f32;
        for (position, segment) in segments[first..].iter_mut().enumerate() {
            segment.radius = 1.0 + taper * (position as f32 * scale - 1.0);
        }
    }
    segments
}

/// A Catmull–Rom spline through the points: smooth, and it passes through each, so a style can be read off its table.
fn curve(points: &[Point], segments: &mut Vec<Segment>) {
    for index in 1..points.len() {
        let (from, to) = (points[index - 1], points[index]);
        let mirrored = |at: Point, other: Point| [2.0 * at[0] - other[0], 2.0 * at[1] - other[1]];
        let before = if index > 1 { points[index - 2] } else { mirrored(from, to) };
        let after = points.get(index + 1).copied().unwrap_or_else(|| mirrored(to, from));
        let mut last = from;
        for step in 1..=STEPS {
            let t = f32::from(step) / f32::from(STEPS);
            let next = std::array::from_fn(|axis| {
                let (a, b, c, d) = (before[axis], from[axis], to[axis], after[axis]);
                let cubic = 3.0 * (b - c) + d - a;
                let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
                b + 0.5 * t * (c - a + t * (square + t * cubic))
            });
            segments.push(Segment { ends: [last, next], radius: 1.0 });
            last = next;
        }
    }
}

/// Bends, slants, rotates and scales the digit and moves it to where it lies in the image, in pixels.
fn place(generator: &mut Generator, segments: &mut [Segment]) {
    let bend = [deviation(generator, 0.35), deviation(generator, 0.35)];
    let slant = deviation(generator, 0.45);
    // The half-angle's tangent gives sine and cosine as quotients, exact without a libm.
    let half = deviation(generator, 0.22);
    let (cosine, sine) = ((1.0 - half * half) / (1.0 + half * half), 2.0 * half / (1.0 + half * half));
    // These ranges set how hard the task is: a linear classifier gets about 84 % right, a 784-64-64-10 network about 98 %. What
    // it hinges on is the shift: at ±2 pixels the linear one reaches 92 %, at ±5 pixels 72 %.
    let height = generator.uniform(15.0, 22.0);
    let width = height * generator.uniform(0.7, 1.25);
    let radius = height * generator.uniform(0.04, 0.085);
    let shift = [deviation(generator, 3.2), deviation(generator, 3.2)];

    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for segment in &mut *segments {
        segment.radius *= radius;
        for end in &mut segment.ends {
            let bent = [end[0] + bend[0] * end[1] * end[1], end[1] + bend[1] * end[0] * end[0]];
            let (x, y) = (width * (bent[0] - slant * bent[1]), height * bent[1]);
            *end = [cosine * x - sine * y, sine * x + cosine * y];
            for axis in 0..2 {
                low[axis] = low[axis].min(end[axis]);
                high[axis] = high[axis].max(end[axis]);
            }
        }
    }
    // The digit shrinks to what the margin leaves and shifts by no more than the space around it.
    let room = SIDE as f32 - 2.0 * (MARGIN + radius);
    let scale = (room / (high[0] - low[0])).min(room / (high[1] - low[1])).min(1.0);
    let offset: Point = std::array::from_fn(|axis| {
        // Rounding may leave a shrunk digit a hair wider than the room.
        let free = (0.5 * (room - scale * (high[axis] - low[axis]))).max(0.0);
        0.5 * SIDE as f32 + shift[axis].clamp(-free, free) - 0.5 * scale * (low[axis] + high[axis])
    });
    for end in segments.iter_mut().flat_map(|segment| &mut segment.ends) {
        *end = std::array::from_fn(|axis| scale * end[axis] + offset[axis]);
    }
}

/// How much of each pixel is inked: one inside a stroke, falling to zero over `softness` pixels across its edge.
fn rasterize(segments: &[Segment], softness: f32) -> [f32; PIXELS] {
    let mut coverage = [0f32; PIXELS];
    for Segment { ends: [start, end], radius } in segments {
        let along = [end[0] - start[0], end[1] - start[1]];
        let length = along[0] * along[0] + along[1] * along[1];
        // A point-like segment is a dot; the divisor keeps 0/0 out.
        let inverse = 1.0 / length.max(1e-12);
        let reach = radius + 0.5 * softness;
        // Only the pixels whose centres the ink can reach; `as` saturates at zero.
        let range = |axis: usize| {
            let low = (start[axis].min(end[axis]) - reach - 0.5) as usize;
            let high = (start[axis].max(end[axis]) + reach + 0.5) as usize;
            low..high.min(SIDE)
        };
        for row in range(1) {
            let y = row as f32 + 0.5 - start[1];
            for column in range(0) {
                let x = column as f32 + 0.5 - start[0];
                let t = ((x * along[0] + y * along[1]) * inverse).clamp(0.0, 1.0);
                let (across, down) = (x - t * along[0], y - t * along[1]);
                let distance = (across * across + down * down).sqrt();
                let value = ((reach - distance) / softness).clamp(0.0, 1.0);
                let pixel = &mut coverage[row * SIDE + column];
                *pixel = pixel.max(value);
            }
        }
    }
    coverage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: usize) -> Images {
        images(SEED, 0, count)
    }

    /// FNV-1a, 64 bits.
    fn checksum(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    }

    /// The data set may not change unnoticed: every published accuracy depends on it.
    #[test]
    fn bytes_are_pinned() {
        let data = generate_with_counts(SEED, 100, 100);
        assert_eq!((data.name.as_str(), data.classes(), data.train.shape), ("digits", 10, ImageShape::gray(28, 28)));
        let sums = [&data.train.pixels, &data.train.labels, &data.test.pixels, &data.test.labels].map(|bytes| checksum(bytes));
        let pinned = [0x3872_8E7D_764C_F690, 0x986D_CB40_5797_294D, 0xF440_259C_EBC7_5D85, 0x08BE_B213_0489_7525];
        assert_eq!(sums, pinned, "{sums:#x?}");
    }

    #[test]
    fn bytes_depend_on_seed_split_and_index_only() {
        let data = generate_with_counts(SEED, 60, 60);
        let again = generate_with_counts(SEED, 60, 60);
        assert!(data.train == again.train && data.test == again.test);
        assert!(data.train != data.test && data.train != generate_with_counts(SEED + 1, 60, 60).train);
        assert_eq!(generate_with_counts(SEED, 0, 0).train.count(), 1);
        let prefix = generate_with_counts(SEED, 17, 5);
        assert_eq!(prefix.train.pixels, data.train.pixels[..17 * PIXELS]);
        assert_eq!(prefix.train.labels, data.train.labels[..17]);
        assert_eq!(prefix.test.pixels, data.test.pixels[..5 * PIXELS]);
        assert_eq!(prefix.test.labels, data.test.labels[..5]);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| sample(60)) == data.train, "{threads} threads");
        }
    }

    #[test]
    fn an_image_stays_within_its_block() {
        for style in STYLES.iter().copied().flatten() {
            let knots: usize = style.iter().map(|stroke| stroke.len()).sum();
            assert!(knots <= 16 && style.len() <= 2 && PIXELS / 4 + 4 * knots + 40 <= 4 * BLOCK as usize);
        }
    }

    #[test]
    fn classes_are_balanced_and_unordered() {
        let labels = sample(4_000).labels;
        let mut counts = [0i32; CLASSES];
        for &label in &labels {
            counts[usize::from(label)] += 1;
        }
        // Binomial with n = 4000, p = 1/10: standard deviation √(n p (1 − p)) = 19; five of them.
        assert!(counts.iter().all(|count| (count - 400).abs() < 95), "{counts:?}");
        // Neighbours are equal one time in ten, with the same deviation.
        let equal = labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(equal.abs_diff(400) < 95, "{equal}");
    }

    #[test]
    fn ink_is_visible_and_inside() {
        let images = sample(2_000);
        let mut border = 0;
        for index in 0..images.count() {
            let image = images.image(index);
            // Noise alone stays below 0.15 · 255 + 0.5 = 39; the least inked of all 70,000 images has 22 such pixels.
            let inked = image.iter().filter(|&&pixel| pixel > 60).count();
            assert!((12..PIXELS / 2).contains(&inked), "image {index} has {inked} inked pixels");
            let edge = |position: usize| [position % SIDE, position / SIDE].iter().any(|&at| at == 0 || at == SIDE - 1);
            border += (0..PIXELS).filter(|&position| edge(position) && image[position] > 60).count();
        }
        assert!(border * 1000 < images.count() * 4 * (SIDE - 1), "{border} inked border pixels");
    }
}
