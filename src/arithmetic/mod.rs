//! How the twins compute: the same code in f32, in f64, with a fast matrix product, or with an error bound carried along.

pub mod bounded;
pub mod matmul;

use crate::layout::TINY;
use matmul::{Matrix, multiply_blocked};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The operations that the twins need of a number.
pub trait Real:
    Copy + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// An input: exact.
    fn lift(value: f32) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// e to this.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// The larger of two.
    fn max(self, other: Self) -> Self;
    /// This, or 0 where it is nearer to 0 than [`crate::layout::TINY`].
    fn flushed(self) -> Self;
    /// Whether this is the smaller of two. Of numbers that are closer than their errors, a device may find the other one smaller.
    fn is_below(self, other: Self) -> bool;
    /// The sum of many.
    fn sum(values: impl Iterator<Item = Self>) -> Self {
        values.fold(Self::lift(0.0), |sum, value| sum + value)
    }
}

macro_rules! real {
    ($kind:ident) => {
        impl Real for $kind {
            fn lift(value: f32) -> Self {
                value.into()
            }
            fn sqrt(self) -> Self {
                $kind::sqrt(self)
            }
            fn exp(self) -> Self {
                $kind::exp(self)
            }
            fn ln(self) -> Self {
                $kind::ln(self)
            }
            fn max(self, other: Self) -> Self {
                $kind::max(self, other)
            }
            #[inline(always)]
            fn flushed(self) -> Self {
                if self.abs() < $kind::from(TINY) { 0.0 } else { self }
            }
            fn is_below(self, other: Self) -> bool {
                self < other
            }
        }
    };
}

real!(f32);
real!(f64);

/// A way to compute, and what its results are stored as.
pub trait Arithmetic: Copy + Send + Sync + 'static {
    /// What kernels compute in.
    type Number: Real;
    /// What buffers hold between kernels.
    type Stored: Copy + Send + Sync + std::fmt::Debug + From<f32>;

    /// Rounds a result for storage.
    fn store(number: Self::Number) -> Self::Stored;

    /// Takes a stored number up again.
    fn load(stored: Self::Stored) -> Self::Number;

    /// The sum of many.
    #[inline(always)]
    fn sum(values: impl Iterator<Item = Self::Number>) -> Self::Number {
        Self::Number::sum(values)
    }

    /// The sum of the products of two rows, as far as both reach.
    #[inline(always)]
    fn dot(left: &[Self::Number], right: &[Self::Number]) -> Self::Number {
        Self::sum(left.iter().zip(right).map(|(&left, &right)| left * right))
    }

    /// Runs a loop over numbers in whatever way suits the arithmetic.
    fn run<R>(work: impl FnOnce() -> R) -> R {
        work()
    }

    /// `destination[rows, columns] = left[rows, inner] × right[inner, columns]`, `destination` row-major with a row length of
    /// `columns`; each output summed in the order of `inner`.
    fn multiply(inner: usize, left: Matrix, right: Matrix, columns: usize, destination: &mut [Self::Stored]) {
        let mut sums = vec![Self::Number::lift(0.0); columns];
        for (row, target) in destination.chunks_exact_mut(columns).enumerate() {
            sums.fill(Self::Number::lift(0.0));
            for k in 0..inner {
                let factor = Self::Number::lift(left.at(row, k));
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum = *sum + factor * Self::Number::lift(right.at(k, column));
                }
            }
            for (value, &sum) in target.iter_mut().zip(&sums) {
                *value = Self::store(sum);
            }
        }
    }
}

/// f32 throughout.
#[derive(Clone, Copy, Debug)]
pub struct Single;

impl Arithmetic for Single {
    type Number = f32;
    type Stored = f32;

    fn store(number: f32) -> f32 {
        number
    }

    fn load(stored: f32) -> f32 {
        stored
    }
}

/// f64 inside a kernel, results rounded once to f32: the oracle.
#[derive(Clone, Copy, Debug)]
pub struct Double;

impl Arithmetic for Double {
    type Number = f64;
    type Stored = f32;

    fn store(number: f64) -> f32 {
        number as f32
    }

    fn load(stored: f32) -> f64 {
        stored.into()
    }
}

/// f32 with matrix products by the `gemm` crate: for speed.
#[derive(Clone, Copy, Debug)]
pub struct Blocked;

impl Arithmetic for Blocked {
    type Number = f32;
    type Stored = f32;

    fn store(number: f32) -> f32 {
        number
    }

    fn load(stored: f32) -> f32 {
        stored
    }

