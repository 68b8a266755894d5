//! A data set on the device, and the dispatches that gather batches of it.

use super::buffers::Allocator;
use super::context::Context;
use super::kernels::{Variant, gather_groups};
use super::prepared::Prepared;
use crate::dataset::Images;
use crate::error::Result;
use crate::layout::Shard;
use crate::plan::Kernel;

/// Bytes that a kernel can see through one binding.
pub fn largest_buffer(context: &Context) -> u64 {
    context.limits.max_storage_buffer_binding_size.min(context.limits.max_buffer_size)
}

/// Images as bytes, in as many shards as the adapter's limits ask for.
pub struct Resident {
    shape: Shard,
    shards: Vec<(wgpu::Buffer, wgpu::Buffer)>,
    /// The order in which images are taken, `[view, images]`.
    pub orders: wgpu::Buffer,
    /// A number for each value of a byte.
    table: wgpu::Buffer,
    /// The labels of a batch, `[view, batch]`.
    pub labels: wgpu::Buffer,
    views: usize,
}

impl Resident {
    /// Uploads `images`. `views` is the number of orders that are made on the device each epoch, or none: all read the images in
    /// their own order.
    pub fn new(
        allocator: &Allocator,
        images: &Images,
        table: &[f32; 256],
        batch_size: usize,
        views: Option<usize>,
    ) -> Result<Self> {
        let shape = Shard::new(images, 0, images.count(), batch_size, views.is_some());
        let images_per_shard = (largest_buffer(allocator.context()) / (4 * u64::from(shape.record_words))).max(1) as usize;
        let mut shards = Vec::new();
        for first in (0..images.count()).step_by(images_per_shard) {
            let shard = Shard::new(images, first, images_per_shard.min(images.count() - first), batch_size, views.is_some());
            shards.push((
                allocator.uniform("shard", bytemuck::bytes_of(&shard))?,
                allocator.storage_with("images", bytemuck::cast_slice(&shard.records(images)))?,
            ));
        }
        let orders = match views {
            Some(views) => allocator.storage("orders of the replicas", views * images.count())?,
            None => {
                let order: Vec<u32> = (0..images.count() as u32).collect();
                allocator.storage_with("order", bytemuck::cast_slice(&order))?
            }
        };
        let views = views.unwrap_or(1);
        Ok(Self {
            shape,
            shards,
            orders,
            table: allocator.storage_with("pixel table", bytemuck::cast_slice(table))?,
            labels: allocator.storage("labels", views * batch_size)?,
            views,
        })
    }

    /// The dispatches that fill `inputs` with the rows that a step of `steps` names: one a shard.
    pub fn gather(&self, context: &Context, steps: &wgpu::Buffer, inputs: &wgpu::Buffer) -> Result<Vec<Prepared>> {
        let groups = gather_groups(&self.shape, self.views);
        let prepare = |(uniform, records): &(wgpu::Buffer, wgpu::Buffer)| {
            let buffers = [uniform, steps, records, &self.orders, &self.table, inputs, &self.labels];
            Prepared::new(context, &Variant::plain(Kernel::Gather), &buffers, groups)
        };
        self.shards.iter().map(prepare).collect()
    }
}
