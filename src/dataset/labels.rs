//! Which classes the labels of a file are: every number that stands there is one, by its own name. Some numbers may as well say that there is
//! no label; where both is likely, an option decides.

use super::input::NoLabel;
use super::numbers::{Numbers, fail};
use crate::error::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// Labels are bytes.
const MAX_CLASSES: usize = 256;
/// What scikit-learn gives rows without a label.
const MISSING: i64 = -1;
/// What that is as a byte, and what masks of pictures have where nothing is to be learned.
const IGNORED: i64 = 255;
const REMEDY: &str = "number the classes with whole numbers";

/// Labels as places among the names of classes.
#[derive(Debug)]
pub struct Labels {
    /// The classes' numbers, ascending, as text.
    pub names: Vec<String>,
    /// Of each row to learn from; 0 stands in the place of one that is not known.
    pub train: Vec<u8>,
    /// Rows to learn from without a label.
    pub unlabelled: Vec<u32>,
    /// Of each row to test on, if there are some.
    pub test: Option<Vec<u8>>,
}

/// Finds out what labels are. `known` are the classes of a model that the file is for: a number that is one of them is a class.
pub fn classes(
    path: &Path,
    sets: (&Numbers, Option<&Numbers>),
    no_label: Option<NoLabel>,
    known: Option<&[String]>,
) -> Result<Labels> {
    let train = whole(path, sets.0)?;
    let test = sets.1.map(|test| whole(path, test)).transpose()?;
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    train.iter().chain(test.iter().flatten()).for_each(|&label| *counts.entry(label).or_default() += 1);
    let without = match no_label {
        Some(NoLabel::Never) => None,
        Some(NoLabel::Number(number)) => Some(number),
        None => guess(path, &counts, known)?,
    };
    let numbers: Vec<i64> = counts.keys().copied().filter(|&number| Some(number) != without).collect();
    if numbers.len() > MAX_CLASSES {
        let problem = format!("holds {} different labels, from {} to {}", numbers.len(), numbers[0], numbers[numbers.len() - 1]);
        return Err(fail(path, problem, "give at most 256 classes; --label-column names the column of a table that holds them"));
    }
    // Those that are no class have no place, and are without a label.
    let place = |label: &i64| numbers.binary_search(label).unwrap_or(0) as u8;
    let is_without = |label: &i64| Some(*label) == without;
    if let Some(row) = test.iter().flatten().position(is_without) {
        let problem = format!("holds no label for image {row} to test on");
        return Err(fail(path, problem, "give a label to each image to test on, or leave it out"));
    }
    let unlabelled = (0..).zip(&train).filter(|(_, label)| is_without(label)).map(|(row, _)| row).collect();
    Ok(Labels {
        names: numbers.iter().map(i64::to_string).collect(),
        unlabelled,
        test: test.map(|test| test.iter().map(place).collect()),
        train: train.iter().map(place).collect(),
    })
}

/// The number that says that there is no label, unless it may as well be a class.
fn guess(path: &Path, counts: &BTreeMap<i64, usize>, known: Option<&[String]>) -> Result<Option<i64>> {
    let is_class = |number: i64| known.is_some_and(|known| known.contains(&number.to_string()));
    let others = |number: i64| counts.keys().copied().filter(move |&other| other != number);
    let both = |number: i64| {
        let rows = counts.get(&number).copied().unwrap_or(0);
        let shown = counts.keys().take(4).map(i64::to_string).collect::<Vec<_>>().join(", ");
        let more = if counts.len() > 4 { ", …" } else { "" };
        let problem = format!(
            "holds the labels {shown}{more}, and {number}, which {rows} rows have, may be a class or say that there is none"
        );
        fail(path, problem, &format!("give --no-label {number} where it says so, or --no-label never where it is a class"))
    };
    if counts.contains_key(&MISSING) && !is_class(MISSING) {
        // −1 and 1, −1, 0 and 1, or −2 to 2 are classes of many.
        let alike = others(MISSING).any(|other| other < 0) || others(MISSING).all(|other| (0..=1).contains(&other));
        return if alike && known.is_none() { Err(both(MISSING)) } else { Ok(Some(MISSING)) };
    }
    let is_far = others(IGNORED).next_back().is_some_and(|last| last < IGNORED - 1);
    match counts.contains_key(&IGNORED) && is_far && !is_class(IGNORED) {
        true => Err(both(IGNORED)),
        false => Ok(None),
    }
}

fn whole(path: &Path, labels: &Numbers) -> Result<Vec<i64>> {
    let not_whole = |row: usize, label: f64| {
        let problem = format!("holds the label {label} in row {row}, counted from 0, which is no whole number");
        fail(path, problem, REMEDY)
    };
    let of = |(row, label): (usize, f64)| {
        if label.fract() == 0.0 && label.abs() < 2f64.powi(53) { Ok(label as i64) } else { Err(not_whole(row, label)) }
    };
    match labels {
        Numbers::Bytes(labels) => Ok(labels.iter().map(|&label| label.into()).collect()),
        Numbers::Integers(labels) => Ok(labels.clone()),
        Numbers::Floats(labels) => labels.iter().map(|&label| label.into()).enumerate().map(of).collect(),
        Numbers::Doubles(labels) => labels.iter().copied().enumerate().map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[i64], no_label: Option<&str>, known: Option<&[String]>) -> Result<Labels> {
        let no_label = no_label.map(|text| text.parse().unwrap());
        classes(Path::new("it.csv"), (&Numbers::Integers(labels.to_vec()), None), no_label, known)
    }

    #[test]
    fn every_number_is_a_class_of_its_own_name() {
        let found = of(&[250, 10, 250], None, None).unwrap();
        assert_eq!((found.names, found.train, found.unlabelled), (vec!["10".to_owned(), "250".into()], vec![1, 0, 1], vec![]));
        let found = of(&[0, 3, -1, 7], None, None).unwrap();
        assert_eq!((found.names.len(), found.train, found.unlabelled), (3, vec![0, 1, 0, 2], vec![2]));
        let fractions = classes(Path::new("it"), (&Numbers::Doubles(vec![0.0, 0.5]), None), None, None).unwrap_err().to_string();
        assert!(fractions.contains("the label 0.5 in row 1"), "{fractions}");
        let many: Vec<i64> = (0..257).collect();
        assert!(of(&many, None, None).unwrap_err().to_string().contains("257 different labels, from 0 to 256"));
    }

    #[test]
    fn what_may_be_a_class_or_none_is_for_an_option_to_decide() {
        for labels in [&[-1, 1, 1][..], &[-1, 0, 1], &[-2, -1, 0, 3], &[0, 1, 255], &[0, 255]] {
            let message = of(labels, None, None).unwrap_err().to_string();
            assert!(
                message.contains("may be a class or say that there is none") && message.contains("--no-label never"),
                "{message}"
            );
            let all = of(labels, Some("never"), None).unwrap();
            assert_eq!((all.names.len(), all.unlabelled.len()), (all.names.len(), 0));
        }
        assert_eq!(of(&[-1, 1, 1, 0], Some("-1"), None).unwrap().unlabelled, [0]);
        assert_eq!(of(&[0, 255, 1], Some("255"), None).unwrap().names, ["0", "1"]);
        assert_eq!(of(&[253, 254, 255], None, None).unwrap().names.len(), 3);
        // What a model calls a class is one.
        let known = ["-1".to_owned(), "1".into()];
        assert_eq!(of(&[1, -1], None, Some(&known)).unwrap().names, known);
        assert_eq!(of(&[1, -1], None, Some(&["0".to_owned(), "1".into()])).unwrap().unlabelled, [1]);
    }
}
