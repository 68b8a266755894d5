//! An operation with all that it needs on the device, made once and recorded many times.

use super::buffers::Allocator;
use super::context::{Context, Pipeline};
use super::span::Span;
use super::tensors::DeviceTensors;
use crate::error::{Error, Result};
use crate::kernels::{Kernel, Launch, Operation};
use crate::layout::Step;

/// A kernel bound to its buffers.
pub struct BoundDispatch {
    /// What runs.
    pub kernel: Kernel,
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

impl BoundDispatch {
    /// Compiles the operation's kernel, unless that is done already, and binds its parameters, the table of `steps` where it reads one,
    /// and its operands. Crate-private, as all ways to a pipeline are: see [`Context::build`].
    pub(crate) async fn new(
        allocator: &Allocator<'_>,
        operation: &Operation,
        tensors: &DeviceTensors,
        steps: &wgpu::Buffer,
        launch: Launch<'_>,
    ) -> Result<Self> {
        let (context, description) = (allocator.context(), operation.describe());
        let (kernel, groups) = (operation.kernel(), description.groups(launch));
        let allowed = context.limits.max_compute_workgroups_per_dimension;
        if let Some(&needed) = groups.iter().find(|&&count| count > allowed) {
            return Err(Error::Limit {
                what: format!("workgroups of the kernel {} along one dimension", kernel.name()),
                needed: needed.into(),
                limit: "max_compute_workgroups_per_dimension",
                allowed: allowed.into(),
            });
        }
        let pipeline = context.compile(&operation.variant(launch)).await?;
        let parameters = allocator.uniform(kernel.name(), &description.parameters()).await?;
        let mut spans = vec![Span { buffer: &parameters, offset: 0, size: parameters.size() }];
        if description.reads_step() {
            // Bound one step at a time.
            spans.push(Span { buffer: steps, offset: 0, size: size_of::<Step>() as u64 });
        }
        let operands = description.operands();
        spans.extend(operands.iter().map(|operand| tensors.binding(operand)));
        let bind_group = context.bind(&pipeline, &spans).await?;
        Ok(Self { kernel, pipeline, bind_group, groups })
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
