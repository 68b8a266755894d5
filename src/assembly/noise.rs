//! Labels that are made wrong, to see what becomes of it.

use crate::config::{Drawn, LabelNoise};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::random::{Stream, philox};
use std::path::Path;

impl Dataset {
    /// Makes labels of the training images wrong, and returns those that they had; nothing where `noise` is none. Which ones depends on
    /// the draw's seed and an image's number only: it is the same on every device, and for the first images of a set.
    pub fn make_wrong(&mut self, noise: &LabelNoise) -> Result<Option<Vec<u8>>> {
        let classes = self.classes() as u64;
        if matches!(noise, LabelNoise::Pair(_) | LabelNoise::Sym(_)) && classes < 2 {
            let problem = "--label-noise makes one class another, and this data set has one class; leave it out";
            return Err(Error::Configuration(problem.into()));
        }
        let labels = &self.train.labels;
        let wrong = match noise {
            LabelNoise::None => return Ok(None),
            LabelNoise::Pair(drawn) => draw(labels, drawn, |_| 1, classes),
            LabelNoise::Sym(drawn) => draw(labels, drawn, |word| 1 + u64::from(word) % (classes - 1), classes),
            LabelNoise::File(path) => parse(path, &read(path)?, labels.len(), self.classes())?,
        };
        Ok(Some(std::mem::replace(&mut self.train.labels, wrong)))
    }
}

/// Moves labels on by what `by` makes of a random word.
fn draw(labels: &[u8], drawn: &Drawn, by: impl Fn(u32) -> u64, classes: u64) -> Vec<u8> {
    let changed = |(image, &label): (u64, &u8)| {
        let [chance, other, ..] = philox(drawn.seed, Stream::LabelNoise, image);
        let is_wrong = f64::from(chance) < drawn.share * 2f64.powi(32);
        if is_wrong { ((u64::from(label) + by(other)) % classes) as u8 } else { label }
    };
    (0..).zip(labels).map(changed).collect()
}

#[cfg(feature = "files")]
fn read(path: &Path) -> Result<String> {
    let remedy = "give --label-noise pair:0.2, sym:0.2, or a file of labels, one a line";
    std::fs::read_to_string(path).map_err(|error| Error::file("read", path, error, remedy))
}

#[cfg(not(feature = "files"))]
fn read(path: &Path) -> Result<String> {
    Err(Error::Configuration(format!("--label-noise {} is a file, and here are none; give pair:0.2 or sym:0.2", path.display())))
}

/// The labels of `images` images, one a line.
fn parse(path: &Path, text: &str, images: usize, classes: usize) -> Result<Vec<u8>> {
    let fail = |problem: String| {
        let remedy =
            format!("give one label a line, 0 to {}, for each of the {images} training images in their order", classes - 1);
        Error::Format { path: path.to_owned(), problem, remedy }
    };
    let mut labels = Vec::with_capacity(images);
    for (line, word) in text.lines().enumerate() {
        match word.trim().parse::<u8>() {
            Ok(label) if usize::from(label) < classes => labels.push(label),
            _ => return Err(fail(format!("has {:?} in line {}, which is none of the {classes} classes", word.trim(), line + 1))),
        }
    }
    if labels.len() != images {
        return Err(fail(format!("has {} labels for {images} training images", labels.len())));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::digits;

    #[test]
    fn as_many_become_wrong_as_were_asked_for_and_always_the_same() {
        let clean = digits::generate_with_counts(1, 4000, 10);
        let wrong = |noise: &str, count: usize| {
            let mut dataset = clean.clone();
            dataset.train.truncate(count).unwrap();
            let truth = dataset.make_wrong(&noise.parse().unwrap()).unwrap().unwrap();
            assert_eq!(truth, clean.train.labels[..count]);
            dataset.train.labels
        };
        let share = |labels: &[u8]| {
            labels.iter().zip(&clean.train.labels).filter(|(wrong, right)| wrong != right).count() as f64 / labels.len() as f64
        };
        let pair = wrong("pair:0.45", 4000);
        // Five deviations of a binomial share: 5 · √(0.45 · 0.55 / 4000).
        assert!((share(&pair) - 0.45).abs() < 0.04);
        let is_next = |(&wrong, &right): (&u8, &u8)| wrong == right || wrong == (right + 1) % 10;
        assert!(pair.iter().zip(&clean.train.labels).all(is_next));
        assert_eq!(pair[..300], wrong("pair:0.45", 300));
        assert_ne!(pair, wrong("pair:0.45:1", 4000));
        let sym = wrong("sym:0.5", 4000);
        assert!((share(&sym) - 0.5).abs() < 0.04);
        // Every other class is met.
        let seen: std::collections::HashSet<_> =
            sym.iter().zip(&clean.train.labels).map(|(&wrong, &right)| (wrong + 10 - right) % 10).collect();
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn files_of_labels_are_held_to_the_data() {
        let parse = |text: &str| parse(Path::new("labels.txt"), text, 3, 10).map_err(|error| error.to_string());
        assert_eq!(parse("1\n2\r\n 9\n").unwrap(), [1, 2, 9]);
        for (text, part) in [("1\n2", "has 2 labels for 3"), ("1\n10\n2", "\"10\" in line 2"), ("1\nx\n2", "\"x\" in line 2")] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }
}
