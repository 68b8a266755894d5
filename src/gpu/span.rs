//! A part of a buffer, to bind or to copy.

/// A part of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl<'a> Span<'a> {
    /// A whole buffer.
    pub fn whole(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, size: buffer.size() }
    }
}
