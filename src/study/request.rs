//! A study as its author wrote it: a TOML file.

use crate::bounded_file;
use crate::config::{Extent, Idle, RunOptions, Widths};
use crate::dataset::folder::ImageSize;
use crate::dataset::input::{ColourOrder, NoLabel};
use crate::dataset::options::FileOptions;
use crate::error::{Error, Result};
use crate::output::run_directory::LARGEST_CONFIG;
use crate::suggestion::nearest;
use crate::text;
use indexmap::IndexMap;
use serde::Deserialize;
use std::fmt::Display;
use std::path::Path;

/// What a study varies, and what it keeps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Study {
    /// What it asks.
    pub title: String,
    /// The variant that the others are compared with, seed by seed.
    pub baseline: Option<String>,
    /// Seeds of each cell.
    pub seeds: usize,
    /// The first one; the others count up from it.
    #[serde(default = "first_seed")]
    pub first_seed: u64,
    /// Measure on so many images from the end of the training set, which are not trained on, instead of the test set.
    pub hold_out: Option<usize>,
    /// The data to learn: names, folders of images, or files.
    #[serde(default = "datasets")]
    pub datasets: Vec<String>,
    /// The size of the images of folders, where they are to be resized.
    pub image_size: Option<ImageSize>,
    /// Whether the images of folders are made grey.
    #[serde(default)]
    pub grayscale: bool,
    /// How files are read.
    #[serde(default)]
    pub reading: FileReading,
    /// Shapes of the networks; where none are named, the options' own.
    pub layers: Option<Vec<Widths>>,
    /// Numbers of training images, from the data set's beginning; where none are named, all.
    pub train_sizes: Option<Vec<usize>>,
    /// At least so many steps for every cell, in whole epochs, instead of a number of epochs.
    pub steps: Option<u64>,
    /// What all variants share.
    #[serde(default)]
    pub base: RunOptions,
    /// The variants, in the order in which they are shown.
    pub variants: IndexMap<String, RunOptions>,
}

/// How a study's files are read, by the names of the options of `train`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FileReading {
    features: bool,
    white: Option<f64>,
    colours: Option<ColourOrder>,
    label_column: Option<String>,
    header: Option<bool>,
    no_label: Option<NoLabel>,
}

impl FileReading {
    /// The same for a reader.
    pub fn options(&self) -> FileOptions {
        let Self { features, white, colours, label_column, header, no_label } = self.clone();
        FileOptions { features, white, colours, label_column, header, no_label, ..FileOptions::default() }
    }
}

fn first_seed() -> u64 {
    1
}

fn datasets() -> Vec<String> {
    vec!["mnist".into()]
}

/// As many replicas as a run may have.
const MAX_SEEDS: usize = 1 << 15;
/// More cells than anybody trains; checks of all combinations still take milliseconds.
const MAX_CELLS: usize = 10_000;

impl Study {
    /// Reads a file and checks everything that needs no data.
    pub fn read(path: &Path) -> Result<Self> {
        let remedy = "give a study as a TOML file, such as studies/guidance.toml";
        Self::parse(path, &bounded_file::read(path, LARGEST_CONFIG, remedy)?)
    }

    /// The same from a file's bytes; `name` is for messages.
    pub fn parse(name: &Path, bytes: &[u8]) -> Result<Self> {
        let refused = |problem: String| Error::Configuration(format!("{}: {problem}", name.display()));
        let text = text::decode(bytes).ok_or_else(|| refused("it is no text; give a study as a TOML file".into()))?;
        let study: Self = toml::from_str(&text).map_err(|error| refused(explain(&text, &error)))?;
        study.check().map_err(|error| refused(error.to_string()))?;
        Ok(study)
    }

