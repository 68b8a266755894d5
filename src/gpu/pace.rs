//! How much work goes into one submission: measured while it runs, so that on no adapter a watchdog ends it.

use std::time::Duration;

/// What a submission should last. Windows resets a GPU after two seconds, other systems later: a tenth of that leaves room for
/// steps that last longer than those before. It is long enough to hide the cost of submitting, and short enough for Ctrl-C.
const TARGET: Duration = Duration::from_millis(200);
/// More units than this gain nothing.
const MOST: usize = 256;
/// Arithmetic of TARGET on a slow integrated GPU, of 100 GFLOP/s: for the first submission, before anything is measured.
const FIRST: f64 = 2e10;

/// The size of submissions, in units of work (steps, or batches of an evaluation). It changes no result: the device does the same
/// dispatches in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    units: usize,
}

impl Pace {
    /// The pace to begin with: one unit, or less where it alone takes much arithmetic.
    pub fn new(flops_per_unit: f64) -> Self {
        Self { units: usize::from(flops_per_unit < FIRST) }
    }

    /// Units of the next submission; 0: each dispatch of a unit is submitted by itself.
    pub fn units(self) -> usize {
        self.units
    }

    /// Takes in that `units` units took the device `duration`. Grows to at most the double, so that one lucky measurement does not
    /// lead to a submission that is too long; shrinks at once.
    pub fn observe(&mut self, units: usize, duration: Duration) {
        let fitting = TARGET.as_nanos() * units as u128 / duration.as_nanos().max(1);
        let most = (2 * self.units).clamp(1, MOST);
        self.units = usize::try_from(fitting).unwrap_or(MOST).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An adapter whose units last `unit`: the submissions' durations until the pace has settled, and the units of the last.
    fn settle(mut pace: Pace, unit: Duration) -> (Duration, usize) {
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let units = pace.units().max(1);
            let duration = unit * units as u32;
            if pace.units() > 0 {
                longest = longest.max(duration);
            }
            pace.observe(units, duration);
        }
        (longest, pace.units())
    }

    #[test]
    fn submissions_are_short_on_any_adapter() {
        for microseconds in [1, 20, 1_000, 30_000, 150_000] {
            let (longest, units) = settle(Pace::new(1e6), Duration::from_micros(microseconds));
            assert!(longest <= TARGET, "{microseconds} µs: {longest:?}");
            assert!(units == MOST || units as u64 * microseconds > 100_000, "{microseconds} µs: {units} units waste submissions");
        }
    }

    /// A step that alone takes too long is cut into its dispatches, from the start where that can be known.
    #[test]
    fn long_units_are_cut() {
        let second = Duration::from_secs(1);
        assert_eq!(settle(Pace::new(1e6), second), (second, 0));
        assert_eq!(settle(Pace::new(1e12), second), (Duration::ZERO, 0));
        // On a fast adapter they are joined again.
        assert_eq!(settle(Pace::new(1e12), Duration::from_millis(50)).1, 4);
    }

    #[test]
    fn a_slowdown_is_followed_at_once() {
        let mut pace = Pace { units: 200 };
        pace.observe(200, 10 * TARGET);
        assert_eq!(pace.units(), 20);
    }
}
