//! The options about data, and loading the data that they name.

use super::terminal::report;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};
use ffcl_gpu::dataset::catalogue::KNOWN;
use ffcl_gpu::dataset::file::{self, FileOptions, Share};
use ffcl_gpu::dataset::folder::{self, FolderOptions, ImageSize, Loaded, Skipped};
use ffcl_gpu::dataset::input::{ColourOrder, NoLabel, Reading};
use ffcl_gpu::dataset::{Dataset, DatasetName, ImageShape, Origin, Places};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::home;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::trained::preparation::Preparation;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};
use std::convert::Infallible;
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most files left out that are named one by one.
const NAMED: usize = 10;

/// A data set, by its name or by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One of those that are known.
    Known(DatasetName),
    /// A folder of images, as it was typed.
    Folder(PathBuf),
    /// A file of arrays or a table.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let known = KNOWN.iter().find(|known| known.text == text);
        let path = PathBuf::from(text);
        Ok(match known {
            Some(known) => Self::Known(known.name),
            None if file::is_named_so(&path) && !path.is_dir() => Self::File(path),
            None => Self::Folder(path),
        })
    }
}

impl Display for Source {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(name) => name.fmt(formatter),
            Self::Folder(path) | Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which images of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Those for testing.
    Test,
    /// Those at the end of the training set that the run held out.
    HeldOut,
    /// All of them, those for training, too.
    All,
}

/// Where data sets' files are.
#[derive(Args, Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DataDirOption {
    /// Folder with the data set's files (or with a folder of the data set's name); else the cache of `data fetch`.
    // An empty variable is like none, which clap's own parser of paths would refuse.
    #[arg(long, value_name = "DIR", env = "FFCL_DATA_DIR", value_parser = OsStringValueParser::new().map(|path| home::expand(Path::new(&path))))]
    data_dir: Option<PathBuf>,
}

impl DataDirOption {
    /// The folder, if one was given.
    pub fn path(&self) -> Option<&Path> {
        given(self.data_dir.as_ref())
    }
}

/// The data of a run.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Data")]
#[serde(rename_all = "kebab-case")]
pub struct DataOptions {
    /// The data to learn: digits, mnist, fashion-mnist, kmnist, qmnist, emnist-digits, emnist-balanced, cifar10; a folder of images:
    /// DIR/train/CLASS and DIR/test/CLASS, or DIR/CLASS; or an .npz or .csv file of images or of features.
    #[arg(long, default_value = "digits", value_name = "NAME|DIR|FILE")]
    pub dataset: Source,
    #[command(flatten)]
    #[serde(flatten)]
    data_dir: DataDirOption,
    /// Use only N training images: the first ones of a known set, of own data the first of each class, in their shares.
    #[arg(long, value_name = "N")]
    pub limit_train: Option<usize>,
    /// Measure on N training images, which are not trained on, instead of the test set: the last ones of a known set, of own data some of
    /// each class, in their shares.
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub hold_out: Option<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    reading: ReadingOptions,
}

/// How a folder of images is read.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReadingOptions {
    /// Hold back this share of each class of DIR/CLASS for testing. Default: 0.2.
    #[arg(long, hide_short_help = true, help_heading = "Data", value_name = "FRACTION")]
    test_fraction: Option<f64>,
    /// Resize the images of a folder, to N×N or height x width.
    #[arg(long, help_heading = "Data", value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// Make the images of a folder grey.
    #[arg(long, hide_short_help = true, help_heading = "Data", num_args = 0..=1, require_equals = true, default_value_t, default_missing_value = "true", hide_default_value = true, action = ArgAction::Set, value_name = "BOOL")]
    grayscale: bool,
    /// Read the numbers of a file as features, each with its own scale, even if they could be pixels.
    #[arg(long, hide_short_help = true, help_heading = "Data", num_args = 0..=1, require_equals = true, default_value_t, default_missing_value = "true", hide_default_value = true, action = ArgAction::Set, value_name = "BOOL")]
    features: bool,
    /// The column of a table that holds the labels: its name, or first, last or a number from 1 where columns have no names. Default: label, class, target or y.
    #[arg(long, hide_short_help = true, help_heading = "Data", value_name = "NAME")]
    label_column: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    numbers: NumberOptions,
    /// The number that stands for no label in a file, or never, where all numbers are classes. Default: -1, unless it may be a class.
    #[arg(long, hide_short_help = true, help_heading = "Data", allow_hyphen_values = true, value_name = "N|never")]
    #[serde(serialize_with = "as_text")]
    no_label: Option<NoLabel>,
    /// Read own data by these rules: 2, or 1 as versions up to 0.2 did, by which their runs go on.
    #[arg(long, hide_short_help = true, help_heading = "Data", value_name = "RULES")]
    #[serde(serialize_with = "as_text")]
    reading: Option<Reading>,
}

