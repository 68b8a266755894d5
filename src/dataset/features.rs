//! Measurements in the place of pixels: rows of 32-bit numbers, such as a table's columns, spectra, or what another model computed.

use super::Images;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Rows that are read at a time.
const BLOCK: usize = 256;

/// A part of the deviation that may be lost by rounding.
const LOSS: f64 = 1.0 / 1024.0;

/// Where numbers stand: in a vector, or in memory of another language, so that they need not be copied.
pub trait FeatureRows: Send + Sync {
    /// Writes the given rows into `target`, one behind the other. A row has the same numbers whenever it is read.
    fn read(&self, rows: &[u32], target: &mut [f32]);
}

/// Rows of a vector.
struct Owned {
    numbers: Vec<f32>,
    width: usize,
}

impl FeatureRows for Owned {
    fn read(&self, rows: &[u32], target: &mut [f32]) {
        for (target, &row) in target.chunks_exact_mut(self.width).zip(rows) {
            target.copy_from_slice(&self.numbers[row as usize * self.width..][..self.width]);
        }
    }
}

/// Rows of features: some of those of a source, in any order.
#[derive(Clone)]
pub struct Features {
    source: Arc<dyn FeatureRows>,
    rows: Vec<u32>,
    width: usize,
    /// Made when they are first asked for: that reads all rows twice.
    statistics: Arc<OnceLock<Statistics>>,
}

/// By what numbers are standardised: (x − mean) / deviation. One entry for all pixels, or one for each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations; 1 where all numbers are the same.
    pub deviation: Vec<f64>,
}

impl Statistics {
    /// Those that leave `width` numbers as they are.
    pub fn identity(width: usize) -> Self {
        Self { mean: vec![0.0; width], deviation: vec![1.0; width] }
    }

    /// Whether they belong to `width` numbers and can be used.
    pub fn fit(&self, width: usize) -> bool {
        self.mean.len() == width
            && self.deviation.len() == width
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(|deviation| deviation.is_finite() && *deviation > 0.0)
    }

    /// Standardises rows. Each number is rounded once, so that every backend trains on the same bits.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((number, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *number = ((f64::from(*number) - mean) / deviation) as f32;
            }
        }
    }
}

impl Features {
    /// The `count` rows of a source, each of `width` numbers.
    pub fn new(source: Arc<dyn FeatureRows>, count: usize, width: usize) -> Self {
        Self { source, rows: (0..count as u32).collect(), width, statistics: Arc::default() }
    }

    /// Rows of `width` numbers, one behind the other.
    pub fn of(numbers: Vec<f32>, width: usize) -> Self {
        let count = numbers.len() / width.max(1);
        Self::new(Arc::new(Owned { numbers, width }), count, width)
    }

    /// The same of numbers with more digits, less the offset of each column.
    pub fn of_doubles(numbers: &[f64], width: usize, offset: Option<&[f64]>) -> Self {
        let less = |(place, number): (usize, &f64)| (number - offset.map_or(0.0, |offset| offset[place % width])) as f32;
        Self::of(numbers.iter().enumerate().map(less).collect(), width)
    }

    /// What must be subtracted from each column so that its numbers keep their differences as 32 bits: its mean, where they would lose a
    /// part of them that counts, else 0. Nothing where no column needs it.
    pub fn offset_of(numbers: &[f64], width: usize) -> Option<Vec<f64>> {
        let count = (numbers.len() / width.max(1)).max(1) as f64;
        let offset = |column: usize| {
            let own = || numbers.iter().skip(column).step_by(width);
            let mean = own().sum::<f64>() / count;
            let deviation = (own().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt();
            let lost = own().map(|number| (number - f64::from(*number as f32)).abs()).fold(0.0, f64::max);
            // What rounding makes of numbers that are all the same is no deviation.
            if deviation > 1e-12 * mean.abs() && lost > LOSS * deviation { mean } else { 0.0 }
        };
        let offsets: Vec<f64> = (0..width).map(offset).collect();
        offsets.iter().any(|&offset| offset != 0.0).then_some(offsets)
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Writes rows into `target`, one behind the other.
    pub fn read(&self, rows: Range<usize>, target: &mut [f32]) {
        self.source.read(&self.rows[rows], target);
    }

    /// Hands over all numbers, some rows at a time; the first argument is the number of the first row.
    pub fn for_each_block(&self, mut take: impl FnMut(usize, &[f32])) {
        let mut block = vec![0.0; BLOCK.min(self.count()) * self.width];
        for first in (0..self.count()).step_by(BLOCK) {
            let rows = first..(first + BLOCK).min(self.count());
            let block = &mut block[..rows.len() * self.width];
            self.read(rows, block);
            take(first, block);
        }
    }

    /// These rows of them, in this order.
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let rows = rows.into_iter().map(|row| self.rows[row]).collect();
        Self { rows, statistics: Arc::default(), ..self.clone() }
    }

    /// The rows of both.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut numbers = Vec::with_capacity((self.count() + other.count()) * self.width);
        for part in [self, other] {
            part.for_each_block(|_, block| numbers.extend_from_slice(block));
        }
        Self::of(numbers, self.width)
    }

