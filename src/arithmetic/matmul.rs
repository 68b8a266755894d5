//! The operands of the one matrix product behind `forward`, `input_gradient` and `weight_update`, and its fast form.

use gemm_common::Parallelism;

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

    /// Whether it has an element at each place of `rows × columns`, none of them 0. A stride may be so large that products
    /// overflow.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let (stored_rows, row_length) = if self.transposed { (columns, rows) } else { (rows, columns) };
        let last = || stored_rows.checked_sub(1)?.checked_mul(self.stride)?.checked_add(row_length.checked_sub(1)?);
        last().is_some_and(|last| last < self.values.len())
    }
}

/// The product by the kernels of the `gemm` crate; operands as in [`super::Arithmetic::multiply`]. They want destinations whose columns
/// are contiguous, and here rows are: so it is the transposed product of the transposed operands.
#[allow(unsafe_code)]
pub(super) fn multiply_blocked(inner: usize, left: Matrix, right: Matrix, columns: usize, destination: &mut [f32]) {
    let rows = destination.len() / columns;
    let strides = |matrix: Matrix| if matrix.transposed { (1, matrix.stride) } else { (matrix.stride, 1) };
    let ((left_row, left_column), (right_row, right_column)) = (strides(left), strides(right));
    assert!(left.holds(rows, inner) && right.holds(inner, columns));
    assert!(destination.len() == rows * columns);
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    // SAFETY: `holds` bounds the largest index that the strides reach in each operand, the last assertion that of `destination`,
    // which is borrowed mutably and so overlaps neither; all elements of a slice are initialised.
    unsafe {
        multiply(
            columns,
            rows,
            inner,
            destination.as_mut_ptr(),
            columns as isize,
            1,
            false,
            right.values.as_ptr(),
            right_row as isize,
            right_column as isize,
            left.values.as_ptr(),
            left_row as isize,
            left_column as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_knows_what_it_holds() {
        let matrix = |stride, transposed| Matrix { values: &[0.0; 11], stride, transposed };
        // Three rows of three, the last of which is not padded.
        assert!(matrix(4, false).holds(3, 3) && !matrix(4, false).holds(3, 4) && !matrix(4, false).holds(4, 3));
        assert!(matrix(4, true).holds(3, 3) && !matrix(4, true).holds(4, 3) && !matrix(4, true).holds(3, 4));
        assert!(!matrix(4, false).holds(0, 3) && !matrix(4, false).holds(3, 0));
        // Twice this stride is 2, once the overflow is dropped.
        assert!(!matrix(usize::MAX / 2 + 2, false).holds(3, 3));
    }
}
