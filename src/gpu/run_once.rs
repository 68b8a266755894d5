//! One dispatch on host data: upload, run, read back. For parity checks and tests; training never goes this way.

use super::buffers::Allocator;
use super::context::Context;
use super::span::Span;
use crate::error::Result;
use crate::kernels::Variant;

/// One buffer of a dispatch, in the order of the kernel's bindings.
pub enum Argument<'a> {
    /// The bytes of a structure (for both kinds of uniform binding).
    Uniform(&'a [u8]),
    /// Input.
    Read(&'a [u8]),
    /// Input and output: what stands there is uploaded, and replaced by what the kernel leaves.
    Write(&'a mut [u8]),
}

/// Runs `variant` once over `groups` workgroups.
pub async fn run_once(context: &Context, variant: &Variant, arguments: &mut [Argument<'_>], groups: [u32; 3]) -> Result<()> {
    let pipeline = context.compile(variant).await?;
    let allocator = Allocator::new(context);
    let mut buffers = Vec::new();
    for argument in arguments.iter() {
        buffers.push(match argument {
            Argument::Uniform(bytes) => allocator.uniform(pipeline.name, bytes).await?,
            Argument::Read(bytes) => allocator.storage_with(pipeline.name, bytes).await?,
            Argument::Write(bytes) => allocator.storage_with(pipeline.name, bytes).await?,
        });
    }
    let spans: Vec<Span> = buffers.iter().map(Span::whole).collect();
    let bind_group = context.bind(&pipeline, &spans).await?;
    let mut staging = Vec::new();
    for argument in arguments.iter() {
        if let Argument::Write(bytes) = argument {
            staging.push(allocator.staging(pipeline.name, bytes.len() as u64).await?);
        }
    }
    let during = format!("running the kernel {}", pipeline.name);
    let run = context.scoped(&during, || {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, if pipeline.reads_step() { &[0] } else { &[] });
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        }
        let written = arguments.iter().zip(&buffers).filter(|(argument, _)| matches!(argument, Argument::Write(_)));
        for ((_, buffer), target) in written.zip(&staging) {
            encoder.copy_buffer_to_buffer(buffer, 0, target, 0, buffer.size());
        }
        context.queue.submit([encoder.finish()]);
    });
    run.await?;
    let mut staging = staging.iter();
    for argument in arguments.iter_mut() {
        if let Argument::Write(bytes) = argument
            && let Some(buffer) = staging.next()
        {
            let content = context.read(buffer, &format!("reading the results of {}", pipeline.name)).await?;
            bytes.copy_from_slice(&content[..bytes.len()]);
        }
    }
    Ok(())
}
