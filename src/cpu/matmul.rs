//! The one matrix product behind `forward` and `weight_update`.

use super::arithmetic::{Arithmetic, Real};

/// A row-major matrix, or one to be read transposed.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The elements.
    pub values: &'a [f32],
    /// Elements from one stored row to the next.
    pub stride: usize,
    /// True if the stored rows are the matrix's columns.
    pub transposed: bool,
}

impl Matrix<'_> {
    /// The element at (`row`, `column`).
    pub fn at(&self, row: usize, column: usize) -> f32 {
        self.values[if self.transposed { column * self.stride + row } else { row * self.stride + column }]
    }
}

/// Row by row, each output summed in the order of `inner`.
pub(super) fn multiply_by_rows<A: Arithmetic>(
    inner: usize,
    left: Matrix,
    right: &[f32],
    columns: usize,
    destination: &mut [A::Stored],
) {
    let mut sums = vec![A::Number::lift(0.0); columns];
    for (row, target) in destination.chunks_exact_mut(columns).enumerate() {
        sums.fill(A::Number::lift(0.0));
        for (k, right_row) in right.chunks_exact(columns).take(inner).enumerate() {
            let factor = A::Number::lift(left.at(row, k));
            for (sum, &value) in sums.iter_mut().zip(right_row) {
                *sum = *sum + factor * A::Number::lift(value);
            }
        }
        for (value, &sum) in target.iter_mut().zip(&sums) {
            *value = A::store(sum);
        }
    }
}

#[allow(unsafe_code)]
pub(super) fn multiply_blocked(inner: usize, left: Matrix, right: &[f32], columns: usize, destination: &mut [f32]) {
    let rows = destination.len() / columns;
    let (row_stride, column_stride) = if left.transposed { (1, left.stride) } else { (left.stride, 1) };
    assert!(left.values.len() > (rows - 1) * row_stride + (inner - 1) * column_stride);
    assert!(right.len() >= inner * columns && destination.len() == rows * columns);
    // SAFETY: the two assertions above bound the largest index that the strides reach in each operand, `destination` is borrowed
    // mutably and so overlaps neither, and all elements of a slice are initialised.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            destination.as_mut_ptr(),
            1,
            columns as isize,
            false,
            left.values.as_ptr(),
            column_stride as isize,
            row_stride as isize,
            right.as_ptr(),
            1,
            columns as isize,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::arithmetic::{Blocked, Double, Single};
    use crate::random::{Generator, Stream};

    /// All arithmetics agree within the bound of a sum of `inner` rounded products, on shapes that are no multiple of anything,
    /// transposed and not.
    #[test]
    fn arithmetics_agree() {
        let mut generator = Generator::new(1, Stream::Check, 0);
        for (rows, inner, columns) in [(1, 1, 1), (3, 7, 5), (65, 33, 12), (64, 257, 20)] {
            for transposed in [false, true] {
                let stride = if transposed { rows + 2 } else { inner + 3 };
                let length = if transposed { inner * stride } else { rows * stride };
                let values: Vec<f32> = (0..length).map(|_| generator.normal()).collect();
                let right: Vec<f32> = (0..inner * columns).map(|_| generator.normal()).collect();
                let left = Matrix { values: &values, stride, transposed };
                let [mut single, mut double, mut blocked] = [(); 3].map(|()| vec![f32::NAN; rows * columns]);
                Single::multiply(inner, left, &right, columns, &mut single);
                Double::multiply(inner, left, &right, columns, &mut double);
                Blocked::multiply(inner, left, &right, columns, &mut blocked);
                for index in 0..rows * columns {
                    let (row, column) = (index / columns, index % columns);
                    let magnitude: f32 = (0..inner).map(|k| (left.at(row, k) * right[k * columns + column]).abs()).sum();
                    // One rounding a product and one a sum, each at most 2⁻²⁴ of a partial sum that |magnitude| bounds.
                    let tolerance = (inner + 1) as f32 * magnitude * f32::EPSILON / 2.0;
                    for other in [single[index], blocked[index]] {
                        assert!((other - double[index]).abs() <= tolerance, "{rows}x{inner}x{columns} {transposed} at {index}");
                    }
                }
            }
        }
    }
}