    /// Eight partial sums: one would wait for each addition to end.
    #[inline(always)]
    fn sum(mut values: impl Iterator<Item = f32>) -> f32 {
        let mut partial = [0.0; 8];
        loop {
            for lane in &mut partial {
                match values.next() {
                    Some(value) => *lane += value,
                    None => return partial.iter().sum(),
                }
            }
        }
    }

    /// Sixteen partial sums, a vector or two of them.
    #[inline(always)]
    fn dot(left: &[f32], right: &[f32]) -> f32 {
        let length = left.len().min(right.len());
        let ((left, left_rest), (right, right_rest)) = (left[..length].as_chunks::<16>(), right[..length].as_chunks::<16>());
        let mut partial = [0.0; 16];
        for (left, right) in left.iter().zip(right) {
            for (sum, (left, right)) in partial.iter_mut().zip(left.iter().zip(right)) {
                *sum += left * right;
            }
        }
        partial.iter().sum::<f32>() + left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum::<f32>()
    }

    /// Compiled for the widest vectors that the processor has, found out when it runs.
    fn run<R>(work: impl FnOnce() -> R) -> R {
        pulp::Arch::new().dispatch(work)
    }

    fn multiply(inner: usize, left: Matrix, right: Matrix, columns: usize, destination: &mut [f32]) {
        multiply_blocked(inner, left, right, columns, destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Generator, Stream};

    /// The sum of each arithmetic, of rows that are no multiple of a vector, or of different lengths.
    #[test]
    fn dots_agree() {
        let mut generator = Generator::new(2, Stream::Check, 0);
        for (left, right) in [(0, 0), (1, 1), (15, 15), (16, 16), (17, 40), (300, 299)] {
            let [left, right] = [left, right].map(|length| (0..length).map(|_| generator.normal()).collect::<Vec<f32>>());
            let wide = |row: &[f32]| row.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            let double = Double::dot(&wide(&left), &wide(&right));
            // One rounding a product and one a sum, each at most 2⁻²⁴ of a partial sum that the sum of magnitudes bounds.
            let magnitude: f32 = left.iter().zip(&right).map(|(left, right)| (left * right).abs()).sum();
            let tolerance = f64::from((left.len() + 1) as f32 * magnitude * f32::EPSILON / 2.0);
            for sum in [Single::dot(&left, &right), Blocked::dot(&left, &right)] {
                assert!((f64::from(sum) - double).abs() <= tolerance, "{sum} for {double}");
            }
        }
    }

    /// All arithmetics agree within the bound of a sum of `inner` rounded products, on shapes that are no multiple of anything,
    /// transposed and not.
    #[test]
    fn arithmetics_agree() {
        let mut generator = Generator::new(1, Stream::Check, 0);
        for (rows, inner, columns) in [(1, 1, 1), (3, 7, 5), (65, 33, 12), (64, 257, 20)] {
            for (transposed, turned) in [(false, false), (true, false), (false, true)] {
                let mut matrix = |rows: usize, columns: usize, transposed: bool, extra: usize| {
                    let (stored, stride) = if transposed { (columns, rows + extra) } else { (rows, columns + extra) };
                    ((0..stored * stride).map(|_| generator.normal()).collect::<Vec<f32>>(), stride)
                };
                let (left_values, left_stride) = matrix(rows, inner, transposed, 2);
                let (right_values, right_stride) = matrix(inner, columns, turned, 3);
                let left = Matrix { values: &left_values, stride: left_stride, transposed };
                let right = Matrix { values: &right_values, stride: right_stride, transposed: turned };
                let [mut single, mut double, mut blocked] = [(); 3].map(|()| vec![f32::NAN; rows * columns]);
                Single::multiply(inner, left, right, columns, &mut single);
                Double::multiply(inner, left, right, columns, &mut double);
                Blocked::multiply(inner, left, right, columns, &mut blocked);
                for index in 0..rows * columns {
                    let (row, column) = (index / columns, index % columns);
                    let magnitude: f32 = (0..inner).map(|k| (left.at(row, k) * right.at(k, column)).abs()).sum();
                    // One rounding a product and one a sum, each at most 2⁻²⁴ of a partial sum that |magnitude| bounds.
                    let tolerance = (inner + 1) as f32 * magnitude * f32::EPSILON / 2.0;
                    for other in [single[index], blocked[index]] {
                        assert!(
                            (other - double[index]).abs() <= tolerance,
                            "{rows}x{inner}x{columns} {transposed} {turned} at {index}"
                        );
                    }
                }
            }
        }
    }
}
