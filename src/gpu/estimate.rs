//! What a run will take of the device's memory: counted, by the same code that allocates it, before anything is allocated.

use super::buffers::Allocator;
use super::context::Context;
use super::resident::Resident;
use super::tensor::{Parameters, Scratch};
use crate::dataset::Images;
use crate::engine::Job;
use crate::error::Result;
use crate::layout::{Joined, Shapes, Views};
use crate::memory;
use crate::model::Architecture;

/// What decides how much a run takes.
pub struct Request<'a> {
    /// The run and its data.
    pub job: Job<'a>,
    /// Its networks.
    pub architecture: &'a Architecture,
    /// The layers in training.
    pub shapes: &'a Shapes,
    /// Where they share buffers: these.
    pub joined: Option<Joined>,
    /// What a step of training gathers.
    pub views: Views,
    /// Images of a batch of the evaluation.
    pub evaluation_batch: usize,
    /// Test images on which the layers are looked at.
    pub sample: &'a Images,
}

impl Request<'_> {
    /// Bytes of all tensors and images; tables and sums, far below a mebibyte, are left out. Fails where one of them is above a
    /// limit of the device.
    pub fn bytes(&self, context: &Context) -> Result<u64> {
        let Job { config, dataset } = self.job;
        let (allocator, slots) = (Allocator::counting(context), 2 * config.replicas);
        Parameters::new(&allocator, self.shapes, slots, self.joined)?;
        Scratch::new(&allocator, self.shapes, slots, self.views.count(slots), self.joined, config)?;
        let sample = self.sample.count();
        for (config, batch) in [(config.of_evaluation(), self.evaluation_batch), (config.of_diagnosis(), sample)] {
            let shapes = Shapes::of_evaluation(self.architecture, batch);
            Scratch::new(&allocator, &shapes, slots, 1, None, &config)?;
        }
        let batches = [
            (&dataset.train, config.batch_size, self.views),
            (&dataset.test, self.evaluation_batch, Views::Run),
            (self.sample, sample, Views::Run),
        ];
        for (images, batch, views) in batches {
            Resident::new(&allocator, images, &[0.0; 256], batch, views, config)?;
        }
        Ok(allocator.bytes())
    }

    /// The same, where that is available. Only memory that the device shares with the host can be asked for; others refuse by
    /// themselves ([`crate::Error::DeviceMemory`]).
    pub fn require(&self, context: &Context) -> Result<u64> {
        let bytes = self.bytes(context)?;
        if context.description.shares_main_memory() {
            memory::require(bytes.into(), &format!("this run on {}", context.description.name))?;
        }
        Ok(bytes)
    }
}