    /// Everything that can be wrong without looking at data.
    fn check(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Configuration(message));
        check_seeds(self.first_seed, self.seeds)?;
        let axes = [
            self.datasets.len(),
            self.layers.as_ref().map_or(1, Vec::len),
            self.train_sizes.as_ref().map_or(1, Vec::len),
            self.variants.len(),
        ];
        // An axis that is empty has an error of its own.
        if axes.iter().try_fold(1usize, |cells, &length| cells.checked_mul(length.max(1))).is_none_or(|cells| cells > MAX_CELLS) {
            return fail(format!("it has more than {MAX_CELLS} cells; name fewer values"));
        }
        if self.variants.is_empty() {
            return fail("it has no variants; add a table such as [variants.partner]".into());
        }
        for name in self.variants.keys().chain([&self.title]) {
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                return fail(format!("{name:?} is no title or name; give one line of letters"));
            }
        }
        if let Some(name) = self.baseline.as_ref().filter(|&name| !self.variants.contains_key(name)) {
            let names: Vec<_> = self.variants.keys().map(String::as_str).collect();
            return fail(format!("baseline = {name:?} names no variant; there are {}", names.join(", ")));
        }
        check_axis("datasets", &self.datasets, String::clone)?;
        if let Some(name) = self.datasets.iter().find(|name| name.trim().is_empty() || name.chars().any(char::is_control)) {
            return fail(format!("datasets holds {name:?}, which is no name and no folder; give mnist, or a folder of images"));
        }
        check_axis("layers", self.layers.as_deref().unwrap_or(&[Widths::around(&[])]), Widths::to_string)?;
        check_axis("train-sizes", self.train_sizes.as_deref().unwrap_or(&[1]), usize::to_string)?;
        if self.train_sizes.iter().flatten().any(|&size| size == 0) {
            return fail("train-sizes holds 0, which leaves nothing to train on; give 1 or more".into());
        }
        if self.steps == Some(0) {
            return fail("steps = 0 trains nothing; give 1 or more, or leave it out".into());
        }
        for (name, own) in &self.variants {
            let within = |error: Error| Error::Configuration(format!("variant {name}: {error}"));
            let options = own.over(&self.base);
            if options.layers.is_some() && options.hidden.is_some() {
                return fail(format!("variant {name} has both layers and hidden; remove one of them"));
            }
            if self.layers.is_some() && options.has_shape() {
                return fail(format!("variant {name} has layers of its own, and the study varies them; leave one of them out"));
            }
            if self.steps.is_some() && options.epochs.is_some() {
                return fail(format!("variant {name} has epochs, which follow from the study's steps; leave one of them out"));
            }
            for layers in self.layers.iter().flatten() {
                let options = RunOptions { layers: Some(layers.clone()), ..options.clone() };
                options.check(Extent::default(), Idle::Allowed).map_err(within)?;
            }
            // What stands in the base is for those variants that it is of use to.
            options.check(Extent::default(), Idle::Refused(&own.given())).map_err(within)?;
        }
        Ok(())
    }
}

/// Seeds of a cell, counted up from the first.
pub(super) fn check_seeds(first: u64, count: usize) -> Result<()> {
    let fail = |message: String| Err(Error::Configuration(message));
    if count == 0 || count > MAX_SEEDS {
        return fail(format!("seeds = {count} is out of range; give 1 to {MAX_SEEDS}"));
    }
    if first.checked_add(count as u64).is_none() {
        return fail(format!("first-seed = {first} is too large; give a smaller one"));
    }
    Ok(())
}

/// An axis needs values, and each of them once.
fn check_axis<T: PartialEq>(axis: &str, values: &[T], show: impl Fn(&T) -> String) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Configuration(format!("{axis} is empty; name a value, or leave it out")));
    }
    match values.iter().enumerate().find(|(index, value)| values[..*index].contains(value)) {
        Some((_, value)) => Err(Error::Configuration(format!("{axis} names {} twice; leave one out", show(value)))),
        None => Ok(()),
    }
}

