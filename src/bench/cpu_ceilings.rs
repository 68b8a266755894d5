//! What the processor can do at best, on the threads that the CPU backend uses.

use super::{Ceilings, seconds_of};
use crate::arithmetic::matmul::Matrix;
use crate::arithmetic::{Arithmetic, Blocked};
use crate::error::Result;
use rayon::prelude::*;

/// Rows, inner length and columns of the matrix product.
const SIZE: usize = 512;
/// f32 that each thread copies: larger than caches.
const COPY: usize = 1 << 24;
const STRETCH: f64 = 0.1;

/// Measures: one product of 512 × 512 × 512 a thread, and one copy of 64 MiB a thread.
pub fn measure() -> Result<Ceilings> {
    let threads = rayon::current_num_threads();
    let matrix = vec![0.5f32; SIZE * SIZE];
    let mut products = vec![vec![0.0f32; SIZE * SIZE]; threads];
    let seconds = seconds_of(STRETCH, &mut |calls| {
        products.par_iter_mut().for_each(|product| {
            let left = Matrix { values: &matrix, stride: SIZE, transposed: false };
            (0..calls).for_each(|_| Blocked::multiply(SIZE, left, left, SIZE, product));
        });
        Ok(())
    })?;
    let flops = (2 * SIZE * SIZE * SIZE * threads) as f64;

    let source = vec![1.0f32; COPY];
    let mut copies = vec![vec![0.0f32; COPY]; threads];
    let copy_seconds = seconds_of(STRETCH, &mut |calls| {
        copies.par_iter_mut().for_each(|copy| (0..calls).for_each(|_| copy.copy_from_slice(std::hint::black_box(&source))));
        Ok(())
    })?;
    Ok(Ceilings {
        matmul_gigaflops: flops / seconds * 1e-9,
        matmul: format!("gemm {SIZE}³ on each of {threads} threads"),
        dispatch_microseconds: None,
        copy_gigabytes: (8 * COPY * threads) as f64 / copy_seconds * 1e-9,
    })
}
