//! A data set on the device, and the dispatches that gather batches of it.

use super::buffers::Allocator;
use super::context::Context;
use super::kernels::{Variant, gather_groups};
use super::prepared::Prepared;
use crate::config::TrainingConfig;
use crate::dataset::Images;
use crate::error::Result;
use crate::layout::{Shard, Views};

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
    /// Uploads `images`. Training views get an order for each of `replicas`, made on the device each epoch, and the changes that
    /// the run's augmentation names; an evaluation reads the images as they are, in their own order.
    pub fn new(
        allocator: &Allocator,
        images: &Images,
        table: &[f32; 256],
        batch_size: usize,
        views: Views,
        config: &TrainingConfig,
    ) -> Result<Self> {
        let training = views != Views::Run;
        let shard = |first: usize, count: usize| {
            let shard = Shard::new(images, first, count, batch_size, views);
            if training { shard.augmented(&config.augmentation, config.seed) } else { shard }
        };
        let shape = shard(0, images.count());
        let images_per_shard = (largest_buffer(allocator.context()) / (4 * u64::from(shape.record_words))).max(1) as usize;
        let mut shards = Vec::new();
        for first in (0..images.count()).step_by(images_per_shard) {
            let shard = shard(first, images_per_shard.min(images.count() - first));
            shards.push((
                allocator.uniform("shard", bytemuck::bytes_of(&shard))?,
                allocator.storage_from("images", shard.words(), || shard.records(images))?,
            ));
        }
        let orders = if training {
            allocator.storage("orders of the replicas", config.replicas * images.count())?
        } else {
            let order: Vec<u32> = (0..images.count() as u32).collect();
            allocator.storage_with("order", bytemuck::cast_slice(&order))?
        };
        let views = views.count(2 * config.replicas);
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
            Prepared::new(context, &Variant::gather(&self.shape), &buffers, groups)
        };
        self.shards.iter().map(prepare).collect()
    }
}
