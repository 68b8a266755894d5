//! The operands of the one matrix product behind `forward` and `weight_update`, and its fast form.

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
