//! What the columns of a table are: whether the first row names them, which one holds the labels, which one only counts, and in which order
//! a model reads the others.

use super::super::input::{self, Reading};
use super::super::numbers::Numbers;
use super::{Table, is_missing, real};
use crate::error::{Error, Result};
use csv::ByteRecord;
use std::collections::HashSet;

/// Names of the column of labels, where none was given.
const LABELS: [&str; 4] = ["label", "class", "target", "y"];
/// Numbers that count up from 0 or 1 are names that pandas gave, if they are so many,
const NUMBERED: usize = 5;
/// and may be, if they are so many.
const PERHAPS_NUMBERED: usize = 3;
/// A column of labels has so many times fewer different numbers than another that may be one, or it is not told which is.
const FEWER: usize = 8;

/// Where the labels stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    #[default]
    None,
    /// In this column.
    At(usize),
    /// In the first or in the last column, as its numbers tell.
    Sought,
}

/// The columns of a table.
#[derive(Default)]
pub struct Columns {
    pub width: usize,
    pub has_names: bool,
    pub label: Place,
    names: Vec<String>,
    counters: Vec<Counter>,
    pub decided: Option<String>,
}

/// A column whose numbers count so far.
struct Counter {
    column: usize,
    last: Option<i64>,
}

impl Columns {
    pub fn name(&self, column: usize) -> Option<&str> {
        self.names.get(column).map(String::as_str)
    }

    /// Forgets counters that do not count in this row.
    pub fn count(&mut self, row: &ByteRecord, reading: Reading) {
        self.counters.retain_mut(|Counter { column, last }| {
            let next = row.get(*column).and_then(|cell| str::from_utf8(cell).ok()?.parse::<i64>().ok());
            let counts = next.is_some()
                && last.is_none_or(|last| match reading {
                    Reading::First => next == last.checked_add(1),
                    // Rows may have been taken out.
                    Reading::Second => next > Some(last),
                });
            *last = next;
            counts
        });
    }

    /// The name of a column that counts the rows.
    pub fn counter(&self) -> Option<&str> {
        self.counters.iter().find(|counter| self.label != Place::At(counter.column)).and_then(|counter| self.name(counter.column))
    }

    /// The name of the labels' column, or its number.
    pub fn label_name(&self) -> Option<String> {
        match self.label {
            Place::At(column) => Some(self.name(column).map_or_else(|| (column + 1).to_string(), str::to_owned)),
            _ => None,
        }
    }
}

