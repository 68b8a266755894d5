//! `ffcl-gpu predict`.

use super::preparation::{describe_preparation, preparation_name};
use super::terminal::{print_line, report};
use super::trained_options::PredictOptions;
use super::{annotation, pictures, predict_rows, session};
use ffcl_gpu::dataset::{ImageShape, Images, file};
use ffcl_gpu::engine::Job;
use ffcl_gpu::evaluation::Answers;
use ffcl_gpu::model::Network;
use ffcl_gpu::output::picture::check_path;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::{Bounds, Preparation, Prepared};
use ffcl_gpu::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Classes that are shown for each digit.
const TOP: usize = 3;

/// Less probable answers come with a warning.
const UNCERTAIN: f32 = 0.6;

/// A picture that was read, and what is to be asked about it.
struct Asked {
    file: PathBuf,
    /// The place of its first image among all.
    first: usize,
    found: Vec<Prepared>,
}

/// What is printed about pictures: the answers and the names of the classes.
struct Speaker<'a> {
    names: &'a [String],
    answers: Option<&'a Answers>,
    preparation: Preparation,
    json: bool,
}

/// The exit code is a failure if a picture could not be read, or shows no digit.
pub fn run(options: &PredictOptions) -> Result<ExitCode> {
    if options.images.iter().any(|path| file::is_named_so(path) && !path.is_dir()) {
        return predict_rows::run(options);
    }
    if options.label_column.is_some() {
        let message = "--label-column is for tables, and these are pictures; remove it";
        return Err(Error::Configuration(message.into()));
    }
    let files = pictures::files(&options.images);
    if let Some(path) = &options.annotate {
        check_path(path, "--annotate")?;
        if files.len() != 1 {
            let message = format!("--annotate draws one picture, and {} are given; give one of them", files.len());
            return Err(Error::Configuration(message));
        }
    }
    let model = options.model.open()?;
    if model.description().features.is_some() {
        let message = "the model reads features, not pictures; give an .npz or .csv file";
        return Err(Error::Configuration(message.into()));
    }
    let shape = model.description().image;
    let preparation = options.numbers.preparation(model.description(), options.raw)?;
    let mut images = Images { pixels: Vec::new(), labels: Vec::new(), shape, features: None };
    let (mut asked, mut drawn, mut complete) = (Vec::new(), None, true);
    for file in files {
        match file.and_then(|file| prepare(&file, preparation, shape).map(|(picture, found)| (file, picture, found))) {
            Ok((file, picture, mut found)) => {
                let first = images.labels.len();
                for prepared in &mut found {
                    images.pixels.append(&mut prepared.pixels);
                    images.labels.push(0);
                }
                complete &= !found.is_empty();
                asked.push(Asked { file, first, found });
                drawn = options.annotate.is_some().then_some(picture);
            }
            // The others need not suffer for it.
            Err(error) => {
                complete = false;
                report(&format!("error: {error}"));
            }
        }
    }
    let answers = match images.labels.is_empty() {
        true => None,
        false => Some(model.answers(&images, &|job: Job| session::open(&options.device, None, job))?),
    };
    let speaker = Speaker { names: &model.description().classes, answers: answers.as_ref(), preparation, json: options.json };
    for picture in &asked {
        speaker.say(picture)?;
    }
    if !options.json && !asked.is_empty() {
        print_line(&format!("pictures were {}", describe_preparation(preparation)))?;
    }
    if let (Some(path), Some(picture), [asked]) = (&options.annotate, &drawn, &asked[..]) {
        annotation::write(picture, &speaker.boxes(asked), path)?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prepare(file: &Path, preparation: Preparation, shape: ImageShape) -> Result<(Picture, Vec<Prepared>)> {
    let picture = if file == Path::new("-") {
        Picture::read(Path::new("standard input"), std::io::stdin().lock())?
    } else {
        Picture::open(file)?
    };
    let found = preparation.find(&picture, shape)?;
    Ok((picture, found))
}

impl Speaker<'_> {
    /// The most probable classes of an image, best first.
    fn top(&self, network: Network, image: usize) -> Vec<(&str, f32)> {
        let top = self.answers.map(|answers| answers.top(network, image, TOP)).unwrap_or_default();
        top.into_iter().map(|(class, probability)| (self.names[class].as_str(), probability)).collect()
    }

    fn best(&self, image: usize) -> (&str, f32) {
        self.top(Network::Ensemble, image).first().copied().unwrap_or_default()
    }

    fn warnings(&self, image: usize, prepared: &Prepared) -> Vec<String> {
        let (label, probability) = self.best(image);
        let doubts = prepared.doubts.iter().map(|doubt| format!("the box is doubtful: {doubt}"));
        let uncertain = (probability < UNCERTAIN).then(|| format!("{label} is uncertain, with {:.0} %", 100.0 * probability));
        doubts.chain(uncertain).collect()
    }

    fn boxes(&self, picture: &Asked) -> Vec<(Bounds, String)> {
        let images = picture.found.iter().enumerate();
        let of = |(index, prepared): (usize, &Prepared)| Some((prepared.bounds?, self.best(picture.first + index).0.to_owned()));
        images.filter_map(of).collect()
    }

    /// Prints the answers about a picture, and warnings to standard error.
    fn say(&self, picture: &Asked) -> Result<()> {
        let file = picture.file.display();
        if picture.found.is_empty() {
            report(&format!("warning: {file} shows no digit; --raw asks about the picture as it is"));
        }
        for (index, prepared) in picture.found.iter().enumerate() {
            let which = if picture.found.len() > 1 { format!(", digit {}", index + 1) } else { String::new() };
            for warning in self.warnings(picture.first + index, prepared) {
                report(&format!("warning: {file}{which}: {warning}"));
            }
        }
        if self.json { print_line(&self.as_json(picture).to_string()) } else { self.as_text(picture) }
    }

    fn as_text(&self, picture: &Asked) -> Result<()> {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        print_line(&picture.file.display().to_string())?;
        if picture.found.is_empty() {
            print_line("    no digit found")?;
        }
        for (index, prepared) in picture.found.iter().enumerate() {
            if let (Some(bounds), true) = (prepared.bounds, picture.found.len() > 1) {
                let Bounds { left, top, width, height } = bounds;
                print_line(&format!("  digit {}, {width}×{height} pixels at {left},{top}", index + 1))?;
            }
            for network in [Network::Ensemble, Network::A, Network::B] {
                let answers = self.top(network, picture.first + index).into_iter();
                let answers: String =
                    answers.map(|(name, probability)| format!("   {name:<width$} {:>5.1} %", 100.0 * probability)).collect();
                print_line(&format!("    {:<3}{answers}", network.to_string()))?;
            }
        }
        Ok(())
    }

    /// Of one digit the object has all answers, too; of several their labels one after the other, and the least of their
    /// probabilities; of none both are null.
    fn as_json(&self, picture: &Asked) -> Value {
        let list = |network, image| {
            let entries = self.top(network, image).into_iter();
            Value::Array(entries.map(|(label, probability)| json!({ "label": label, "probability": probability })).collect())
        };
        let digits: Vec<Value> = picture
            .found
            .iter()
            .enumerate()
            .map(|(index, prepared)| {
                let image = picture.first + index;
                let (label, probability) = self.best(image);
                let bounds = prepared.bounds.map(
                    |Bounds { left, top, width, height }| json!({ "left": left, "top": top, "width": width, "height": height }),
                );
                json!({
                    "label": label,
                    "probability": probability,
                    "box": bounds,
                    "warnings": self.warnings(image, prepared),
                    "top": list(Network::Ensemble, image),
                    "a": list(Network::A, image),
                    "b": list(Network::B, image),
                })
            })
            .collect();
        let best: Vec<(&str, f32)> = (0..digits.len()).map(|index| self.best(picture.first + index)).collect();
        let label = (!best.is_empty()).then(|| best.iter().map(|(label, _)| *label).collect::<String>());
        let probability = best.iter().map(|(_, probability)| *probability).reduce(f32::min);
        let mut object = json!({
            "file": picture.file.to_string_lossy(),
            "label": label,
            "probability": probability,
            "preparation": preparation_name(self.preparation),
        });
        if let [only] = &digits[..] {
            for key in ["top", "a", "b"] {
                object[key] = only[key].clone();
            }
        }
        object["digits"] = Value::Array(digits);
        object
    }
}
