//! Options that are a number or a word.

use serde::{Deserialize, Serialize};

/// As files have such an option.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum NumberOrWord<N> {
    Number(N),
    Word(String),
}

/// What such an option says where the program is to find the number.
pub(super) const AUTO: &str = "auto";

/// Text and files of an enumeration of a number (`$number`) and `Auto`; `$what` names the number, of which `$example` is one.
macro_rules! number_or_auto {
    ($name:ident, $number:ident, $what:literal, $example:literal) => {
        impl TryFrom<$crate::config::words::NumberOrWord<f64>> for $name {
            type Error = String;

            fn try_from(given: $crate::config::words::NumberOrWord<f64>) -> std::result::Result<Self, String> {
                match given {
                    $crate::config::words::NumberOrWord::Number(number) => Ok(Self::$number(number)),
                    $crate::config::words::NumberOrWord::Word(word) => word.parse(),
                }
            }
        }

        impl From<$name> for $crate::config::words::NumberOrWord<f64> {
            fn from(value: $name) -> Self {
                match value {
                    $name::$number(number) => Self::Number(number),
                    $name::Auto => Self::Word($crate::config::words::AUTO.into()),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> std::result::Result<Self, String> {
                match text.parse() {
                    Ok(number) => Ok(Self::$number(number)),
                    Err(_) if text == $crate::config::words::AUTO => Ok(Self::Auto),
                    Err(_) => {
                        Err(format!(concat!("{:?} is no ", $what, "; give a number such as ", $example, ", or auto"), text))
                    }
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::$number(number) => number.fmt(formatter),
                    Self::Auto => formatter.write_str($crate::config::words::AUTO),
                }
            }
        }
    };
}

pub(super) use number_or_auto;
