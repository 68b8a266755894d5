//! What numbers are: as an option says, as the model was told that they are for, or, where a model learns, as they look.

use super::super::Features;
use super::super::input::{ColourOrder, Meaning, Range};
use super::super::options::FileOptions;
use super::{Found, Labelled, Numbers, fail};
use crate::error::Result;
use std::path::Path;

/// Squares of at least this side are images, where rows have no other shape.
const LEAST_SIDE: usize = 8;
/// Whole numbers up to so many are all shades that there are; above, 255 is white.
const FEW_SHADES: f64 = 64.0;
/// Up to here 64 bits hold every whole number.
const EXACT: u64 = 1 << 53;
/// Rows that are looked at for the order of their colours.
const LOOKED_AT: usize = 500;
/// Differences of neighbours that are so much alike say nothing.
const ALIKE: f64 = 0.95;

/// How numbers are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the model reads,
    pub meaning: Meaning,
    /// and which number of this file is white in it.
    pub white: f64,
    /// The order of colours in rows that have no other shape, where there are colours.
    pub colours: Option<ColourOrder>,
    /// What is subtracted from features.
    pub offset: Option<Vec<f64>>,
    /// What was decided by what the numbers are.
    pub decided: Vec<String>,
}

/// A multiple of 1/255 from 0 to 1: it was rounded to 32 bits at most twice, and a thousandth is far above that, and far below the next one.
pub fn is_fraction(number: f64) -> bool {
    (0.0..=1.0).contains(&number) && (255.0 * number - (255.0 * number).round()).abs() < 1e-3
}

/// Decides for all sets of a file together.
pub fn plan(path: &Path, sets: &[&Labelled], found: &Found, options: &FileOptions) -> Result<Plan> {
    let range = sets.iter().fold(Range::NONE, |range, set| range.and(set.images.range()));
    let like = options.like.as_ref();
    let known = like.and_then(|like| like.input.numbers);
    let mut decided = Vec::new();
    let (meaning, white) = match (options.features, options.white, known) {
        (true, Some(_), _) => {
            let remedy = "leave --features or --white out";
            return Err(fail(path, "cannot be of features and of pixels, which alone have a white".into(), remedy));
        }
        (_, Some(white), Some(Meaning::Features(_))) => {
            return Err(fail(
                path,
                format!("is to be read as pixels up to {white}, and the model reads features"),
                "leave --white out",
            ));
        }
        (_, Some(white), known) => {
            if range.least < 0.0 || range.most > white {
                return Err(fail(
                    path,
                    format!("holds {range}, and --white {white} says that pixels end there"),
                    "give another --white",
                ));
            }
            (known.unwrap_or(Meaning::Pixels { white }), white)
        }
        (true, None, Some(Meaning::Pixels { .. })) => {
            return Err(fail(path, "is to be read as features, and the model reads pixels".into(), "leave --features out"));
        }
        (_, None, Some(Meaning::Features(own))) => {
            if own.is_of_other_scale(&range) {
                let problem = format!("holds {range}, and the model learned from {own}");
                return Err(fail(path, problem, "bring the numbers to the scale of those that it learned from"));
            }
            (Meaning::Features(own), 1.0)
        }
        (_, None, Some(Meaning::Pixels { white })) => (Meaning::Pixels { white }, white_like(path, sets, range, white)?),
        (true, None, None) => (Meaning::Features(range), 1.0),
        (false, None, None) => {
            let meaning = guess(sets, range, found);
            match meaning {
                Meaning::Pixels { white } => {
                    if white != 255.0 || sets[0].shape.len() == 2 {
                        decided.push(format!("the numbers are pixels, white is {white} (--white N, or --features)"));
                    }
                    (meaning, white)
                }
                Meaning::Features(_) => {
                    if range.whole && range.least >= 0.0 && range.most <= 255.0 && range.most > 1.0 {
                        decided.push(
                            "the numbers are features, each with a scale of its own (--white 255 takes them for pixels)".into(),
                        );
                    }
                    (meaning, 1.0)
                }
            }
        }
    };
    let is_large = |set: &&Labelled| match &set.images {
        Numbers::Integers(numbers) => numbers.iter().any(|number| number.unsigned_abs() > EXACT),
        _ => false,
    };
    if sets.iter().any(is_large) {
        decided.push(
            "whole numbers above 2^53 lose their last digits; subtract a number from that column before you save it".into(),
        );
    }
    let has_pixels = matches!(meaning, Meaning::Pixels { .. });
    let colours = if has_pixels { colours(path, sets, options, &mut decided)? } else { None };
    let offset = match like {
        Some(like) => like.input.offset.clone(),
        None if has_pixels => None,
        None => offset(sets),
    };
    Ok(Plan { meaning, white, colours, offset, decided })
}

