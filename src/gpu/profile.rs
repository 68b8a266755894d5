//! Where the time of a training step goes, by the device's own clock: each dispatch in a pass of its own, between two timestamps.

use super::backend::GpuBackend;
use super::bound_dispatch::step_stride;
use super::buffers::Allocator;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::waiting::wait;
use serde::Serialize;

/// The time of one dispatch of a training step.
#[derive(Clone, Debug, Serialize)]
pub struct DispatchTime {
    /// The kernel.
    pub kernel: &'static str,
    /// Its position in the step.
    pub position: usize,
    /// Microseconds, the median over the steps.
    pub microseconds: f64,
}

/// Runs `steps` one by one and times each dispatch. Passes of their own cost some overlap, so the sum exceeds the time of a step
/// that runs as usual.
pub fn profile(backend: &mut GpuBackend, steps: &[Step]) -> Result<Vec<DispatchTime>> {
    wait(profile_async(backend, steps))
}

async fn profile_async(backend: &mut GpuBackend, steps: &[Step]) -> Result<Vec<DispatchTime>> {
    let Some(period) = backend.context().timestamp_period else {
        return Err(Error::Device("this adapter has no timestamp queries; profile on another".into()));
    };
    let count = backend.training().len();
    let bytes = 16 * count as u64;
    let (queries, resolved, staging) = {
        let context = backend.context();
        let queries = context.scoped("making timestamp queries", || {
            let kind = wgpu::QueryType::Timestamp;
            context.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: kind,
                count: 2 * count as u32,
            })
        });
        let allocator = Allocator::new(context);
        (queries.await?, allocator.queries("timestamps", bytes).await?, allocator.staging("timestamps read-back", bytes).await?)
    };
    let stride = step_stride(backend.context());
    backend.upload(steps)?;
    let mut samples = vec![Vec::with_capacity(steps.len()); count];
    for row in 0..steps.len() {
        backend.submit(|encoder| {
            for (index, prepared) in backend.training().iter().enumerate() {
                let first = 2 * index as u32;
                let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                });
                let descriptor = wgpu::ComputePassDescriptor { label: Some(prepared.kernel.name()), timestamp_writes };
                prepared.record(&mut encoder.begin_compute_pass(&descriptor), (row * stride) as u32);
            }
            encoder.resolve_query_set(&queries, 0..2 * count as u32, &resolved, 0);
            encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        });
        let content = backend.context().read(&staging, "reading timestamps").await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&content);
        for (list, pair) in samples.iter_mut().zip(ticks.as_chunks::<2>().0) {
            list.push(pair[1].saturating_sub(pair[0]) as f64 * f64::from(period) * 1e-3);
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let named = backend.training().iter().zip(samples).enumerate();
    Ok(named
        .map(|(position, (prepared, list))| DispatchTime { kernel: prepared.kernel.name(), position, microseconds: median(list) })
        .collect())
}
