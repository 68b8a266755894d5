//! Numbers that carry a bound of how far a device's f32 result may lie from them.
//!
//! A twin run in [`Bounding`] computes every value in f64 and, beside it, the sum of what each operation may contribute: the
//! errors of its operands, carried through the operation, and its own. The budgets are those of the WGSL specification, section
//! "Floating Point Accuracy": + − × to either neighbour (1 ULP: no rounding mode is promised), division 2.5 ULP, exp 3 + 2|x|
//! ULP, log 3 ULP or 2⁻²¹ absolute in [0.5, 2], sqrt as 1 / inverseSqrt (2 + 2.5 ULP); subnormal numbers may be flushed to zero
//! anywhere.

use super::matmul::Matrix;
use super::{Arithmetic, Real};
use crate::layout::TINY;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A unit in the last place of an f32, relative to its value, at most.
const ULP: f64 = 1.0 / 8_388_608.0;
/// What flushing a subnormal number to zero may cost.
const FLUSH: f64 = f32::MIN_POSITIVE as f64;

/// A value and a bound of a device's error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    /// The value, in f64.
    pub value: f64,
    /// How far an f32 computation may be off.
    pub error: f64,
}

impl Bounded {
    /// A result with the carried error, plus `ulps` units of its own.
    fn rounded(value: f64, carried: f64, ulps: f64) -> Self {
        Self { value, error: carried + ulps * ULP * (value.abs() + carried) + FLUSH }
    }
}

impl From<f32> for Bounded {
    fn from(value: f32) -> Self {
        let error = if value != 0.0 && value.abs() < f32::MIN_POSITIVE { f64::from(value.abs()) } else { 0.0 };
        Self { value: value.into(), error }
    }
}

impl Add for Bounded {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::rounded(self.value + other.value, self.error + other.error, 1.0)
    }
}

impl Sub for Bounded {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::rounded(self.value - other.value, self.error + other.error, 1.0)
    }
}

impl Mul for Bounded {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let carried = self.value.abs() * other.error + other.value.abs() * self.error + self.error * other.error;
        Self::rounded(self.value * other.value, carried, 1.0)
    }
}

impl Div for Bounded {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let room = other.value.abs() - other.error;
        // A divisor that may be zero bounds nothing; the comparison refuses an infinite tolerance.
        let carried = if room > 0.0 { (self.error + value.abs() * other.error) / room } else { f64::INFINITY };
        Self::rounded(value, carried, 2.5)
    }
}

impl Neg for Bounded {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, error: self.error }
    }
}

impl Real for Bounded {
    fn lift(value: f32) -> Self {
        value.into()
    }

    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        let (above, below) = ((self.value + self.error).sqrt(), (self.value - self.error).max(0.0).sqrt());
        Self::rounded(value, (above - value).max(value - below), 4.5)
    }

    fn exp(self) -> Self {
        let value = self.value.exp();
        let (above, below) = ((self.value + self.error).exp(), (self.value - self.error).exp());
        Self::rounded(value, (above - value).max(value - below), 3.0 + 2.0 * self.value.abs())
    }

    fn ln(self) -> Self {
        let value = self.value.ln();
        let below = self.value - self.error;
        let carried = if below > 0.0 { value - below.ln() } else { f64::INFINITY };
        let near_one = if below <= 2.0 && self.value + self.error >= 0.5 { 2f64.powi(-21) } else { 0.0 };
        Self::rounded(value, carried + near_one, 3.0)
    }

    /// Where the ranges are apart, the larger one; its own bound then, however little is known of the other.
    fn max(self, other: Self) -> Self {
        let is_below = |one: Self, other: Self| one.value + one.error < other.value - other.error;
        match (is_below(self, other), is_below(other, self)) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { value: self.value.max(other.value), error: self.error.max(other.error) },
        }
    }

    /// Where the bound does not say on which side it lies, a device may have either.
    fn flushed(self) -> Self {
        let tiny = f64::from(TINY);
        match self.value.abs() {
            value if value - self.error >= tiny => self,
            value if value < tiny => Self { value: 0.0, error: if value + self.error < tiny { 0.0 } else { value + self.error } },
            value => Self { error: value + self.error, ..self },
        }
    }

    fn is_below(self, other: Self) -> bool {
        self.value < other.value
    }

    /// Any order of summation: each of n − 1 additions rounds a partial sum that the sum of magnitudes bounds.
    fn sum(values: impl Iterator<Item = Self>) -> Self {
        let (mut count, mut value, mut magnitude, mut carried) = (0.0, 0.0, 0.0, 0.0);
        for term in values {
            count += 1.0;
            value += term.value;
            magnitude += term.value.abs() + term.error;
            carried += term.error;
        }
        Self { value, error: carried + count * (ULP * magnitude + FLUSH) }
    }
}

