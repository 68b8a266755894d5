//! Labelled images, held as the bytes that they came in, or rows of features. Both backends turn bytes into numbers by one table of 256
//! values; features are standardised on their way to a device.

#[cfg(feature = "program")]
pub mod archive;
#[cfg(feature = "files")]
pub mod arrays;
#[cfg(feature = "program")]
pub mod catalogue;
mod checks;
#[cfg(feature = "program")]
pub mod checksum;
#[cfg(feature = "program")]
pub mod cifar;
mod copies;
pub mod digits;
pub mod features;
#[cfg(feature = "program")]
pub mod fetch;
#[cfg(feature = "files")]
pub mod file;
#[cfg(feature = "images")]
pub mod folder;
mod folds;
#[cfg(any(feature = "files", feature = "images"))]
pub mod framed;
#[cfg(feature = "files")]
pub mod gzip;
#[cfg(feature = "files")]
pub mod idx;
pub mod input;
#[cfg(feature = "files")]
pub mod labels;
#[cfg(feature = "files")]
pub mod npz;
#[cfg(feature = "files")]
pub mod numbers;
#[cfg(feature = "files")]
pub mod options;
#[cfg(feature = "program")]
pub mod places;
pub mod split;
#[cfg(feature = "files")]
pub mod table;
mod unlabelled;

#[cfg(feature = "program")]
pub use catalogue::DatasetName;
pub use copies::Copies;
pub use features::{FeatureRows, Features, Statistics};
pub use folds::Folds;
pub use input::Input;
#[cfg(feature = "program")]
pub use places::Places;

use crate::checksum::hexadecimal;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Training images that stand for a test set where all that there are is to be learned from: a run measures itself on some images, whether
/// anybody wants to know or not.
#[cfg(any(feature = "files", feature = "images"))]
const AUDIT_TEST: usize = 512;

/// Images of one shape, or rows of features, and their labels. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    /// `[count, channels, height, width]`, row-major; empty where there are features.
    pub pixels: Vec<u8>,
    /// `[count]`, each below the data set's number of classes.
    pub labels: Vec<u8>,
    /// Of each image. Features have one, too: a single row, unless another was given.
    pub shape: ImageShape,
    /// Numbers of other kinds than bytes.
    pub features: Option<Features>,
}

/// The shape of an image. Its numbers stand channel by channel, row by row, as PyTorch flattens images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// 1 for shades of grey, 3 for red, green and blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// Shades of grey.
    pub fn gray(height: usize, width: usize) -> Self {
        Self { channels: 1, height, width }
    }

    /// Numbers in an image: the width of a network's input layer.
    pub fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The same for a shape that came from outside: `None` above 64 bits.
    pub fn checked_pixels(&self) -> Option<usize> {
        self.channels.checked_mul(self.height)?.checked_mul(self.width)
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}×{}", self.height, self.width)?;
        if self.channels == 1 { Ok(()) } else { write!(formatter, "×{}", self.channels) }
    }
}

impl Images {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Numbers in one image: the width of a network's input layer.
    pub fn pixels_per_image(&self) -> usize {
        self.shape.pixels()
    }

    /// The bytes of image `index`.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.pixels_per_image();
        &self.pixels[index * size..(index + 1) * size]
    }

    /// A copy of the first `count` images, or of all if there are not so many.
    pub fn head(&self, count: usize) -> Self {
        let count = count.min(self.count());
        let bytes = if self.has_features() { 0 } else { count * self.pixels_per_image() };
        Self {
            pixels: self.pixels[..bytes].to_vec(),
            labels: self.labels[..count].to_vec(),
            shape: self.shape,
            features: self.features.as_ref().map(|features| features.select(0..count)),
        }
    }

    /// A copy of the images of these numbers, in their order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let bytes = || indices.iter().flat_map(|&index| self.image(index)).copied().collect();
        Self {
            pixels: if self.has_features() { Vec::new() } else { bytes() },
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            shape: self.shape,
            features: self.features.as_ref().map(|features| features.select(indices.iter().copied())),
        }
    }

    /// Keeps the first `count` images; more than there are is no error, zero is.
    pub fn truncate(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Err(Error::Configuration("--limit-train 0 leaves no image to train on; give 1 or more".into()));
        }
        let size = self.pixels_per_image();
        self.labels.truncate(count);
        self.pixels.truncate(count.saturating_mul(size));
        if let Some(features) = &mut self.features
            && count < features.count()
        {
            *features = features.select(0..count);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Images {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.has_features() {
            true => write!(formatter, "{} rows of {} features", self.count(), self.pixels_per_image()),
            false => write!(formatter, "{} images of {}", self.count(), self.shape),
        }
    }
}

/// A training set and a test set over the same classes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name that the command line knows it by.
    pub name: String,
    /// What the networks learn from.
    pub train: Images,
    /// What they are measured on.
    pub test: Images,
    /// What each label stands for.
    pub class_names: Vec<String>,
    /// What to standardise by, where it is not to be the training set's own: a trained model's.
    pub statistics: Option<Statistics>,
    /// What the name is the name of.
    pub origin: Origin,
    /// Images at the end of the training set that [`Self::hold_out`] made the test set.
    pub held_out: Option<usize>,
    /// Training images without a label, by their ascending numbers; something stands in their labels' places.
    pub unlabelled: Vec<u32>,
    /// How own data was read; nothing of known sets.
    pub input: Option<Input>,
    /// What people should know of how it was read.
    pub taken: Taken,
    /// Which images each replica leaves out, where they are judged by networks that have not learned them.
    pub folds: Option<Folds>,
}

