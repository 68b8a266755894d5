//! Check of `shaders/reduction.wgsl`.

use super::bounded::Bounded;
use super::rerun::run;
use super::{Row, bytes, bytes_mut, exact, generator, poison};
use crate::cpu::Real;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::Variant;
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::Tiles;
use crate::kernels::Kernel;
use crate::layout::Reduction;

pub(super) fn check(context: &Context, _: &Tiles, row: &mut Row) -> Result<()> {
    for length in [1usize, 3, 63, 64, 65, 257, 1000, 4096] {
        for (count, first_sum) in [(1usize, 0usize), (7, 3)] {
            let mut generator = generator(row.cases);
            let values: Vec<f32> = (0..count * length).map(|_| generator.uniform(0.0, 5.0)).collect();
            let shape = Reduction { length: length as u32, first_sum: first_sum as u32, ..Reduction::default() };
            // What stands before the sums belongs to others and must survive; the twin's sum, with a bound for any order.
            let mut actual = poison(first_sum + count);
            actual[..first_sum].fill(0.5);
            let mut expected = exact(&actual);
            for (sum, values) in expected[first_sum..].iter_mut().zip(values.chunks_exact(length)) {
                *sum = Bounded::sum(values.iter().map(|&value| value.into()));
            }
            let mut single = vec![0.0; first_sum + count];
            crate::cpu::reduction::reduction(&shape, &values, &mut single);
            let mut arguments = [
                Argument::Uniform(bytemuck::bytes_of(&shape)),
                Argument::Read(bytes(&values)),
                Argument::Write(bytes_mut(&mut actual)),
            ];
            run(context, row, &Variant::plain(Kernel::Reduction), &mut arguments, [count as u32, 1, 1])?;
            row.cases += 1;
            row.compare_all(&format!("{count} sums of {length}"), &actual, &expected);
            row.compare_all(&format!("{count} sums of {length}, twin"), &single[first_sum..], &expected[first_sum..]);
        }
    }
    Ok(())
}
