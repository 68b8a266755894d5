//! Widths of a network as they are asked for: numbers, or the data's own.

use super::words::AUTO;
use crate::model::{Architecture, LayerSpec};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// Widths of a network, input first, classes last. The first and the last may be left to the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Width>", into = "Vec<Width>")]
pub struct Widths(Vec<Width>);

/// One of them: a number, or in files the word `auto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Width {
    Given(usize),
    Word(String),
}

impl Widths {
    /// Hidden layers of these widths; input and output are the data's.
    pub fn around(hidden: &[usize]) -> Self {
        let auto = || std::iter::once(Width::Word(AUTO.into()));
        Self(auto().chain(hidden.iter().copied().map(Width::Given)).chain(auto()).collect())
    }

    /// The network for images of `pixels` numbers and `classes` classes.
    pub fn fitted_to(&self, pixels: usize, classes: usize) -> Architecture {
        let width = |(index, width): (usize, &Width)| match width {
            Width::Given(width) => *width,
            Width::Word(_) => [pixels, classes][usize::from(index > 0)],
        };
        Architecture::dense(&self.0.iter().enumerate().map(width).collect::<Vec<_>>())
    }
}

impl From<&Architecture> for Widths {
    fn from(architecture: &Architecture) -> Self {
        let layers = architecture.layers().map(|layer| match layer.spec {
            LayerSpec::Linear { outputs } => Width::Given(outputs),
        });
        Self(std::iter::once(Width::Given(architecture.inputs())).chain(layers).collect())
    }
}

/// A network in files: its widths, none of which is left to the data.
pub mod written {
    use super::{Architecture, Width, Widths};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Writes the widths.
    pub fn serialize<S: Serializer>(architecture: &Architecture, serializer: S) -> Result<S::Ok, S::Error> {
        Widths::from(architecture).serialize(serializer)
    }

    /// Reads them again.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Architecture, D::Error> {
        let widths = Widths::deserialize(deserializer)?;
        match widths.0.iter().any(|width| matches!(width, Width::Word(_))) {
            true => Err(D::Error::custom(format!("the widths {widths} of a run that was fitted to data must be numbers"))),
            false => Ok(widths.fitted_to(0, 0)),
        }
    }
}

impl From<Vec<usize>> for Widths {
    fn from(widths: Vec<usize>) -> Self {
        Self(widths.into_iter().map(Width::Given).collect())
    }
}

impl TryFrom<Vec<Width>> for Widths {
    type Error = String;

    fn try_from(widths: Vec<Width>) -> Result<Self, String> {
        for (index, width) in widths.iter().enumerate() {
            let Width::Word(word) = width else { continue };
            if word != AUTO {
                return Err(format!("{word:?} is not a width; give a number, or {AUTO} to take it from the data"));
            }
            if index > 0 && index + 1 < widths.len() {
                return Err(format!(
                    "{AUTO} is for the first and the last width, which the data decides; give hidden ones as numbers"
                ));
            }
        }
        Ok(Self(widths))
    }
}

impl From<Widths> for Vec<Width> {
    fn from(widths: Widths) -> Self {
        widths.0
    }
}

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let width = |word: &str| word.parse().map_or_else(|_| Width::Word(word.to_owned()), Width::Given);
        text.split(',').map(str::trim).map(width).collect::<Vec<_>>().try_into()
    }
}

impl Display for Widths {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        for (index, width) in self.0.iter().enumerate() {
            formatter.write_str(if index > 0 { "," } else { "" })?;
            match width {
                Width::Given(width) => write!(formatter, "{width}")?,
                Width::Word(word) => formatter.write_str(word)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_decides_what_is_auto() {
        let fitted = |text: &str| text.parse::<Widths>().unwrap().fitted_to(3072, 7).widths();
        assert_eq!(fitted("auto,256, 64,10"), [3072, 256, 64, 10]);
        assert_eq!(fitted("784,64,auto"), [784, 64, 7]);
        assert_eq!(fitted("auto,auto"), [3072, 7]);
        assert_eq!(Widths::around(&[5]).fitted_to(3072, 7).widths(), [3072, 5, 7]);
        assert_eq!(Widths::around(&[5]).to_string(), "auto,5,auto");
    }

    #[test]
    fn what_is_no_width_is_refused() {
        for (text, part) in
            [("784,,10", "\"\""), ("784,-5,10", "-5"), ("784,auto,10", "hidden"), ("a,10", "\"a\""), ("784,1e3", "1e3")]
        {
            let problem = text.parse::<Widths>().unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn files_hold_numbers_and_the_word() {
        let widths: Widths = serde_json::from_str(r#"["auto", 64, 10]"#).unwrap();
        assert_eq!(widths, "auto,64,10".parse().unwrap());
        assert_eq!(serde_json::to_string(&widths).unwrap(), r#"["auto",64,10]"#);
        assert_eq!(serde_json::from_str::<Widths>("[784, 10]").unwrap(), Widths::from(vec![784, 10]));
        assert!(serde_json::from_str::<Widths>(r#"[784, "auto", 10]"#).is_err());
    }
}
