//! What a training step has to do, counted from its program.

use crate::engine::Job;
use crate::error::Result;
use crate::kernels::{Access, Kernel};
use crate::program::{Content, Plan, Programs};

/// The work of one step of a run's first stage, for all slots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Floating-point operations of all matrix products.
    pub flops: f64,
    /// Bytes that go to or come from memory if every operation of the layered plan reads and writes each of its tensors once. The fused
    /// plan passes some of them on in registers.
    pub bytes: f64,
}

impl Work {
    /// Counts them.
    pub fn of_step(job: Job) -> Result<Self> {
        let programs = Programs::new(job, Plan::Layered, u64::MAX)?;
        let mut work = Self { flops: 0.0, bytes: 0.0 };
        for operation in programs.stages.iter().take(1).flatten() {
            work.flops += programs.slots as f64 * operation.flops();
            for operand in operation.describe().operands() {
                let Some(tensor) = operand.tensor else { continue };
                let spec = &programs.tensors[tensor.index()];
                let whole = 4.0 * (spec.words * spec.per.count(programs.slots)) as f64;
                // Adam reads what it writes.
                let passes =
                    if operand.access == Access::Write && operation.kernel() == Kernel::WeightUpdate { 2.0 } else { 1.0 };
                work.bytes += match spec.content {
                    // Of the images and their order, a batch.
                    Content::Records(_, shard) => {
                        4.0 * f64::from(shard.record_words * shard.batch_size) * job.config.replicas as f64
                    }
                    _ if spec.words == job.dataset.train.count() => 4.0 * (job.config.batch_size * job.config.replicas) as f64,
                    _ => passes * whole,
                };
            }
        }
        Ok(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::regimes::{BenchRecipe, all};
    use crate::dataset::digits;

    /// A step of the paper's size: 2 × 54,400 parameters, of which each is read forward and moved with both moments, dominate its bytes;
    /// each is met twice for each image, by a multiplication and an addition.
    #[test]
    fn a_step_of_the_paper_is_what_its_layers_say() {
        let config = all(BenchRecipe::Paper)[0].config();
        let dataset = digits::generate_with_counts(digits::SEED, 128, 16);
        let work = Work::of_step(Job { config: &config, dataset: &dataset }).unwrap();
        let weights = f64::from(784 * 64 + 64 * 64 + 64 * 10);
        assert_eq!(work.flops, 2.0 * 2.0 * 2.0 * 64.0 * weights);
        let parameters = 2.0 * 28.0 * weights;
        assert!((parameters..1.5 * parameters).contains(&work.bytes), "{}", work.bytes);
    }
}
