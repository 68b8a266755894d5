//! Twin of `shaders/reduction.wgsl`: sums of rows of numbers.

use crate::layout::Reduction;

/// `sums[first_sum + i]` = sum of row `i` of `values` `[sums, length]`, accumulated in f64.
pub fn reduction(reduction: &Reduction, values: &[f32], sums: &mut [f32]) {
    for (sum, row) in sums[reduction.first_sum as usize..].iter_mut().zip(values.chunks_exact(reduction.length as usize)) {
        *sum = row.iter().map(|&value| f64::from(value)).sum::<f64>() as f32;
    }
}