impl Table<'_> {
    fn is_old(&self) -> bool {
        self.options.reading == Reading::First
    }

    /// What the first row says of the columns.
    pub fn columns(&self, row: &ByteRecord) -> Result<Columns> {
        let width = row.len();
        let (has_names, decided) = self.has_names(row)?;
        let names: Vec<String> = match has_names {
            true => row.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
            false => Vec::new(),
        };
        let mut columns = Columns { width, has_names, names, decided, ..Columns::default() };
        columns.label = if has_names { self.label_of(&columns.names)? } else { self.label_of_nameless(width)? };
        columns.counters = self.counters(&columns.names)?;
        Ok(columns)
    }

    /// Whether the first row holds names, and what people should know of that.
    fn has_names(&self, row: &ByteRecord) -> Result<(bool, Option<String>)> {
        if let Some(header) = self.options.header {
            return Ok((header, None));
        }
        let is_number = |cell: &[u8]| real(cell).is_some();
        if row.iter().any(|cell| !is_number(cell) && (self.is_old() || !is_missing(cell))) {
            return Ok((true, None));
        }
        if self.is_old() {
            return Ok((false, None));
        }
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        let own = self.options.like.as_ref().and_then(|like| like.input.columns.as_ref());
        if own.is_some_and(|own| own.iter().all(|name| row.iter().any(|cell| text(cell) == *name))) {
            return Ok((true, None));
        }
        let counts = |first: usize| row.iter().enumerate().all(|(place, cell)| text(cell) == (first + place).to_string());
        if row.len() < PERHAPS_NUMBERED || !(counts(0) || counts(1)) {
            return Ok((false, None));
        }
        let shown = row.iter().take(3).map(text).collect::<Vec<_>>().join(", ");
        if row.len() < NUMBERED {
            let problem = format!("begins with a row {shown} …, which may be names of columns or the first row of numbers");
            return Err(self.fail(problem, "give --header where they are names, or --header=false"));
        }
        Ok((true, Some(format!("the first row, {shown} …, names the columns (--header=false takes it for numbers)"))))
    }

    fn asked(&self) -> Option<&str> {
        let like = || self.options.like.as_ref().and_then(|like| like.input.label_column.as_deref());
        self.options.label_column.as_deref().or_else(like)
    }

    /// The place of the labels among named columns.
    fn label_of(&self, names: &[String]) -> Result<Place> {
        let place = |wanted: &str| {
            let same = |name: &String| input::normal(name) == input::normal(wanted);
            let exact = names.iter().position(same);
            exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let own = self.options.like.as_ref().and_then(|like| like.input.columns.as_ref());
        if let Some(asked) = self.asked() {
            let is_feature = |column: usize| match (own, &self.options.like) {
                (Some(own), _) => own.contains(&names[column]),
                (None, Some(like)) => names.len() <= like.width,
                (None, None) => false,
            };
            let found = place(asked).filter(|&column| self.needs_labels || !is_feature(column));
            return match found.or_else(|| numbered(asked, names.len()).filter(|_| !self.is_old() && own.is_none())) {
                None if self.needs_labels => {
                    let some = names.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
                    let problem = format!("has no column of the name {asked}; its columns are {some}");
                    Err(self.fail(problem, "give one of them as --label-column"))
                }
                found => Ok(found.map_or(Place::None, Place::At)),
            };
        }
        if !self.needs_labels && own.is_some() {
            return Ok(Place::None);
        }
        let usual: Vec<usize> = LABELS.into_iter().filter_map(place).collect();
        if self.is_old() || !self.needs_labels {
            let is_too_many = |width: usize| names.len() > width;
            let is_needed = self.options.like.as_ref().is_none_or(|like| self.is_old() || is_too_many(like.width));
            return match usual.first() {
                None if self.needs_labels => Err(self.nameless_labels()),
                Some(&column) if self.needs_labels || is_needed => Ok(Place::At(column)),
                _ => Ok(Place::None),
            };
        }
        match &usual[..] {
            // Names that are numbers say nothing.
            [] if names.iter().all(|name| name.parse::<f64>().is_ok()) => Ok(Place::Sought),
            [] => Err(self.nameless_labels()),
            [one] if names[*one].eq_ignore_ascii_case("y") && place("x").is_some() => Err(self.fail(
                "has the columns x and y, which may be a place, and y the label".into(),
                "give --label-column y where it is, else the name of the column of labels",
            )),
            [one] => Ok(Place::At(*one)),
            several => {
                let names = several.iter().map(|&column| names[column].as_str()).collect::<Vec<_>>().join(" and ");
                Err(self.fail(
                    format!("has the columns {names}, each of which may be the label"),
                    "give one of them as --label-column, and remove the other, which would give the answer away",
                ))
            }
        }
    }

    fn nameless_labels(&self) -> Error {
        self.fail(
            format!("has no column of the name {}", LABELS.join(", ")),
            "name the column of labels with --label-column (Kaggle's test.csv has none)",
        )
    }

    /// The same among columns without names.
    fn label_of_nameless(&self, width: usize) -> Result<Place> {
        let asked = self.options.label_column.as_deref();
        if let Some(asked) = asked.filter(|asked| self.is_old() || numbered(asked, width).is_none()) {
            return Err(self.fail(
                format!("has no line of names, and so no column {asked}"),
                "write the columns' names into the first line, or give --label-column first, last or a number, counted from 1",
            ));
        }
        if self.is_old() {
            return Ok(if self.needs_labels { Place::At(0) } else { Place::None });
        }
        let like = self.options.like.as_ref().filter(|like| width == like.width + 1);
        let asked = asked.or_else(|| like.and_then(|like| like.input.label_column.as_deref()));
        match asked.and_then(|asked| numbered(asked, width)) {
            Some(column) => Ok(Place::At(column)),
            None if self.needs_labels => Ok(Place::Sought),
            None => Ok(Place::None),
        }
    }

    /// Which of the first and the last column holds the labels, and why.
    pub fn sought(&self, numbers: &Numbers, width: usize) -> Result<(usize, String)> {
        let last = width - 1;
        let different = |place: usize| {
            let column = numbers.columns(width, &[place]).doubles();
            let (rows, whole) = (column.len(), column.iter().all(|number| number.fract() == 0.0));
            let different = column.iter().map(|number| number.to_bits()).collect::<HashSet<_>>().len();
            // Labels come again, and a column of one number tells nothing.
            (whole && different > 1 && different <= 256 && (2 * different <= rows || rows < 8)).then_some(different)
        };
        let decided = |place: usize, name: &str, other: &str| {
            Ok((place, format!("the {name} column holds the labels (--label-column {other} takes the {other} one)")))
        };
        match (different(0), different(last)) {
            (Some(_), None) => decided(0, "first", "last"),
            (None, Some(_)) => decided(last, "last", "first"),
            (Some(one), Some(other)) if FEWER * one <= other => decided(0, "first", "last"),
            (Some(one), Some(other)) if FEWER * other <= one => decided(last, "last", "first"),
            (Some(_), Some(_)) => Err(self.fail(
                "has no names of columns, and labels may stand in the first or in the last".into(),
                "give --label-column first or --label-column last, or write names into the first line",
            )),
            (None, None) => Err(self.fail(
                "has no names of columns, and neither the first nor the last can hold labels, which are whole numbers that come again".into(),
                "give --label-column and the number of the column, counted from 1",
            )),
        }
    }

    /// Columns that may count the rows. One without a name is what pandas writes beside its columns.
    fn counters(&self, names: &[String]) -> Result<Vec<Counter>> {
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        if let Some(column) = lower.iter().position(|name| matches!(&name[..], "" | "unnamed: 0")) {
            let problem = format!("has a column without a name, column {}", column + 1);
            return Err(self.fail(problem, "remove it, such as by pandas' to_csv(…, index=False), or give it a name"));
        }
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(input::normal(name))).filter(|_| !self.is_old()) {
            return Err(self.fail(format!("has two columns of the name {name}"), "give each column a name of its own"));
        }
        let own = self.options.like.as_ref().and_then(|like| like.input.columns.as_ref());
        let is_read = |name: &String| own.is_some_and(|own| own.contains(name));
        let counts = |(column, name): (usize, &String)| {
            (matches!(&name[..], "id" | "index") && !is_read(&names[column])).then_some(Counter { column, last: None })
        };
        Ok(lower.iter().enumerate().filter_map(counts).collect())
    }

    /// The names of the columns that are read, and their order where a model reads them in another one than the file's.
    pub fn ordered(&self, columns: &Columns) -> Result<(Vec<String>, Option<Vec<usize>>)> {
        let is_label = |column: usize| columns.label == Place::At(column);
        let given: Vec<String> =
            (0..columns.names.len()).filter(|&column| !is_label(column)).map(|column| columns.names[column].clone()).collect();
        let own = self.options.like.as_ref().and_then(|like| like.input.columns.as_ref());
        match own {
            Some(own) if columns.has_names => {
                let order = input::places_of(own, &given).map_err(|error| {
                    self.fail(error.to_string(), "give the columns that the model learned from, by their names")
                })?;
                Ok((own.clone(), Some(order)))
            }
            _ => Ok((given, None)),
        }
    }
}

/// The place that a number, counted from 1, or a word says.
fn numbered(asked: &str, width: usize) -> Option<usize> {
    match asked {
        "first" => Some(0),
        "last" => Some(width - 1),
        number => number.parse::<usize>().ok().filter(|number| (1..=width).contains(number)).map(|number| number - 1),
    }
}