/// What numbers look like.
fn guess(sets: &[&Labelled], range: Range, found: &Found) -> Meaning {
    let fractions = || sets.iter().all(|set| (0..set.images.count()).all(|place| is_fraction(set.images.get(place))));
    let can_be = range.least >= 0.0 && if range.whole { range.most <= 255.0 } else { range.most <= 1.0 && fractions() };
    let are_images = match sets[0].shape[..] {
        [_, width] if found.columns.is_empty() => is_image_like(width),
        [_, width] => {
            width > 1 && (found.columns.iter().all(|name| is_pixel(name)) || is_numbered(&found.columns) && is_image_like(width))
        }
        _ => true,
    };
    if !can_be || !are_images {
        return Meaning::Features(range);
    }
    let white = match range.most {
        _ if !range.whole => 1.0,
        most if most > 0.0 && most <= FEW_SHADES => most,
        _ => 255.0,
    };
    Meaning::Pixels { white }
}

fn is_image_like(width: usize) -> bool {
    let square = |pixels: usize| pixels.isqrt() * pixels.isqrt() == pixels && pixels.isqrt() >= LEAST_SIDE;
    square(width) || width.is_multiple_of(3) && square(width / 3)
}

/// A name such as pixel0, px_12, or 3x5 for row and column.
fn is_pixel(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let place = ["pixel", "pixels", "px", "pix"].iter().find_map(|word| name.strip_prefix(word));
    let of_place = place.is_some_and(|rest| {
        rest.split(['_', '-', '.', ' ', 'x', ',']).filter(|part| !part.is_empty()).all(is_number) && !rest.is_empty()
    });
    of_place || name.split_once('x').is_some_and(|(row, column)| is_number(row) && is_number(column))
}

/// Names that only count.
fn is_numbered(names: &[String]) -> bool {
    names.iter().all(|name| name.parse::<usize>().is_ok())
}

/// Which number of a file is white in what a model reads.
fn white_like(path: &Path, sets: &[&Labelled], range: Range, white: f64) -> Result<f64> {
    let fractions = || sets.iter().all(|set| (0..set.images.count()).all(|place| is_fraction(set.images.get(place))));
    if range.least < 0.0 || range.most > white {
        let problem = format!("holds {range}, and the model reads pixels from 0 to {white}");
        return Err(fail(path, problem, "give pixels of that scale, or the white of this file as --white"));
    }
    if white > 1.0 && range.most <= 1.0 && !range.whole && fractions() {
        return Ok(1.0);
    }
    if white > 1.0 && range.most == 1.0 && range.whole {
        let problem = format!("holds nothing but 0 and 1, which may be nearly black of {white} shades, or black and white");
        return Err(fail(path, problem, &format!("give --white 1 where 1 is white, or --white {white}")));
    }
    if white > 1.0 && !range.whole && range.most <= 1.0 {
        let problem = format!("holds {range}, which are not shades of 255, and the model reads pixels from 0 to {white}");
        return Err(fail(path, problem, "give --white 1 if 1 is white; they are rounded to shades then"));
    }
    if white > 1.0 && !range.whole {
        return Err(fail(path, format!("holds {range}, and the model reads whole pixels from 0 to {white}"), "round them"));
    }
    Ok(white)
}

