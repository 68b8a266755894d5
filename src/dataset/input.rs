//! How what stands in files became what a network reads. It is a part of a model's description: every file that the model is asked about
//! is read in the same way, and not guessed anew.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;
use unicode_normalization::UnicodeNormalization;

/// How own data was read. Known sets say nothing, and nothing was said before there was this: then it is guessed as it was then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Input {
    /// What the numbers of a file are. Pictures say it by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Meaning>,
    /// How the colours of a pixel stand in rows of numbers that have no other shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colours: Option<ColourOrder>,
    /// The names of a table's columns, without that of the labels, in the order in which the network reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The name of the column of labels, or its number, counted from 1, where columns have no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// What was subtracted from each feature before it became a number of 32 bits, which would have lost digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Vec<f64>>,
    /// Whether pictures are searched for digits, which the images are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<bool>,
}

impl Input {
    /// Whether it can be of rows of `width` numbers.
    pub fn fits(&self, width: usize) -> bool {
        let white = match self.numbers {
            Some(Meaning::Pixels { white }) => white,
            _ => 1.0,
        };
        self.columns.as_ref().is_none_or(|columns| columns.len() == width)
            && self.offset.as_ref().is_none_or(|offset| offset.len() == width && offset.iter().all(|number| number.is_finite()))
            && white.is_finite()
            && white > 0.0
    }
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Shades from 0, which is black, to this, which is white.
    Pixels {
        /// 255, 1 for fractions, or less than 255.
        white: f64,
    },
    /// Whatever was measured, within these bounds.
    Features(Range),
}

impl Display for Meaning {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pixels { white } => write!(formatter, "pixels, 0 is black and {white} is white"),
            Self::Features(range) => write!(formatter, "features, {range}"),
        }
    }
}

/// What is known of many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Whether all of them are whole.
    pub whole: bool,
    /// The least
    pub least: f64,
    /// and the largest.
    pub most: f64,
}

impl Display for Range {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { whole, least, most } = self;
        write!(formatter, "{} from {least} to {most}", if *whole { "whole numbers" } else { "numbers" })
    }
}

impl Range {
    /// Of no numbers: any other one is larger.
    pub const NONE: Self = Self { whole: true, least: f64::INFINITY, most: f64::NEG_INFINITY };

    /// The same with another number.
    pub fn with(self, number: f64) -> Self {
        Self { whole: self.whole && number.fract() == 0.0, least: self.least.min(number), most: self.most.max(number) }
    }

    /// The same with other numbers.
    pub fn and(self, other: Self) -> Self {
        Self { whole: self.whole && other.whole, least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// Whether one are whole numbers above 1 and the others fractions from 0 to 1: the same measured in another unit, of which what learned
    /// from the one knows nothing.
    pub fn is_of_other_scale(&self, other: &Self) -> bool {
        let (whole, parts) = if self.whole { (self, other) } else { (other, self) };
        whole.whole && !parts.whole && self.least >= 0.0 && other.least >= 0.0 && whole.most > 1.0 && parts.most <= 1.0
    }
}

/// A model that a file is read for.
#[derive(Clone, Debug, PartialEq)]
pub struct Like {
    /// How it reads.
    pub input: Input,
    /// Its classes.
    pub classes: Vec<String>,
    /// Numbers in one of its rows.
    pub width: usize,
}

/// By which rules own data is read and drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As it was before there was a choice: what numbers are is guessed from each file, rows are held back by their place, and pictures by
    /// their name. Runs and models of that time go on so.
    First,
    /// As a model's description says; held back by what rows and pictures hold, of each class its share.
    #[default]
    Second,
}

impl Display for Reading {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::First => "1",
            Self::Second => "2",
        })
    }
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "1" => Ok(Self::First),
            "2" => Ok(Self::Second),
            _ => Err("give 2, or 1 to read data as versions up to 0.2 did".into()),
        }
    }
}

/// How the three colours of pixels stand in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColourOrder {
    /// All red, all green, all blue.
    Planes,
    /// Red, green and blue of the first pixel, then of the next.
    Interleaved,
}

