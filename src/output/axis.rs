//! Axes that name the values that they are told to, and round values to name.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::Ranged;
use std::ops::Range;

/// An axis. Where equal factors are to be equally far apart, its values are logarithms to the base 10.
pub(crate) struct Axis {
    /// From end to end.
    pub range: Range<f64>,
    /// The values that it names.
    pub ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// 1, and at most eight round numbers up to `last`.
pub(crate) fn round_values(last: usize) -> Vec<f64> {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10usize.pow(power)));
    let step = steps.take(24).find(|step| last / step <= 8).unwrap_or(last.max(1));
    let first = (step > 1).then_some(1.0);
    first.into_iter().chain((1..=last / step).map(|index| (index * step) as f64)).collect()
}

/// At most eight round numbers within a range.
pub(crate) fn round_steps(range: &Range<f64>) -> Vec<f64> {
    let length = range.end - range.start;
    let steps = (-12..12).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
    let Some(step) = steps.into_iter().find(|step| length / step <= 7.0) else { return vec![range.start, range.end] };
    // In f64, since a range may lie anywhere.
    let first = (range.start / step).ceil();
    (0..8).map(|index| (first + f64::from(index)) * step).take_while(|&value| value <= range.end).collect()
}

/// Logarithms of round numbers within a range of logarithms: 1, 2 and 5 of each power of ten where there are few, else powers
/// alone.
pub(crate) fn round_logarithms(range: &Range<f64>) -> Vec<f64> {
    let decades = range.end - range.start;
    let digits: &[f64] = if decades <= 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / 8.0).ceil().max(1.0) as i32;
    let powers = range.start.floor() as i32..=range.end.ceil() as i32;
    let logarithms = powers
        .filter(|power| power % every == 0)
        .flat_map(|power| digits.iter().map(move |digit| f64::from(power) + digit.log10()));
    logarithms.filter(|value| range.contains(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_few_round_values() {
        assert_eq!(round_values(1), [1.0]);
        assert_eq!(round_values(3), [1.0, 2.0, 3.0]);
        assert_eq!(round_values(30), [1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(round_values(3510).len(), 8);
        assert_eq!(round_steps(&(0.0..1.0)), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(round_steps(&(97.3..100.0)), [97.5, 98.0, 98.5, 99.0, 99.5, 100.0]);
        for range in [1e300..1e300, -1e300..1e300, f64::NEG_INFINITY..f64::INFINITY] {
            assert!(round_steps(&range).iter().all(|value| range.start <= *value && *value <= range.end), "{range:?}");
        }
        let powers = |range| round_logarithms(&range).into_iter().map(|value: f64| 10f64.powf(value).round()).collect::<Vec<_>>();
        assert_eq!(powers(-0.1..1.2), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(powers(-0.1..4.2), [1.0, 10.0, 100.0, 1000.0, 10000.0]);
        assert!(round_logarithms(&(-40.0..2.0)).len() <= 8);
    }
}