    /// Refuses numbers that are not finite; the message counts rows and columns from 0.
    pub fn check_finite(&self) -> Result<()> {
        let mut found = None;
        self.for_each_block(|first, block| {
            if found.is_none()
                && let Some(place) = block.iter().position(|number| !number.is_finite())
            {
                found = Some((first + place / self.width, place % self.width, block[place]));
            }
        });
        match found {
            Some((row, column, number)) => Err(Error::Dataset(format!(
                "the features hold {number} in row {row}, column {column}, counted from 0; fill in or remove what is missing or infinite"
            ))),
            None => Ok(()),
        }
    }

    /// The mean of a term of each feature's numbers; its first argument is the feature.
    fn means_of(&self, term: impl Fn(usize, f64) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        self.for_each_block(|_, block| {
            for row in block.chunks_exact(self.width) {
                sums.iter_mut().zip(row).enumerate().for_each(|(column, (sum, &number))| *sum += term(column, number.into()));
            }
        });
        sums.iter_mut().for_each(|sum| *sum /= self.count() as f64);
        sums
    }

    /// Mean and standard deviation of each feature, summed in f64 over the rows in their order.
    pub fn statistics(&self) -> &Statistics {
        self.statistics.get_or_init(|| {
            let mean = self.means_of(|_, number| number);
            let mut deviation = self.means_of(|column, number| (number - mean[column]).powi(2));
            for (deviation, mean) in deviation.iter_mut().zip(&mean) {
                *deviation = deviation.sqrt();
                // What rounding makes of numbers that are all the same is no deviation.
                if *deviation <= 1e-12 * mean.abs() || *deviation < f64::from(f32::MIN_POSITIVE) {
                    *deviation = 1.0;
                }
            }
            Statistics { mean, deviation }
        })
    }
}

impl std::fmt::Debug for Features {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} rows of {} features", self.count(), self.width)
    }
}

impl PartialEq for Features {
    /// Bit by bit.
    fn eq(&self, other: &Self) -> bool {
        let (mut a, mut b) = (vec![0.0; self.width], vec![0.0; self.width]);
        self.width == other.width
            && self.count() == other.count()
            && (0..self.count()).all(|row| {
                self.read(row..row + 1, &mut a);
                other.read(row..row + 1, &mut b);
                a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits())
            })
    }
}

impl Eq for Features {}

impl Images {
    /// Whether these are rows of features and not images.
    pub fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// What one of them is called, for messages.
    pub fn noun(&self) -> &'static str {
        if self.has_features() { "row" } else { "image" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns by hand, and one that says nothing.
    #[test]
    fn each_feature_has_statistics_of_its_own() {
        let features = Features::of(vec![1.0, 1000.0, 7.0, 3.0, 3000.0, 7.0], 3);
        let statistics = features.statistics();
        assert_eq!((&statistics.mean[..], &statistics.deviation[..]), (&[2.0, 2000.0, 7.0][..], &[1.0, 1000.0, 1.0][..]));
        let mut rows = vec![0.0; 6];
        features.read(0..2, &mut rows);
        statistics.apply(&mut rows);
        assert_eq!(rows, [-1.0, -1.0, 0.0, 1.0, 1.0, 0.0]);
        // A part has its own.
        assert_eq!(features.select([1]).statistics().mean, [3.0, 3000.0, 7.0]);
        assert!(statistics.fit(3) && !statistics.fit(2) && !Statistics { deviation: vec![0.0; 3], ..statistics.clone() }.fit(3));
    }

    #[test]
    fn what_stands_far_from_zero_keeps_its_differences() {
        let times: Vec<f64> = (0..40).flat_map(|row| [1.7e9 + 0.25 * f64::from(row), f64::from(row), 7.1]).collect();
        assert_eq!(Features::of_doubles(&times, 3, None).statistics().deviation[0], 1.0);
        let offset = Features::offset_of(&times, 3).unwrap();
        assert_eq!((offset[0] - 1.7e9 - 4.875, offset[1], offset[2]), (0.0, 0.0, 0.0));
        let features = Features::of_doubles(&times, 3, Some(&offset));
        let mut rows = vec![0.0; 6];
        features.read(38..40, &mut rows);
        assert_eq!((rows[0], rows[3], rows[4]), (4.625, 4.875, 39.0));
        assert_eq!(Features::offset_of(&[1e6, 1e6 + 0.25, 1e6 + 0.5], 1), None);
    }

    #[test]
    fn rows_are_taken_in_any_order_and_from_both() {
        let features = Features::of((0..2 * 600).map(|number| number as f32).collect(), 2);
        let some = features.select([599, 0]);
        let mut rows = vec![0.0; 4];
        some.read(0..2, &mut rows);
        assert_eq!(rows, [1198.0, 1199.0, 0.0, 1.0]);
        let both = some.with(&features.select(3..5));
        assert!(both == Features::of(vec![1198.0, 1199.0, 0.0, 1.0, 6.0, 7.0, 8.0, 9.0], 2) && both != some);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let mut numbers = vec![0.5; 3 * 400];
        assert!(Features::of(numbers.clone(), 3).check_finite().is_ok());
        numbers[3 * 300 + 2] = f32::NAN;
        numbers[3 * 301] = f32::INFINITY;
        let message = Features::of(numbers, 3).check_finite().unwrap_err().to_string();
        assert!(message.contains("NaN in row 300, column 2"), "{message}");
    }
}