impl Display for ColourOrder {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Planes => "planes",
            Self::Interleaved => "interleaved",
        })
    }
}

impl FromStr for ColourOrder {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "planes" => Ok(Self::Planes),
            "interleaved" => Ok(Self::Interleaved),
            _ => Err("give planes (all red, all green, all blue) or interleaved (red, green, blue of each pixel)".into()),
        }
    }
}

/// What stands in the place of a label that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLabel {
    /// Nothing: every number is a class.
    Never,
    /// This number.
    Number(i64),
}

impl Display for NoLabel {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Never => formatter.write_str("never"),
            Self::Number(number) => number.fmt(formatter),
        }
    }
}

impl<'de> Deserialize<'de> for NoLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        /// Either way of writing it.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::Number(number)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl FromStr for NoLabel {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "never" => Ok(Self::Never),
            number => number.parse().map(Self::Number).map_err(|_| "give a whole number, such as -1, or never".into()),
        }
    }
}

/// A name in one form, however its letters were composed.
pub fn normal(name: &str) -> String {
    name.nfc().collect()
}

/// For each column that a model reads its place among `given`, the columns of a table that is not labels.
pub fn places_of(own: &[String], given: &[String]) -> Result<Vec<usize>> {
    let normal_given: Vec<String> = given.iter().map(|name| normal(name)).collect();
    let fail = |problem: String| Err(Error::Configuration(problem));
    let some = |names: &[&String]| {
        let named = names.iter().take(6).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        if names.len() > 6 { format!("{named} and {} more", names.len() - 6) } else { named }
    };
    let place = |name: &String| normal_given.iter().position(|given| *given == normal(name));
    let missing: Vec<&String> = own.iter().filter(|name| place(name).is_none()).collect();
    if !missing.is_empty() {
        return fail(format!("lacks the columns {}, which the model reads", some(&missing)));
    }
    let strange: Vec<&String> = given.iter().filter(|name| !own.iter().any(|own| normal(own) == normal(name))).collect();
    if !strange.is_empty() {
        return fail(format!("has the columns {}, from which the model did not learn", some(&strange)));
    }
    Ok(own.iter().filter_map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_told_apart_where_one_is_whole() {
        let range = |numbers: &[f64]| numbers.iter().fold(Range::NONE, |range, &number| range.with(number));
        let (bytes, fractions, signed, zeros) =
            (range(&[0.0, 255.0]), range(&[0.0, 0.5, 1.0]), range(&[-0.5, 0.5]), range(&[0.0]));
        assert!(bytes.is_of_other_scale(&fractions) && fractions.is_of_other_scale(&bytes));
        assert!(!bytes.is_of_other_scale(&signed) && !bytes.is_of_other_scale(&zeros) && !fractions.is_of_other_scale(&zeros));
        assert_eq!(bytes.and(signed), Range { whole: false, least: -0.5, most: 255.0 });
    }

    #[test]
    fn columns_go_by_their_names() {
        let names = |text: &[&str]| text.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(places_of(&names(&["a", "caf\u{e9}", "b"]), &names(&["b", "a", "cafe\u{301}"])).unwrap(), [1, 2, 0]);
        let message = |given: &[&str]| places_of(&names(&["a", "b"]), &names(given)).unwrap_err().to_string();
        assert!(message(&["a", "c"]).contains("lacks the columns 'b'"));
        assert!(message(&["a", "b", "c"]).contains("has the columns 'c'"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let input = Input {
            numbers: Some(Meaning::Pixels { white: 16.0 }),
            colours: Some(ColourOrder::Interleaved),
            offset: Some(vec![1.7e9]),
            ..Input::default()
        };
        let text = serde_json::to_string(&input).unwrap();
        assert_eq!(text, r#"{"numbers":{"pixels":{"white":16.0}},"colours":"interleaved","offset":[1700000000.0]}"#);
        assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
        assert_eq!(serde_json::from_str::<Input>("{}").unwrap(), Input::default());
        for (text, value) in [("-1", NoLabel::Number(-1)), ("never", NoLabel::Never)] {
            assert_eq!((text.parse(), value.to_string().as_str()), (Ok(value), text));
        }
    }
}