/// The order of colours in rows that may be of three colours.
fn colours(path: &Path, sets: &[&Labelled], options: &FileOptions, decided: &mut Vec<String>) -> Result<Option<ColourOrder>> {
    let [_, width] = sets[0].shape[..] else { return Ok(None) };
    let side = (width / 3).isqrt();
    let has_colours = width.is_multiple_of(3) && 3 * side * side == width && width.isqrt() * width.isqrt() != width;
    if !has_colours {
        return Ok(None);
    }
    let known = options.like.as_ref().and_then(|like| like.input.colours);
    if let Some(order) = options.colours.or(known) {
        return Ok(Some(order));
    }
    // Neighbours in a row and in a column are alike, if they are of one colour.
    let numbers = &sets[0].images;
    let rows = (numbers.count() / width).min(LOOKED_AT);
    let difference = |step: usize| {
        let sum = |row: usize| {
            (0..width - step)
                .map(|place| (numbers.get(row * width + place) - numbers.get(row * width + place + step)).abs())
                .sum::<f64>()
        };
        (0..rows).map(sum).sum::<f64>() / (rows * (width - step)).max(1) as f64
    };
    let (planes, interleaved) = (difference(1) + difference(side), difference(3) + difference(3 * side));
    let (order, other) = match (planes < ALIKE * interleaved, interleaved < ALIKE * planes) {
        (true, _) => (ColourOrder::Planes, ColourOrder::Interleaved),
        (_, true) => (ColourOrder::Interleaved, ColourOrder::Planes),
        _ => {
            let problem = "holds rows of three colours, and neighbours do not show in which order".to_owned();
            return Err(fail(
                path,
                problem,
                "give --colours planes (all red first) or --colours interleaved (red, green, blue of each pixel)",
            ));
        }
    };
    decided.push(format!("the colours of a row are {order} (--colours {other})"));
    Ok(Some(order))
}

/// The mean of each feature that loses digits in 32 bits.
fn offset(sets: &[&Labelled]) -> Option<Vec<f64>> {
    let numbers = match &sets[0].images {
        Numbers::Bytes(_) | Numbers::Floats(_) => return None,
        numbers => numbers.doubles(),
    };
    let width = numbers.len() / sets[0].shape.first().copied().unwrap_or(1).max(1);
    Features::offset_of(&numbers, width)
}

#[cfg(test)]
mod tests {
    use super::super::super::input::{Input, Like};
    use super::*;
    use crate::random::{Generator, Stream};

    fn set(numbers: Numbers, shape: &[usize]) -> Labelled {
        Labelled { images: numbers, shape: shape.to_vec(), labels: Numbers::Bytes(vec![0; shape[0]]) }
    }

    fn of(set: &Labelled, names: &[&str], options: &FileOptions) -> Result<Plan> {
        let found = Found { columns: names.iter().map(ToString::to_string).collect(), ..Found::default() };
        plan(Path::new("it.npz"), &[set], &found, options)
    }

    fn guessed(set: &Labelled, names: &[&str]) -> Meaning {
        of(set, names, &FileOptions::default()).unwrap().meaning
    }

    fn like(numbers: Meaning) -> FileOptions {
        let input = Input { numbers: Some(numbers), ..Input::default() };
        FileOptions { like: Some(Like { input, classes: Vec::new(), width: 4 }), ..FileOptions::default() }
    }

    #[test]
    fn images_are_pixels_and_their_white_is_found() {
        let pixels = |numbers: Numbers| guessed(&set(numbers, &[1, 2, 2]), &[]);
        assert_eq!(pixels(Numbers::Bytes(vec![0, 1, 2, 255])), Meaning::Pixels { white: 255.0 });
        assert_eq!(pixels(Numbers::Doubles(vec![0.0, 1.0, 16.0, 3.0])), Meaning::Pixels { white: 16.0 });
        assert_eq!(pixels(Numbers::Floats(vec![0.0, 1.0, 0.2, 0.4])), Meaning::Pixels { white: 1.0 });
        assert_eq!(pixels(Numbers::Bytes(vec![0, 1, 0, 0])), Meaning::Pixels { white: 1.0 });
        assert!(matches!(pixels(Numbers::Floats(vec![0.0, 1.0, 0.21, 0.4])), Meaning::Features(_)));
        assert!(matches!(pixels(Numbers::Integers(vec![0, 1, 256, 4])), Meaning::Features(_)));
    }

