//! The images that `evaluate` measures a model on: which ones, in what shape, of which of the model's classes.

use super::data_options::{DataDirOption, ReadingOptions, Source, Split, bar, report_skipped, require_folder};
use super::terminal::report;
use clap::{Args, ValueEnum};
use ffcl_gpu::dataset::folder::{self, ImageSize, LoadedTest};
use ffcl_gpu::dataset::{DatasetName, ImageShape, Images, Origin};
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::trained::classes::{ClassMap, Matching};
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Preparation;
use std::path::Path;

/// Test images to measure on.
#[derive(Args, Clone, Debug)]
pub struct TestOptions {
    /// The data to measure on: a name, a folder of images or a file. Default: what the model was trained on.
    #[arg(long, value_name = "NAME|DIR|FILE")]
    dataset: Option<Source>,
    #[command(flatten)]
    data_dir: DataDirOption,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Which images. Default: those the run was measured on: the test images, or those of its --hold-out.
    #[arg(long, value_enum)]
    split: Option<Split>,
    /// Only resize pictures to the model's size, without finding digits or inverting.
    #[arg(long)]
    raw: bool,
}

/// Images to measure on.
pub struct TestSet {
    /// The data set's name.
    pub name: String,
    /// The images, with labels of the model's classes.
    pub images: Images,
    /// Which ones of the data set.
    pub split: Split,
    /// Images of a folder or a file that are not among them.
    pub left_out: usize,
    /// How pictures were prepared; none if the images already had the model's shape.
    pub preparation: Option<Preparation>,
    /// Whether classes were compared by name or by number.
    pub matching: Matching,
}

impl TestOptions {
    /// Reads the data for a model.
    pub fn load(&self, model: &ModelDescription) -> Result<TestSet> {
        let (source, is_own) = match &self.dataset {
            Some(source) => (source.clone(), is_trained_on(model, source)),
            None => (Source::Known(trained_on(model)?), true),
        };
        let is_all = self.reading.test_fraction() == Some(1.0) && !matches!(source, Source::Known(_));
        let held_out = model.held_out.filter(|_| is_own);
        // Of a folder only its name is known: one of the same name may be another one.
        let by_default = held_out.is_some() && matches!(source, Source::Known(_));
        let split = match self.split {
            None if is_all => Split::All,
            None if by_default => Split::HeldOut,
            None => Split::Test,
            Some(split) => split,
        };
        if split == Split::HeldOut && held_out.is_none() {
            let message = "--split held-out needs a model whose run had --hold-out, and the data of that run; remove it";
            return Err(Error::Configuration(message.into()));
        }
        let (data, preparation) = match &source {
            Source::Folder(folder) if split != Split::HeldOut => self.of_folder(model, folder, split)?,
            source => (self.of_whole(model, source, split, held_out)?, None),
        };
        let map = ClassMap::new(model, &data.classes, data.named, &data.images.labels)?;
        let images = Images { labels: map.labels(&data.images.labels), ..data.images };
        Ok(TestSet { name: data.name, images, split, left_out: data.left_out, preparation, matching: map.matching })
    }

    /// Images of a folder, prepared as the model says.
    fn of_folder(&self, model: &ModelDescription, folder: &Path, split: Split) -> Result<(Data, Option<Preparation>)> {
        require_folder(folder)?;
        let shape = self.shape(model)?;
        let preparation = self.reading.preparation(model, self.raw)?;
        let prepare = |path: &Path| {
            let pixels = Picture::open(path).and_then(|picture| preparation.apply(&picture, shape));
            pixels.map_err(|error| error.problem())
        };
        let fraction = match split {
            Split::All => Some(1.0),
            _ => self.reading.test_fraction_like(model, folder),
        };
        let bar = bar(false);
        let loaded = folder::load_test(folder, fraction, self.reading.reading_like(model), shape, &prepare, &|done, all| {
            bar.show(done, all)
        });
        bar.clear();
        let LoadedTest { name, images, classes, skipped, left_out, .. } = loaded?;
        report_skipped(&skipped);
        if model.held_out.is_some() && model.origin != Origin::Known && self.split.is_none() {
            report("note: the run was measured on images that it held out of those for training; --split held-out takes them");
        }
        Ok((Data { name, images, classes, named: true, left_out }, Some(preparation)))
    }

    /// Images of a data set that is read whole, in the shape that it has.
    fn of_whole(&self, model: &ModelDescription, source: &Source, split: Split, held_out: Option<usize>) -> Result<Data> {
        let mut dataset = match source {
            Source::Folder(folder) => self.reading.or_like(model, folder).load(source, None, false)?,
            Source::File(file) => self.reading.load_file(model, file, split)?,
            Source::Known(_) => self.reading.load(source, self.data_dir.path(), false)?,
        };
        let all = dataset.train.count() + dataset.test.count();
        match (split, held_out) {
            (Split::HeldOut, Some(count)) => dataset.hold_out(count)?,
            (Split::All, _) => dataset.test_on_all(),
            _ => {}
        }
        dataset.taken.decided.iter().for_each(|text| report(&format!("note: {text}")));
        // Of a known set the training images are not thought to be among those to test on.
        let left_out = if matches!(source, Source::Known(_)) { 0 } else { all - dataset.test.count() };
        let named = dataset.origin.has_class_names();
        Ok(Data { name: dataset.name, images: dataset.test, classes: dataset.class_names, named, left_out })
    }

    /// The shape that pictures are resized to: the model's. Of a foreign model only the number of pixels is known.
    fn shape(&self, model: &ModelDescription) -> Result<ImageShape> {
        let Some(ImageSize { height, width }) = self.reading.image_size() else { return Ok(model.image) };
        let asked = ImageShape { height, width, ..model.image };
        let foreign = [1, 3].map(|channels| ImageShape { channels, height, width });
        let fits = |shape: &ImageShape| *shape == model.image || model.is_foreign() && shape.pixels() == model.image.pixels();
        foreign.into_iter().find(fits).ok_or_else(|| {
            Error::Configuration(format!("--image-size makes images of {asked}, but the model reads {}; remove it", model.image))
        })
    }
}

/// Images to measure on, with labels of their own.
struct Data {
    name: String,
    images: Images,
    classes: Vec<String>,
    /// Whether the classes have names.
    named: bool,
    left_out: usize,
}

/// Whether a model was trained on this data, as far as names tell.
fn is_trained_on(model: &ModelDescription, source: &Source) -> bool {
    match source {
        Source::Known(name) => trained_on(model).is_ok_and(|own| own == *name),
        Source::Folder(_) | Source::File(_) => model.origin != Origin::Known,
    }
}

/// The known data set that a model was trained on.
fn trained_on(model: &ModelDescription) -> Result<DatasetName> {
    let name = &model.dataset;
    match (model.origin, DatasetName::from_str(name, false)) {
        (Origin::Known, Ok(known)) => Ok(known),
        (Origin::Known, Err(_)) => {
            let message = format!("the model's data set is '{name}', which has no folder of its own; give --dataset");
            Err(Error::Configuration(message))
        }
        (Origin::Folder { .. }, _) => {
            let message = format!("the model was trained on a folder '{name}', but its place is unknown; give --dataset DIR");
            Err(Error::Configuration(message))
        }
        (Origin::File { .. }, _) => {
            let message = format!("the model was trained on a file '{name}', but its place is unknown; give --dataset FILE");
            Err(Error::Configuration(message))
        }
    }
}
