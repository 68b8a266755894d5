//! How the twins compute: the same code in f32, in f64, with a fast matrix product, or with an error bound carried along.

use super::matmul::{Matrix, multiply_blocked, multiply_by_rows};
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

    /// `destination[rows, columns] = left[rows, inner] × right[inner, columns]`, row-major with a row length of `columns`.
    fn multiply(inner: usize, left: Matrix, right: &[f32], columns: usize, destination: &mut [Self::Stored]) {
        multiply_by_rows::<Self>(inner, left, right, columns, destination);
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

    fn multiply(inner: usize, left: Matrix, right: &[f32], columns: usize, destination: &mut [f32]) {
        multiply_blocked(inner, left, right, columns, destination);
    }
}
