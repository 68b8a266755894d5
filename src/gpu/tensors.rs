//! The tensors of a run in device memory.

use super::buffers::Allocator;
use super::span::Span;
use crate::dataset::Folds;
use crate::engine::Job;
use crate::error::Result;
use crate::kernels::{Access, Operand, Pack, Tensor};
use crate::memory;
use crate::program::{Content, Programs, images, unlabelled};
use std::cell::OnceCell;
use std::collections::HashMap;

/// Bytes of a data set that are uploaded at a time.
const PART: usize = 8 << 20;

/// All of a run's buffers.
pub struct DeviceTensors {
    buffers: Vec<wgpu::Buffer>,
    /// For each tensor its buffer, and its place there in bytes.
    places: Vec<Place>,
    /// Bound where a kernel has a binding that it does not use: one that is only read, and one that counts as written.
    unused: [wgpu::Buffer; 2],
}

/// Where a tensor stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    buffer: usize,
    offset: u64,
    size: u64,
}

impl DeviceTensors {
    /// Allocates and fills all tensors of `programs`; `largest_binding` is what they were made for.
    pub async fn new(allocator: &Allocator<'_>, programs: &Programs, job: Job<'_>, largest_binding: u64) -> Result<Self> {
        let (mut buffers, mut places) = (Vec::new(), Vec::new());
        let mut packs: HashMap<Pack, usize> = HashMap::new();
        let given = OnceCell::new();
        for spec in &programs.tensors {
            let words = spec.per.count(programs.slots) * spec.words;
            let size = 4 * words as u64;
            let place = match spec.pack {
                Some((pack, first)) => {
                    let buffer = match packs.get(&pack) {
                        Some(&buffer) => buffer,
                        None => {
                            let name = format!("{} and others", spec.name);
                            buffers.push(allocator.storage(&name, programs.pack_words(pack)).await?);
                            packs.insert(pack, buffers.len() - 1);
                            buffers.len() - 1
                        }
                    };
                    Place { buffer, offset: 4 * first as u64, size }
                }
                None => {
                    buffers.push(match &spec.content {
                        Content::Zero => allocator.storage(&spec.name, words).await?,
                        Content::Counting => allocator.storage_from(&spec.name, words, || (0..words as u32).collect()).await?,
                        Content::PixelTable => {
                            let table = || job.dataset.pixel_table(job.config.standardize).map(f32::to_bits).to_vec();
                            allocator.storage_from(&spec.name, words, table).await?
                        }
                        Content::LabelledFirst => {
                            allocator.storage_from(&spec.name, words, || job.dataset.labelled_first()).await?
                        }
                        Content::LearnedFirst => {
                            let learned_first = || job.dataset.folds.as_ref().map(Folds::learned_first).unwrap_or_default();
                            allocator.storage_from(&spec.name, words, learned_first).await?
                        }
                        Content::Records(set, shard) => {
                            let without = unlabelled(job, *set);
                            let images = images(job, *set, largest_binding);
                            let statistics = || job.dataset.feature_statistics(job.config.standardize);
                            // A few at a time, so that the host need not hold them all once more.
                            let count = (PART / (4 * shard.record_words as usize)).max(1);
                            let parts = (0..shard.image_count as usize).step_by(count).map(|first| {
                                shard.part(first, count).records(&images, without, given.get_or_init(statistics).as_ref())
                            });
                            allocator.storage_of_parts(&spec.name, words, parts).await?
                        }
                    });
                    Place { buffer: buffers.len() - 1, offset: 0, size }
                }
            };
            places.push(place);
        }
        let unused = [allocator.storage("nothing to read", 4).await?, allocator.storage("nothing to write", 4).await?];
        Ok(Self { buffers, places, unused })
    }

    /// Bytes that [`DeviceTensors::new`] will take, counted by the same code. Fails where a tensor is above a limit of the device, or
    /// where the device shares the host's memory and that does not hold so much; other devices refuse by themselves
    /// ([`crate::Error::DeviceMemory`]).
    pub async fn require(allocator: &Allocator<'_>, programs: &Programs, job: Job<'_>, largest_binding: u64) -> Result<u64> {
        Self::new(allocator, programs, job, largest_binding).await?;
        let description = &allocator.context().description;
        if description.shares_main_memory() {
            memory::require(allocator.bytes().into(), &format!("this run on {}", description.name))?;
        }
        Ok(allocator.bytes())
    }

    /// A tensor's own part of its buffer.
    pub fn span(&self, tensor: Tensor) -> Span<'_> {
        let Place { buffer, offset, size } = self.places[tensor.index()];
        Span { buffer: &self.buffers[buffer], offset, size }
    }

    /// What an operation gets to see.
    pub fn binding(&self, operand: &Operand) -> Span<'_> {
        match operand.tensor {
            Some(tensor) if operand.packed => Span::whole(&self.buffers[self.places[tensor.index()].buffer]),
            // A shader's arrays of vectors are bound by 16 bytes at least, and so large is every buffer.
            Some(tensor) => {
                let span = self.span(tensor);
                if span.size < 16 { Span::whole(span.buffer) } else { span }
            }
            None => Span::whole(&self.unused[usize::from(operand.access == Access::Write)]),
        }
    }
}
