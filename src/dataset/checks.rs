//! What is asked of every data set once it has been read, whatever it was read from; and what people are told of it.

use super::input::{Range, normal};
use super::{Dataset, Images};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// So many classes are named at either end of a long list.
const NAMED: usize = 4;

impl Dataset {
    /// Refuses what would be learned as something else than it is, or not at all. Every reader ends with this.
    pub fn check(&self) -> Result<()> {
        let fail = |problem: String| Err(Error::Dataset(format!("{} {problem}", self.name)));
        if self.train.count() == 0 || self.test.count() == 0 {
            return fail("has no images to learn from, or none to test on; give both".into());
        }
        self.check_names()?;
        let (train, test) = self.class_counts();
        if self.labelled_count() == 0 {
            return fail("has no label to learn from; give a label to some of the images".into());
        }
        let learned: Vec<&String> = self.names_where(|class| train[class] > 0);
        if let [only] = &learned[..] {
            return fail(format!("has one class to learn, {only}: nothing is to be told apart; add another class"));
        }
        let strange = self.names_where(|class| test[class] > 0 && train[class] == 0);
        if !strange.is_empty() {
            let names = listed(strange.iter().map(|name| format!("'{name}'")));
            return fail(format!(
                "has images to test on of {names}, and none to learn from; add some, or leave those classes out"
            ));
        }
        for images in [&self.train, &self.test] {
            images
                .features
                .as_ref()
                .map_or(Ok(()), |features| features.check_finite())
                .map_err(|error| Error::Dataset(format!("{} cannot be learned from: {error}", self.name)))?;
        }
        self.check_scales()
    }

    /// Names that look alike are one class in the eyes of whoever gave them.
    fn check_names(&self) -> Result<()> {
        // EMNIST has small letters beside capitals, as who published it gave them.
        match look_alikes(&self.class_names).filter(|_| self.input.is_some()) {
            Some((one, other)) => Err(Error::Dataset(format!("{} has the classes '{one}' and '{other}', {ALIKE}", self.name))),
            None => Ok(()),
        }
    }

    /// The same measured in another unit is other data.
    fn check_scales(&self) -> Result<()> {
        let (train, test) = (self.train.range(), self.test.range());
        // A byte knows no fractions: what was from 0 to 1 is nearly black.
        let is_dark = !self.train.has_features() && test.most <= 1.0 && train.most > 1.0 && test.most > 0.0;
        let is_bright = !self.train.has_features() && train.most <= 1.0 && test.most > 1.0;
        if is_dark || is_bright || train.is_of_other_scale(&test) {
            return Err(Error::Dataset(format!(
                "{} has {train} to learn from, and {test} to test on; bring both to one scale, such as x_test * 255",
                self.name
            )));
        }
        Ok(())
    }

    /// Images with labels of each class: to learn from, and to test on.
    fn class_counts(&self) -> (Vec<usize>, Vec<usize>) {
        let count = |labels: &mut dyn Iterator<Item = u8>| {
            let mut counts = vec![0; self.classes()];
            labels.for_each(|label| {
                if let Some(count) = counts.get_mut(usize::from(label)) {
                    *count += 1;
                }
            });
            counts
        };
        let has_label = |image: usize| self.unlabelled.binary_search(&(image as u32)).is_err();
        let train = &self.train.labels;
        (
            count(&mut (0..train.len()).filter(|&image| has_label(image)).map(|image| train[image])),
            count(&mut self.test.labels.iter().copied()),
        )
    }