/// What the numbers of a file are.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NumberOptions {
    /// Take the numbers of a file for pixels, of which this one is white: 255, or 1 for fractions.
    #[arg(long, hide_short_help = true, help_heading = "Data", value_name = "N")]
    white: Option<f64>,
    /// How colours stand in rows of pixels: planes (all red, all green, all blue) or interleaved (red, green, blue of each pixel).
    #[arg(long, hide_short_help = true, help_heading = "Data", value_name = "ORDER")]
    #[serde(serialize_with = "as_text")]
    colours: Option<ColourOrder>,
    /// Whether the first row of a table names its columns.
    #[arg(long, hide_short_help = true, help_heading = "Data", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    header: Option<bool>,
    /// Whether pictures that a model is asked about are searched for digits. Default: where its images are framed as MNIST's are.
    #[arg(long, hide_short_help = true, help_heading = "Data", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    find_digits: Option<bool>,
}

fn as_text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

impl NumberOptions {
    /// The same for a file.
    pub fn of_file(&self) -> FileOptions {
        let Self { white, colours, header, find_digits } = *self;
        FileOptions { white, colours, header, digits: find_digits, ..FileOptions::default() }
    }

    /// How pictures are brought to a model.
    pub fn preparation(&self, model: &ModelDescription, raw: bool) -> Result<Preparation> {
        match (raw, self.find_digits) {
            (true, Some(true)) => Err(Error::Configuration(
                "--raw leaves pictures as they are, and --find-digits does not; give one of them".into(),
            )),
            (true, _) | (_, Some(false)) => Ok(Preparation::Resize),
            (_, Some(true)) if model.image.channels != 1 => Err(Error::Configuration(
                "--find-digits is for models of grey images, and this one reads colours; leave it out".into(),
            )),
            (_, Some(true)) => Ok(Preparation::Digit),
            (_, None) => Ok(Preparation::of(model)),
        }
    }

    fn is_about_files(&self) -> bool {
        self.white.is_some() || self.colours.is_some() || self.header.is_some()
    }
}

impl ReadingOptions {
    /// Options for folders whose images are resized, or made grey.
    pub fn of_folder(image_size: Option<ImageSize>, grayscale: bool) -> Self {
        Self { image_size, grayscale, ..Self::default() }
    }

    /// The same, and where nothing was asked for, as the images that a model learnt from; of `folder` the part that it would have
    /// been measured on.
    pub fn or_like(&self, model: &ModelDescription, folder: &Path) -> Self {
        let ImageShape { channels, height, width } = model.image;
        Self {
            test_fraction: self.test_fraction_like(model, folder),
            image_size: self.image_size.or(Some(ImageSize { height, width })),
            grayscale: self.grayscale || channels == 1,
            reading: Some(self.reading_like(model)),
            ..self.clone()
        }
    }

    /// The share of each class to test on: what was asked for, or what the model's run held back of a folder without a test set.
    pub fn test_fraction_like(&self, model: &ModelDescription, folder: &Path) -> Option<f64> {
        let held_back = match model.origin {
            Origin::Folder { test_fraction } if !folder::has_test_set(folder) => test_fraction,
            _ => None,
        };
        self.test_fraction.or(held_back)
    }

