//! The operands of the one matrix product behind `forward`, `input_gradient` and `weight_update`, and its fast form.

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

/// The product by the `gemm` crate; operands as in [`super::Arithmetic::multiply`].
#[allow(unsafe_code)]
pub(super) fn multiply_blocked(inner: usize, left: Matrix, right: Matrix, columns: usize, destination: &mut [f32]) {
    let rows = destination.len() / columns;
    let strides = |matrix: Matrix| if matrix.transposed { (1, matrix.stride) } else { (matrix.stride, 1) };
    let ((left_row, left_column), (right_row, right_column)) = (strides(left), strides(right));
    assert!(left.values.len() > (rows - 1) * left_row + (inner - 1) * left_column);
    assert!(right.values.len() > (inner - 1) * right_row + (columns - 1) * right_column);
    assert!(destination.len() == rows * columns);
    // SAFETY: the assertions above bound the largest index that the strides reach in each operand, `destination` is borrowed
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
            left_column as isize,
            left_row as isize,
            right.values.as_ptr(),
            right_column as isize,
            right_row as isize,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
