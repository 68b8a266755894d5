//! `ffcl-gpu bench`.
use super::arguments::BenchOptions;
use ffcl_gpu::Result;

pub fn run(_options: &BenchOptions) -> Result<()> {
    Ok(())
}