    fn names_where(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<&String> {
        (0..self.classes()).filter(|&class| is_wanted(class)).map(|class| &self.class_names[class]).collect()
    }

    /// What was taken for what, a line for each: the head of what `train`, `audit` and `study` say.
    pub fn said(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |what: &str, text: String| lines.push(format!("{what:<8} {text}"));
        if let Some(labels) = &self.taken.labels {
            say("labels", labels.clone());
        }
        let (train, _) = self.class_counts();
        let counts = self.class_names.iter().zip(&train).map(|(name, count)| format!("{name} {count}"));
        say("classes", format!("{}: {}", self.classes(), listed(counts)));
        if !self.unlabelled.is_empty() {
            say("no label", format!("{} of the {}s to learn from", self.unlabelled.len(), self.train.noun()));
        }
        if let Some(numbers) = self.input.as_ref().and_then(|input| input.numbers) {
            say("numbers", numbers.to_string());
        }
        self.taken.decided.iter().for_each(|text| say("decided", text.clone()));
        let copies = if self.input.is_some() && self.held_out.is_none() { self.copies() } else { 0 };
        if copies > 0 {
            let (all, noun) = (self.test.count(), self.test.noun());
            say(
                "copies",
                format!("{copies} of {all} {noun}s to test on are among those to learn from: the accuracy is too good by them"),
            );
        }
        self.taken.left_out.iter().for_each(|text| say("left out", text.clone()));
        lines
    }
}

/// What is wrong with names that look alike, and what helps.
pub(super) const ALIKE: &str = "which differ by case, blanks or the form of a letter alone; rename or merge them";

/// Two names that look alike.
pub(super) fn look_alikes(names: &[String]) -> Option<(&String, &String)> {
    let mut seen: HashMap<String, &String> = HashMap::new();
    let alike = |name: &String| normal(name).split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    names.iter().find_map(|name| seen.insert(alike(name), name).map(|other| (other, name)))
}

impl Images {
    /// What is known of the numbers that a network reads.
    pub fn range(&self) -> Range {
        let Some(features) = &self.features else {
            let bounds = |(least, most): (u8, u8), &pixel: &u8| (least.min(pixel), most.max(pixel));
            return self.pixels.iter().fold((u8::MAX, u8::MIN), bounds).into();
        };
        let mut range = Range::NONE;
        features.for_each_block(|_, block| range = block.iter().fold(range, |range, &number| range.with(number.into())));
        range
    }
}

impl From<(u8, u8)> for Range {
    fn from((least, most): (u8, u8)) -> Self {
        Self { whole: true, least: least.into(), most: most.into() }
    }
}

/// The first and the last of many.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.len() <= 2 * NAMED + 1 {
        return texts.join(", ");
    }
    format!("{} … {}", texts[..NAMED].join(", "), texts[texts.len() - NAMED..].join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::{ImageShape, Input, digits, numbered};
    use super::*;

    fn images(pixels: &[u8], labels: &[u8]) -> Images {
        Images { pixels: pixels.to_vec(), labels: labels.to_vec(), shape: ImageShape::gray(1, 1), features: None }
    }

    fn own(train: Images, test: Images, names: &[&str]) -> Dataset {
        let names = names.iter().map(ToString::to_string).collect();
        Dataset { input: Some(Input::default()), ..Dataset::of("own", train, test, names) }
    }

    #[test]
    fn known_data_passes_and_says_its_classes() {
        let data = digits::generate_with_counts(digits::SEED, 300, 100);
        data.check().unwrap();
        assert_eq!(data.said().len(), 1);
        assert!(data.said()[0].starts_with("classes  10: 0 ") && data.said()[0].contains(" … "), "{:?}", data.said());
    }

    #[test]
    fn what_was_taken_is_said() {
        let mut data = own(images(&[1, 2, 3, 4], &[0, 1, 1, 0]), images(&[2, 9], &[1, 0]), &["cat", "dog"]);
        data.set_unlabelled(vec![3]);
        data.taken.left_out.push("val (3 files)".into());
        data.taken.labels = Some("the names of folders".into());
        let said = [
            "labels   the names of folders",
            "classes  2: cat 1, dog 2",
            "no label 1 of the images to learn from",
            "copies   1 of 2 images to test on are among those to learn from: the accuracy is too good by them",
            "left out val (3 files)",
        ];
        assert_eq!(data.said(), said);
        let many = own(images(&(0..20).collect::<Vec<_>>(), &(0..20).collect::<Vec<_>>()), images(&[1], &[1]), &[]);
        let many = Dataset { class_names: numbered(20), ..many };
        assert_eq!(many.said()[0], "classes  20: 0 1, 1 1, 2 1, 3 1 … 16 1, 17 1, 18 1, 19 1");
    }
}
