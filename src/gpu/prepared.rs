//! A dispatch with all that it needs, made once and recorded many times.

use super::context::{Context, Pipeline};
use super::kernels::Variant;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::plan::Kernel;

/// A kernel bound to its buffers.
pub struct Prepared {
    /// What runs.
    pub kernel: Kernel,
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

impl Prepared {
    /// Compiles `variant`, unless that is done already, and binds `buffers` in the order of its bindings. Crate-private, as all
    /// ways to a pipeline are: see [`Context::build`].
    pub(crate) fn new(context: &Context, variant: &Variant, buffers: &[&wgpu::Buffer], groups: [u32; 3]) -> Result<Self> {
        let name = variant.kernel.name();
        let allowed = context.limits.max_compute_workgroups_per_dimension;
        if let Some(&needed) = groups.iter().find(|&&count| count > allowed) {
            return Err(Error::Limit {
                what: format!("workgroups of the kernel {name} along one dimension"),
                needed: needed.into(),
                limit: "max_compute_workgroups_per_dimension",
                allowed: allowed.into(),
            });
        }
        let pipeline = context.compile(variant)?;
        let bind_group = context.bind(&pipeline, buffers)?;
        Ok(Self { kernel: variant.kernel, pipeline, bind_group, groups })
    }

    /// Records the dispatch, with the [`Step`] that stands `step_offset` bytes into its table.
    pub fn record(&self, pass: &mut wgpu::ComputePass, step_offset: u32) {
        pass.set_pipeline(&self.pipeline.pipeline);
        let offsets = [step_offset];
        pass.set_bind_group(0, &self.bind_group, if self.pipeline.reads_step() { &offsets } else { &[] });
        pass.dispatch_workgroups(self.groups[0], self.groups[1], self.groups[2]);
    }
}

/// Bytes from one [`Step`] to the next in a table that is bound at dynamic offsets.
pub fn step_stride(context: &Context) -> usize {
    size_of::<Step>().next_multiple_of(context.limits.min_uniform_buffer_offset_alignment as usize)
}

/// Fills `bytes` with the table of `steps`.
pub fn write_steps(steps: &[Step], stride: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(steps.len() * stride, 0);
    for (row, step) in bytes.chunks_exact_mut(stride).zip(steps) {
        row[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(step));
    }
}
