//! Which of a model's classes the classes of a data set are.

use crate::dataset::input::normal;
use crate::error::{Error, Result};
use crate::output::description::ModelDescription;
use serde::Serialize;

/// Classes without a match that are named in an error.
const NAMED: usize = 10;

/// By what classes are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matching {
    /// Both sides have names, and equal names are the same class.
    Names,
    /// One side has no names: class 0 is class 0, and so on.
    Numbers,
}

/// For each class of a data set the class of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    /// By what they were compared.
    pub matching: Matching,
    /// Of the data's classes, where they are compared by name.
    of_names: Vec<Option<u8>>,
}

impl ClassMap {
    /// Matches `names`, the classes of a data set, with those of a model; `labels` are the data's. A class that has images, but no
    /// match, is an error. `named` tells whether the data's classes have names at all.
    pub fn new(model: &ModelDescription, names: &[String], named: bool, labels: &[u8]) -> Result<Self> {
        let place = |name: &String| {
            let same = |class: &String| normal(class) == normal(name);
            model.classes.iter().position(same).and_then(|place| u8::try_from(place).ok())
        };
        if !named || !model.has_class_names() {
            // Numbers are names, too, where the model has them; else they are places, and so are names.
            let by_place = |(class, name): (usize, &String)| {
                let number = if named { Some(class) } else { name.parse::<usize>().ok() };
                place(name).or_else(|| number.and_then(|number| u8::try_from(number).ok()))
            };
            let of_names: Vec<Option<u8>> = names.iter().enumerate().map(by_place).collect();
            let strange = (0..names.len()).find(|&class| {
                of_names[class].is_none_or(|own| usize::from(own) >= model.classes.len()) && labels.contains(&(class as u8))
            });
            return match strange {
                Some(class) => Err(Error::Configuration(format!(
                    "the data has the class {}, and the model's {} classes are {}; leave its images out",
                    names[class],
                    model.classes.len(),
                    listed(&model.classes.iter().collect::<Vec<_>>())
                ))),
                None => Ok(Self { matching: Matching::Numbers, of_names }),
            };
        }
        let of_names: Vec<Option<u8>> = names.iter().map(place).collect();
        let has_images = |class: usize| labels.iter().any(|&label| usize::from(label) == class);
        let strange: Vec<&String> =
            (0..names.len()).filter(|&class| of_names[class].is_none() && has_images(class)).map(|class| &names[class]).collect();
        if strange.is_empty() {
            return Ok(Self { matching: Matching::Names, of_names });
        }
        let (verb, noun) = if strange.len() == 1 { ("is", "class") } else { ("are", "classes") };
        Err(Error::Configuration(format!(
            "the data's {noun} {} {verb} not among the model's, which are {}; rename the {noun} as in the model, or remove the images",
            listed(&strange),
            listed(&model.classes.iter().collect::<Vec<_>>())
        )))
    }

    /// The labels of a data set as the model's. Those that are no class of the data stay as they are, and fit no model of fewer.
    pub fn labels(&self, labels: &[u8]) -> Vec<u8> {
        let of = |&label: &u8| self.of_names.get(usize::from(label)).copied().flatten().unwrap_or(label);
        labels.iter().map(of).collect()
    }
}

fn listed(names: &[&String]) -> String {
    let mut text = names.iter().take(NAMED).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageShape, Origin, numbered};
    use crate::model::Architecture;
    use crate::output::description::UNKNOWN;

    fn model(classes: &[&str]) -> ModelDescription {
        ModelDescription {
            architecture: Architecture::dense(&[4, classes.len()]),
            replicas: 1,
            normalize: false,
            mean: 0.0,
            deviation: 1.0,
            features: None,
            image: ImageShape::gray(2, 2),
            classes: classes.iter().map(ToString::to_string).collect(),
            dataset: "things".into(),
            origin: Origin::Folder { test_fraction: None },
            held_out: None,
            input: None,
        }
    }

    fn names(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_decide_whatever_their_order() {
        let model = model(&["cat", "dog", "owl"]);
        let map = ClassMap::new(&model, &names(&["owl", "cat"]), true, &[0, 1, 1]).unwrap();
        assert_eq!((map.matching, map.labels(&[0, 1, 1])), (Matching::Names, vec![2, 0, 0]));
        // A class without images needs no match.
        let map = ClassMap::new(&model, &names(&["ape", "dog"]), true, &[1]).unwrap();
        assert_eq!(map.labels(&[1]), [1]);
        let message = ClassMap::new(&model, &names(&["ape", "dog", "bee"]), true, &[0, 1, 2]).unwrap_err().to_string();
        assert!(message.contains("classes 'ape', 'bee' are not among the model's, which are 'cat', 'dog', 'owl'"), "{message}");
    }

    #[test]
    fn numbers_decide_where_one_side_has_no_names() {
        let known = model(&["cat", "dog"]);
        let map = ClassMap::new(&known, &numbered(2), false, &[0, 1]).unwrap();
        assert_eq!((map.matching, map.labels(&[0, 1, 5])), (Matching::Numbers, vec![0, 1, 5]));
        let foreign = ModelDescription { dataset: UNKNOWN.into(), origin: Origin::Known, ..model(&["0", "1"]) };
        let of_file = ModelDescription { origin: Origin::File { test_fraction: None }, ..model(&["0", "1"]) };
        for nameless in [foreign, of_file] {
            assert_eq!(ClassMap::new(&nameless, &names(&["cat", "dog"]), true, &[0, 1]).unwrap().matching, Matching::Numbers);
        }
    }
}