    /// Reads a file as a model was measured on it, unless another share was asked for.
    pub fn load_file(&self, model: &ModelDescription, path: &Path, split: Split) -> Result<Dataset> {
        let held_back = match model.origin {
            Origin::File { test_fraction } => test_fraction,
            _ => None,
        };
        // All is asked for as a share of 1, too.
        let asked = self.test_fraction.filter(|_| split != Split::All);
        let share = Share { asked, default: held_back.unwrap_or(folder::TEST_FRACTION) };
        let (reading, like) = model.reading();
        let reading = self.reading.unwrap_or(reading);
        let features = self.features || model.features.is_some() && like.is_none();
        file::load(path, &FileOptions { features, reading, like, ..self.of_file(share) })
    }

    fn of_file(&self, share: Share) -> FileOptions {
        FileOptions {
            share,
            features: self.features,
            label_column: self.label_column.clone(),
            no_label: self.no_label,
            reading: self.reading.unwrap_or_default(),
            ..self.numbers.of_file()
        }
    }

    /// By which rules a folder is read for a model.
    pub fn reading_like(&self, model: &ModelDescription) -> Reading {
        self.reading.unwrap_or(model.reading().0)
    }

    /// How pictures are brought to a model.
    pub fn preparation(&self, model: &ModelDescription, raw: bool) -> Result<Preparation> {
        self.numbers.preparation(model, raw)
    }

    /// The share to test on that was asked for.
    pub fn test_fraction(&self) -> Option<f64> {
        self.test_fraction
    }

    /// The size that was asked for.
    pub fn image_size(&self) -> Option<ImageSize> {
        self.image_size
    }

    fn is_about_files(&self) -> bool {
        self.features || self.label_column.is_some() || self.no_label.is_some() || self.numbers.is_about_files()
    }

    fn not_a_file(&self, source: &Source) -> Error {
        Error::Configuration(format!(
            "--features, --label-column, --no-label, --white, --colours and --header are for .npz and .csv files, and --dataset {source} is neither; remove them"
        ))
    }

    /// Reads the data, with a progress bar if that takes long; unless `quiet`, files that had to be left out are named on standard error.
    pub fn load(&self, source: &Source, data_dir: Option<&Path>, quiet: bool) -> Result<Dataset> {
        self.load_files(source, data_dir, quiet, false).map(|loaded| loaded.dataset)
    }

    /// Reads the data for an audit: all images, except those of a separate test set.
    pub fn load_to_audit(&self, source: &Source, data_dir: Option<&Path>, quiet: bool) -> Result<Loaded> {
        match self.test_fraction {
            None => self.load_files(source, data_dir, quiet, true),
            Some(_) => Err(Error::Configuration("--test-fraction holds images back, but an audit checks all; remove it".into())),
        }
    }

    fn load_files(&self, source: &Source, data_dir: Option<&Path>, quiet: bool, audit: bool) -> Result<Loaded> {
        let (image_size, grayscale) = (self.image_size, self.grayscale);
        let (digits, reading) = (self.numbers.find_digits, self.reading.unwrap_or_default());
        let options = FolderOptions { test_fraction: self.test_fraction, image_size, grayscale, audit, digits, reading };
        let of_files = |dataset: Result<Dataset>| dataset.map(Loaded::from);
        match source {
            Source::Known(name) if options != (FolderOptions { audit, reading, ..FolderOptions::default() }) => {
                Err(Error::Configuration(format!(
                    "--test-fraction, --image-size, --grayscale and --find-digits are for folders of images, and --dataset {name} is not a folder; remove them"
                )))
            }
            Source::Known(_) if self.is_about_files() => Err(self.not_a_file(source)),
            Source::Known(name) => of_files(name.load(&Places::new(data_dir))),
            Source::File(path) if options.image_size.is_some() || options.grayscale => Err(Error::Configuration(format!(
                "--image-size and --grayscale are for folders of images, and {} is a file; remove them",
                path.display()
            ))),
            Source::File(path) => {
                let options = self.of_file(Share { asked: self.test_fraction, default: folder::TEST_FRACTION });
                of_files(if audit { file::load_to_audit(path, &options) } else { file::load(path, &options) })
            }
            Source::Folder(_) if self.is_about_files() => Err(self.not_a_file(source)),
            Source::Folder(path) => load_folder(path, &options, quiet),
        }
    }
}

