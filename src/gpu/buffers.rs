//! Device memory: every allocation goes through here, is checked against the adapter's limits first, and is counted.

use super::context::{Context, Made};
use crate::error::{Error, Result};
use std::cell::Cell;

/// Allocates buffers of one context and counts their bytes.
pub struct Allocator<'a> {
    context: &'a Context,
    bytes: Cell<u64>,
    purpose: Purpose,
}

/// What an allocator is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// Something small.
    Aside,
    /// A run that takes so many bytes.
    Run(u64),
    /// Only to count: buffers are stubs.
    Count,
}

impl<'a> Allocator<'a> {
    /// An allocator that has given nothing yet.
    pub fn new(context: &'a Context) -> Self {
        Self { context, bytes: Cell::new(0), purpose: Purpose::Aside }
    }

    /// The same for a run that will take `bytes`, for messages.
    pub fn of_run(context: &'a Context, bytes: u64) -> Self {
        Self { purpose: Purpose::Run(bytes), ..Self::new(context) }
    }

    /// One that counts bytes, checks the limits, and gives stubs.
    pub fn counting(context: &'a Context) -> Self {
        Self { purpose: Purpose::Count, ..Self::new(context) }
    }

    /// What it allocates from.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// Bytes given so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Zeroed storage for `words` 4-byte numbers.
    pub async fn storage(&self, label: &str, words: usize) -> Result<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.create(label, words as u64 * 4, usage, &[]).await
    }

    /// Storage with a content.
    pub async fn storage_with(&self, label: &str, content: &[u8]) -> Result<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        self.create(label, content.len() as u64, usage, content).await
    }

    /// The same for `words` words that are made when they are needed.
    pub async fn storage_from(&self, label: &str, words: usize, content: impl FnOnce() -> Vec<u32>) -> Result<wgpu::Buffer> {
        match self.purpose {
            Purpose::Count => self.storage(label, words).await,
            _ => self.storage_with(label, bytemuck::cast_slice(&content())).await,
        }
    }

    /// The same, uploaded part by part: for what is large.
    pub async fn storage_of_parts(
        &self,
        label: &str,
        words: usize,
        parts: impl Iterator<Item = Vec<u32>>,
    ) -> Result<wgpu::Buffer> {
        let buffer = self.storage(label, words).await?;
        if !matches!(self.purpose, Purpose::Count) {
            let mut offset = 0;
            for part in parts {
                self.context.queue.write_buffer(&buffer, offset, bytemuck::cast_slice(&part));
                offset += 4 * part.len() as u64;
                // What a part was staged in is free again when its copy is done.
                self.context.queue.submit([]);
            }
            self.context.check(label)?;
        }
        Ok(buffer)
    }

    /// A uniform structure with a content that may be replaced.
    pub async fn uniform(&self, label: &str, content: &[u8]) -> Result<wgpu::Buffer> {
        self.create(label, content.len() as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST, content).await
    }

    /// Memory that the host can read.
    pub async fn staging(&self, label: &str, bytes: u64) -> Result<wgpu::Buffer> {
        self.create(label, bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, &[]).await
    }

    /// Where timestamps are resolved to.
    pub async fn queries(&self, label: &str, bytes: u64) -> Result<wgpu::Buffer> {
        self.create(label, bytes, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC, &[]).await
    }

    async fn create(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages, content: &[u8]) -> Result<wgpu::Buffer> {
        let limits = &self.context.limits;
        let limit = |name, allowed: u64| if bytes > allowed { Err((name, allowed)) } else { Ok(()) };
        let binding = if usage.contains(wgpu::BufferUsages::STORAGE) {
            limit("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size)
        } else {
            Ok(())
        };
        if let Err((limit, allowed)) = limit("max_buffer_size", limits.max_buffer_size).and(binding) {
            return Err(Error::Limit { what: format!("bytes of the buffer '{label}'"), needed: bytes, limit, allowed });
        }
        // wgpu refuses empty buffers and maps multiples of four bytes only.
        let size = bytes.next_multiple_of(4).max(16);
        self.bytes.set(self.bytes.get() + size);
        let during = match self.purpose {
            Purpose::Aside => format!("allocating {size} bytes for '{label}'"),
            Purpose::Run(total) => format!("allocating {size} bytes for '{label}' of a run that takes {}", mebibytes(total)),
            Purpose::Count => {
                let descriptor = wgpu::BufferDescriptor { label: Some(label), size: 16, usage, mapped_at_creation: false };
                return self.context.scoped("counting memory", || self.context.device.create_buffer(&descriptor)).await;
            }
        };
        let buffer = self.context.scoped(&during, || {
            let mapped_at_creation = !content.is_empty();
            self.context.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation })
        });
        let buffer = buffer.await?;
        if !content.is_empty() {
            let fail = |problem: String| Error::Gpu { during: format!("filling '{label}'"), problem };
            let mut view = buffer.slice(..).get_mapped_range_mut().map_err(|error| fail(error.to_string()))?;
            view.slice(..content.len()).copy_from_slice(content);
            drop(view);
            buffer.unmap();
        }
        Made::count(&self.context.made.buffers);
        Ok(buffer)
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