    #[test]
    fn rows_are_pixels_where_their_names_or_their_number_say_so() {
        let row = |width: usize| set(Numbers::Bytes((0..width).map(|place| place as u8).collect()), &[1, width]);
        assert!(matches!(guessed(&row(4), &[]), Meaning::Features(_)));
        assert!(matches!(guessed(&row(63), &[]), Meaning::Features(_)));
        assert_eq!(guessed(&row(64), &[]), Meaning::Pixels { white: 63.0 });
        assert_eq!(guessed(&row(4), &["pixel0", "pixel1", "px_2", "1x4"]), Meaning::Pixels { white: 3.0 });
        assert!(matches!(guessed(&row(4), &["a", "b", "c", "d"]), Meaning::Features(_)));
        let counted: Vec<String> = (1..65).map(|number| number.to_string()).collect();
        let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
        assert!(matches!(guessed(&row(64), &counted), Meaning::Pixels { .. }));
    }

    #[test]
    fn a_model_says_what_numbers_are_and_what_disagrees_is_named() {
        let ask = |numbers: Numbers, options: &FileOptions| {
            of(&set(numbers, &[1, 4]), &[], options).map(|plan| plan.white).map_err(|error| error.to_string())
        };
        let of_256 = like(Meaning::Pixels { white: 255.0 });
        assert_eq!(ask(Numbers::Bytes(vec![0, 1, 2, 3]), &of_256), Ok(255.0));
        assert_eq!(ask(Numbers::Floats(vec![0.0, 0.2, 0.4, 1.0]), &of_256), Ok(1.0));
        assert!(ask(Numbers::Bytes(vec![0, 1, 1, 0]), &of_256).unwrap_err().contains("--white 1"));
        assert_eq!(ask(Numbers::Bytes(vec![0, 1, 1, 0]), &FileOptions { white: Some(1.0), ..of_256.clone() }), Ok(1.0));
        assert!(ask(Numbers::Integers(vec![0, 1, 300, 0]), &of_256).unwrap_err().contains("to 300"));
        assert!(ask(Numbers::Floats(vec![0.0, 1.5, 3.0, 0.0]), &of_256).unwrap_err().contains("whole"));
        assert!(ask(Numbers::Floats(vec![0.0, 0.123, 1.0, 0.0]), &of_256).unwrap_err().contains("--white 1"));
        let times = set(Numbers::Integers(vec![1 << 60, 1, 2, 3]), &[1, 4]);
        assert!(of(&times, &[], &FileOptions::default()).unwrap().decided[0].contains("2^53"));
        assert!(
            ask(Numbers::Bytes(vec![0, 16, 255, 0]), &like(Meaning::Pixels { white: 16.0 }))
                .unwrap_err()
                .contains("from 0 to 16")
        );
        let measured = like(Meaning::Features(Range { whole: true, least: 0.0, most: 255.0 }));
        assert!(
            ask(Numbers::Floats(vec![0.1, 0.2, 0.4, 1.0]), &measured)
                .unwrap_err()
                .contains("learned from whole numbers from 0 to 255")
        );
        assert!(ask(Numbers::Floats(vec![0.1, 200.5, 0.4, 1.0]), &measured).is_ok());
    }

    #[test]
    fn neighbours_show_the_order_of_colours() {
        let side = 8;
        let planes: Vec<u8> =
            (0..3 * side * side).map(|place| [200, 100, 0][place / (side * side)] + (place % side) as u8).collect();
        let mixed: Vec<u8> = (0..3 * side * side).map(|place| [200, 100, 0][place % 3] + (place / 3 % side) as u8).collect();
        let order = |pixels: Vec<u8>| {
            let rows = pixels.len() / 192;
            of(&set(Numbers::Bytes(pixels), &[rows, 192]), &[], &FileOptions::default()).map(|plan| plan.colours)
        };
        assert_eq!(order(planes).unwrap(), Some(ColourOrder::Planes));
        assert_eq!(order(mixed).unwrap(), Some(ColourOrder::Interleaved));
        let mut random = Generator::new(1, Stream::Check, 0);
        let noise: Vec<u8> = (0..40 * 192).map(|_| random.below(256) as u8).collect();
        assert!(order(noise).unwrap_err().to_string().contains("--colours planes"));
    }
}