/// A parser's message as one line: where, what, and the name that was probably meant.
fn explain(file: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| 1 + file[..span.start.min(file.len())].matches('\n').count());
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let message = text::plain(error.message());
    // "unknown field `x`, expected one of `y`, `z`": every second piece stands between backquotes.
    let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
    let meant = match quoted.split_first() {
        Some((given, names)) if message.starts_with("unknown") => nearest(given, names.iter().copied()),
        _ => None,
    };
    let hint = meant.map_or_else(|| "correct the file".to_owned(), |name| format!("did you mean `{name}`?"));
    format!("{place}{message}; {hint}")
}

/// A list for people: 784-64-64-10.
pub fn joined(widths: &[impl Display]) -> String {
    widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn study(text: &str) -> Result<Study> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        std::fs::write(&path, text).unwrap();
        Study::read(&path)
    }

    #[test]
    fn a_short_file_has_sensible_defaults_and_keeps_the_order_of_its_variants() {
        let read = study("title = 'A'\nseeds = 2\n[variants.zebra]\n[variants.ant]\nguide = 'own'").unwrap();
        assert_eq!((read.first_seed, read.datasets), (1, vec!["mnist".to_owned()]));
        assert_eq!(read.variants.keys().collect::<Vec<_>>(), ["zebra", "ant"]);
    }

    /// Those that come with the program.
    #[test]
    fn the_studies_of_this_repository_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        assert!(paths.len() >= 6);
        for path in paths {
            Study::read(&path).unwrap();
        }
    }

    #[test]
    fn mistakes_are_named_with_what_was_probably_meant() {
        let cases = [
            ("[variants.a]\nepoch = 3", "`epochs`?"),
            ("[variants.a]\nlearning_rate = 3", "`learning-rate`?"),
            ("[variants.a]\nmethod = 'bakprop'", "`backprop`?"),
            ("[variants.a]\nfoo = 3", "expected one of"),
            ("dataset = ['digits']\n[variants.a]", "`datasets`?"),
            ("[variants.a]\nepochs = 'many'", "line 4"),
            ("[variants.a]\nepochs = 0", "variant a: --epochs 0"),
            ("[variants.a", "line 3"),
            ("", "variants"),
            ("[variants]", "no variants"),
            ("baseline = 'b'\n[variants.a]", "there are a"),
            ("first-seed = 18446744073709551615\n[variants.a]", "too large"),
            ("datasets = []\n[variants.a]", "datasets is empty"),
            ("train-sizes = [3, 5, 3]\n[variants.a]", "3 twice"),
            ("train-sizes = [0]\n[variants.a]", "train-sizes holds 0"),
            ("layers = [[784]]\n[variants.a]", "variant a: --layers"),
            ("layers = [[784, 10]]\n[variants.a]\nlayers = [784, 10]", "leave one of them out"),
            ("layers = [[784, 10]]\n[base]\nhidden = [5]\n[variants.a]", "leave one of them out"),
            ("[variants.a]\nhidden = [5]\nlayers = [784, 10]", "variant a has both layers and hidden"),
            ("layers = [[784, 'auto', 10]]\n[variants.a]", "auto is for the first and the last"),
            ("steps = 0\n[variants.a]", "steps = 0"),
            ("steps = 5\n[base]\nepochs = 1\n[variants.a]", "leave one of them out"),
            ("[variants.\"a\\nb\"]", "no title or name"),
        ];
        for (rest, part) in cases {
            let error = study(&format!("title = 'A'\nseeds = 2\n{rest}")).unwrap_err();
            let message = error.to_string();
            assert!(error.is_usage() && message.contains("study.toml: "), "{message}");
            assert!(message.contains(part) && !message.contains('\n'), "{rest:?}: {message}");
        }
        assert!(study("title = 'A'\nseeds = 0\n[variants.a]").unwrap_err().to_string().contains("seeds = 0"));
        let sizes: Vec<usize> = (1..=MAX_CELLS + 1).collect();
        let error = study(&format!("title = 'A'\nseeds = 1\ntrain-sizes = {sizes:?}\n[variants.a]")).unwrap_err();
        assert!(error.to_string().contains("more than 10000 cells"), "{error}");
    }
}