/// What a reader took, and what it left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Where labels stand: the rest of a sentence.
    pub labels: Option<String>,
    /// What was not read.
    pub left_out: Vec<String>,
    /// What a reader decided by what it saw, each with the option that decides otherwise.
    pub decided: Vec<String>,
}

/// Where a data set comes from. A folder may have any name, that of a known set too, and is not taken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Origin {
    /// The table of known sets.
    #[default]
    Known,
    /// A folder of images, whose own name is the data set's.
    Folder {
        /// The share of each class that was held back for testing, where the folder has no test set of its own.
        test_fraction: Option<f64>,
    },
    /// A file of arrays or a table, in which classes are numbers without names.
    File {
        /// The share of each class that was held back for testing, where the file has no test set.
        test_fraction: Option<f64>,
    },
}

impl Origin {
    /// Whether its classes have names, and not only numbers.
    pub fn has_class_names(self) -> bool {
        !matches!(self, Self::File { .. })
    }
}

/// The names of classes that have no other: their numbers.
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

impl Dataset {
    /// A known set, of whose training images each has a label.
    pub fn of(name: impl Into<String>, train: Images, test: Images, class_names: Vec<String>) -> Self {
        let (statistics, origin, held_out, unlabelled) = (None, Origin::Known, None, Vec::new());
        let (input, taken, folds) = (None, Taken::default(), None);
        Self { name: name.into(), train, test, class_names, statistics, origin, held_out, unlabelled, input, taken, folds }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Makes all images with labels the test set, those for training, too: to measure a model that learnt elsewhere.
    pub fn test_on_all(&mut self) {
        let mut all = if self.unlabelled.is_empty() { self.train.clone() } else { self.labelled_images() };
        all.pixels.extend_from_slice(&self.test.pixels);
        all.labels.extend_from_slice(&self.test.labels);
        all.features = all.features.as_ref().zip(self.test.features.as_ref()).map(|(own, other)| own.with(other));
        self.test = all;
        self.held_out = None;
    }

    /// SHA-256 of all images and labels and the names of the classes, as hexadecimal digits: whether data is the same data.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for images in [&self.train, &self.test] {
            for size in [images.count(), images.shape.channels, images.shape.height, images.shape.width] {
                hash.update((size as u64).to_le_bytes());
            }
            hash.update(&images.labels);
            hash.update(&images.pixels);
            if let Some(features) = &images.features {
                features.for_each_block(|_, block| hash.update(bytemuck::cast_slice::<f32, u8>(block)));
            }
        }
        if !self.unlabelled.is_empty() {
            hash.update(bytemuck::cast_slice::<u32, u8>(&self.unlabelled));
        }
        for name in &self.class_names {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        hexadecimal(hash)
    }

    /// Mean and standard deviation of the training set's pixels divided by 255, unless others are set: the scalars μ and σ of the
    /// standardisation. Exact, since the histogram of 256 values is summed in integers first.
    pub fn pixel_statistics(&self) -> (f64, f64) {
        if self.train.has_features() {
            return (0.0, 1.0);
        }
        if let Some(Statistics { mean, deviation }) = &self.statistics
            && let (&[mean], &[deviation]) = (&mean[..], &deviation[..])
        {
            return (mean, deviation);
        }
        let mut histogram = [0u64; 256];
        for &pixel in &self.train.pixels {
            histogram[usize::from(pixel)] += 1;
        }
        let count = self.train.pixels.len() as f64;
        let value = |pixel: usize| pixel as f64 / 255.0;
        let mean = histogram.iter().enumerate().map(|(pixel, &n)| n as f64 * value(pixel)).sum::<f64>() / count;
        let variance =
            histogram.iter().enumerate().map(|(pixel, &n)| n as f64 * (value(pixel) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    /// What features are standardised by: the statistics of the training set, unless others are set. Images have none of these.
    pub fn feature_statistics(&self, standardize: bool) -> Option<Statistics> {
        let features = self.train.features.as_ref()?;
        Some(match &self.statistics {
            Some(statistics) => statistics.clone(),
            None if standardize => features.statistics().clone(),
            None => Statistics::identity(features.width()),
        })
    }

    /// The number that each pixel value becomes: `pixel / 255`, or `(pixel / 255 − μ) / σ` if standardised. Rounded once, on
    /// the host, so that every backend trains on the same bits.
    pub fn pixel_table(&self, standardize: bool) -> [f32; 256] {
        let (mean, deviation) = if standardize { self.pixel_statistics() } else { (0.0, 1.0) };
        let deviation = if deviation > 0.0 { deviation } else { 1.0 };
        std::array::from_fn(|pixel| ((pixel as f64 / 255.0 - mean) / deviation) as f32)
    }
}