/// The arithmetic of parity checks.
#[derive(Clone, Copy, Debug)]
pub struct Bounding;

impl Arithmetic for Bounding {
    type Number = Bounded;
    type Stored = Bounded;

    fn store(number: Bounded) -> Bounded {
        number
    }

    fn load(stored: Bounded) -> Bounded {
        stored
    }

    /// As [`Bounded::sum`] of products, each rounded once (or not at all, where the device has a fused multiply-add).
    fn multiply(inner: usize, left: Matrix, right: Matrix, columns: usize, destination: &mut [Bounded]) {
        let wide = |matrix: Matrix, row: usize, column: usize| f64::from(matrix.at(row, column));
        let right_rows: Vec<Vec<f64>> = (0..inner).map(|k| (0..columns).map(|column| wide(right, k, column)).collect()).collect();
        let mut right_scales = vec![0.0f64; columns];
        for row in &right_rows {
            right_scales.iter_mut().zip(row).for_each(|(scale, value)| *scale = scale.max(value.abs()));
        }
        let mut sums = vec![(0.0f64, 0.0f64); columns];
        for (row, target) in destination.chunks_exact_mut(columns).enumerate() {
            sums.fill((0.0, 0.0));
            let mut left_scale = 0.0f64;
            for (k, right_row) in right_rows.iter().enumerate() {
                let factor = wide(left, row, k);
                left_scale = left_scale.max(factor.abs());
                for ((value, magnitude), &other) in sums.iter_mut().zip(right_row) {
                    let product = factor * other;
                    *value += product;
                    *magnitude += product.abs();
                }
            }
            for ((target, &(value, magnitude)), right_scale) in target.iter_mut().zip(&sums).zip(&right_scales) {
                let count = inner as f64;
                // Flushed inputs change a product by less than FLUSH times the other factor.
                let flushed = count * FLUSH * (2.0 + left_scale + right_scale);
                *target = Bounded { value, error: (count + 1.0) * ULP * magnitude + flushed };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An f32 computation on the host rounds better than WGSL asks for, so it must lie within the bound, and not by luck: the
    /// bound may not be thousands of times the real error either.
    #[test]
    fn bounds_hold_and_are_tight() {
        let mut worst: f64 = 0.0;
        for index in 1..2000 {
            let (a, b) = (index as f32 * 0.37, 700.0 - index as f32 * 0.31);
            let single = ((a * b + a) / b.abs().sqrt() - (0.01 * a).exp().ln()) * 1.7;
            let (a, b) = (Bounded::lift(a), Bounded::lift(b));
            let magnitude = Bounded::lift(b.value.abs() as f32);
            let bounded = ((a * b + a) / magnitude.sqrt() - (Bounded::lift(0.01) * a).exp().ln()) * Bounded::lift(1.7);
            let error = (f64::from(single) - bounded.value).abs();
            assert!(error <= bounded.error, "{index}: {error} > {}", bounded.error);
            worst = worst.max(error / bounded.error);
        }
        assert!(worst > 0.02, "{worst}");
    }

    #[test]
    fn division_by_what_may_be_zero_bounds_nothing() {
        let zero = Bounded { value: 1e-9, error: 1e-8 };
        assert!((Bounded::lift(1.0) / zero).error.is_infinite());
    }
}