impl DataOptions {
    /// The same with paths that do not depend on the current folder.
    pub fn complete(&self) -> Self {
        let dataset = match &self.dataset {
            Source::Folder(path) => Source::Folder(absolute(path)),
            Source::File(path) => Source::File(absolute(path)),
            known => known.clone(),
        };
        let data_dir = DataDirOption { data_dir: self.data_dir.path().map(absolute) };
        let reading = ReadingOptions { reading: Some(self.reading.reading.unwrap_or_default()), ..self.reading.clone() };
        Self { dataset, data_dir, reading, ..self.clone() }
    }

    /// Reads the data, as [`ReadingOptions::load`] does, and takes the images that were asked for.
    pub fn load(&self, quiet: bool) -> Result<Dataset> {
        let mut dataset = self.reading.load(&self.dataset, self.data_dir.path(), quiet)?;
        if let Some(count) = self.hold_out {
            dataset.hold_out(count)?;
        }
        if let Some(count) = self.limit_train {
            dataset.limit(count)?;
        }
        Ok(dataset)
    }
}

/// A path that does not depend on the current folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A folder that was given, unless it is an empty word.
pub fn given(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path).filter(|path| !path.as_os_str().is_empty())
}

fn load_folder(path: &Path, options: &FolderOptions, quiet: bool) -> Result<Loaded> {
    require_folder(path)?;
    let bar = bar(quiet);
    let loaded = folder::load(path, options, &|done, all| bar.show(done, all));
    bar.clear();
    let loaded = loaded?;
    if !quiet {
        report_skipped(&loaded.skipped);
        loaded.note.iter().for_each(|note| report(&format!("note: {note}")));
    }
    Ok(loaded)
}

/// Refuses what is not a folder.
pub fn require_folder(path: &Path) -> Result<()> {
    if path.is_dir() { Ok(()) } else { Err(unknown(path)) }
}

/// The progress of reading images.
pub struct Bar(ProgressBar);

/// A progress bar; it hides itself if standard error is not a terminal.
pub fn bar(quiet: bool) -> Bar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    if let Ok(style) = ProgressStyle::with_template("reading images {bar:24} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    Bar(bar)
}

impl Bar {
    /// Shows how far it is.
    pub fn show(&self, done: usize, all: usize) {
        self.0.set_length(all as u64);
        // Threads report in any order.
        if done as u64 > self.0.position() {
            self.0.set_position(done as u64);
        }
    }

    /// Removes it from the terminal.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Names files that were left out.
pub fn report_skipped(skipped: &[Skipped]) {
    for file in skipped.iter().take(NAMED) {
        report(&format!("warning: {} is left out: {}", file.path.display(), file.problem));
    }
    if skipped.len() > NAMED {
        report(&format!("warning: and {} more", skipped.len() - NAMED));
    }
}

/// A word that is neither a known name nor a folder.
fn unknown(path: &Path) -> Error {
    if path.is_file() {
        let problem =
            format!("{} is a file of a kind that cannot be read; give an .npz, .csv or .tsv file, or a folder", path.display());
        return Error::Configuration(problem);
    }
    let names: Vec<_> = KNOWN.iter().map(|known| known.text).collect();
    let meant = path.to_str().and_then(DatasetName::nearest);
    let hint = meant.map_or_else(String::new, |name| format!("did you mean {name}? "));
    Error::Configuration(format!("{} is neither a folder nor a known name; {hint}there are {}", path.display(), names.join(", ")))
}
