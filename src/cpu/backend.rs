//! The CPU backend: the twins, run in the order of the plan. Within a phase every slot goes its own way, on its own core.

use super::slot::{Activations, Learner, Setting, View};
use super::{Arithmetic, Blocked, accuracy, gather, reduction, shuffle};
use crate::config::TrainingConfig;
use crate::dataset::Images;
use crate::diagnosis::{LayerSums, SAMPLE};
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, Progress, Quantity, evaluation_batch_size, sample_size};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Reduction, Shapes, Shard, Shuffle, Step, Views, partner};
use crate::memory;
use crate::model::{Architecture, Parameters};
use crate::plan::{Part, Phase, Plan, diagnosis_step, evaluation_step, training_step};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Steps between two reports of progress; also the stretch for which the worker threads stay awake.
const STEPS_PER_REPORT: usize = 64;

/// A data set and one batch of it for every slot.
struct Batches {
    shard: Shard,
    records: Vec<u32>,
    shapes: Shapes,
    /// One for all slots, one a replica, or one a slot.
    views: Vec<View>,
    slots: Vec<Activations>,
}

/// Both models of every replica in main memory.
pub struct CpuBackend<A> {
    arithmetic: PhantomData<A>,
    config: TrainingConfig,
    device: DeviceDescription,
    table: [f32; 256],
    train: Batches,
    test: Batches,
    sample: Batches,
    sample_config: TrainingConfig,
    learners: Vec<Learner>,
    row_counts: Vec<f32>,
    /// The steps of each stage, and the stage that runs.
    training_plans: Vec<[Phase; 3]>,
    stage: usize,
    evaluation_plan: [Phase; 3],
    diagnosis_plan: [Phase; 3],
}

/// The processor, as a device.
pub fn processor() -> DeviceDescription {
    DeviceDescription {
        name: format!("{} threads", rayon::current_num_threads()),
        backend: "cpu".into(),
        kind: "cpu".into(),
        driver: String::new(),
    }
}

/// Prepares `job` on the processor, with the fast arithmetic.
pub fn open(job: Job) -> Result<Box<dyn Backend>> {
    Ok(Box::new(CpuBackend::<Blocked>::new(job)?))
}

impl Batches {
    fn new(config: &TrainingConfig, architecture: &Architecture, images: &Images, batch_size: usize, views: Views) -> Self {
        let plain = Shard::new(images, 0, images.count(), batch_size, views);
        let (shard, shapes) = match views {
            Views::Run => (plain, Shapes::of_evaluation(architecture, batch_size)),
            _ => (plain.augmented(&config.augmentation, config.seed), Shapes::new(config, architecture, batch_size, views)),
        };
        let slots = 2 * config.replicas;
        // Where each slot has a core of its own, both models of a pair gather the batch, each for itself: that takes less time than
        // passing it from cache to cache.
        let count = match views {
            Views::Replica if slots <= rayon::current_num_threads() => slots,
            _ => views.count(slots),
        };
        let view = |_| View {
            order: (0..images.count() as u32).collect(),
            inputs: vec![0.0; shapes.network[0].input_len()],
            labels: vec![0; batch_size],
        };
        Self {
            records: shard.records(images),
            views: (0..count).map(view).collect(),
            slots: (0..slots).map(|_| Activations::new(config, &shapes)).collect(),
            shard,
            shapes,
        }
    }

    /// The view that a slot reads.
    fn view(&self, slot: usize) -> &View {
        &self.views[slot * self.views.len() / self.slots.len()]
    }

    /// The number of a view as the device counts them, where it may be held once for each slot.
    fn view_number(&self, index: usize) -> u32 {
        ((index * self.slots.len() / self.views.len()) >> self.shapes.network[0].view_shift) as u32
    }

    /// The phases that gather a batch and take it forward in every slot.
    fn forward<A: Arithmetic<Stored = f32>>(
        &mut self,
        config: &TrainingConfig,
        step: &Step,
        table: &[f32; 256],
        phase: &Phase,
        learners: &[Learner],
    ) {
        let numbers: Vec<u32> = (0..self.views.len()).map(|index| self.view_number(index)).collect();
        let (shard, records) = (&self.shard, &self.records);
        let setting = Setting { config, shapes: &self.shapes, phase, step };
        if self.views.len() == self.slots.len() {
            let slots = self.slots.par_iter_mut().zip(&mut self.views).zip(learners).zip(&numbers);
            slots.enumerate().for_each(|(slot, (((activations, view), learner), &number))| {
                gather::gather(shard, step, number, records, &view.order, table, &mut view.inputs, &mut view.labels);
                activations.forward::<A>(&setting, slot, view, learner);
            });
            return;
        }
        // Rows in as many parts as keep all cores busy, whatever the number of views.
        let rows = (shard.batch_size as usize).div_ceil(rayon::current_num_threads().div_ceil(self.views.len()));
        self.views.par_iter_mut().zip(&numbers).for_each(|(view, &number)| {
            let order = &view.order;
            let parts = view.inputs.par_chunks_mut(rows * 4 * shard.input_quads as usize).zip(view.labels.par_chunks_mut(rows));
            parts.enumerate().for_each(|(part, (inputs, labels))| {
                gather::gather(shard, &step.part(part * rows), number, records, order, table, inputs, labels);
            });
        });
        let (views, count) = (&self.views, self.slots.len());
        self.slots.par_iter_mut().zip(learners).enumerate().for_each(|(slot, (activations, learner))| {
            activations.forward::<A>(&setting, slot, &views[slot * views.len() / count], learner);
        });
    }

    fn bytes(&self) -> usize {
        let views = self.views.iter().map(|view| view.order.len() + view.inputs.len() + view.labels.len());
        4 * (self.records.len() + views.sum::<usize>()) + self.slots.iter().map(Activations::bytes).sum::<usize>()
    }
}

impl<A: Arithmetic<Stored = f32>> CpuBackend<A> {
    /// Allocates everything that a run needs.
    pub fn new(job: Job) -> Result<Self> {
        job.check()?;
        let (config, dataset) = (job.config, job.dataset);
        let architecture = config.architecture()?;
        let slots = 2 * config.replicas as u128;
        let evaluation_batch = evaluation_batch_size(config, dataset.test.count(), u64::MAX);
        // Weights, two moments, the weights of the epoch's beginning, and two copies while they are set or read; of three batches
        // outputs, products, normalised rows, deltas and gradients, of hidden layers beside that those of projections and guides;
        // an order a view.
        let rows = (config.batch_size + evaluation_batch + SAMPLE) as u128;
        let beside = architecture.layer_count() as u128 * (config.projection + architecture.classes()) as u128;
        let needed = 6 * config.parameter_bytes(&architecture)
            + slots * (20 * rows * (architecture.activations() + beside) + 4 * dataset.train.count() as u128);
        memory::require(needed, "this run on the CPU")?;
        let sample = dataset.test.head(sample_size(config, dataset.test.count(), u64::MAX));
        let sample_config = config.of_diagnosis();
        let views = Views::of_training(config);
        let train = Batches::new(config, &architecture, &dataset.train, config.batch_size, views);
        Ok(Self {
            arithmetic: PhantomData,
            device: processor(),
            table: dataset.pixel_table(config.standardize),
            training_plans: config.stages().iter().map(|&stage| training_step(config, Plan::Layered, stage)).collect(),
            stage: 0,
            evaluation_plan: evaluation_step(config),
            learners: (0..2 * config.replicas).map(|_| Learner::new(config, &train.shapes)).collect(),
            row_counts: vec![0.0; config.replicas * EVALUATION_METRICS * evaluation_batch],
            test: Batches::new(&config.of_evaluation(), &architecture, &dataset.test, evaluation_batch, Views::Run),
            train,
            sample: Batches::new(&sample_config, &architecture, &sample, sample.count(), Views::Run),
            diagnosis_plan: diagnosis_step(&sample_config),
            sample_config,
            config: config.clone(),
        })
    }

    fn train_step(&mut self, step: &Step) {
        let [_, forward, learn] = &self.training_plans[self.stage];
        self.train.forward::<A>(&self.config, step, &self.table, forward, &self.learners);
        let batches = &self.train;
        let setting = Setting { config: &self.config, shapes: &batches.shapes, phase: learn, step };
        self.learners.par_iter_mut().enumerate().for_each(|(slot, learner)| {
            let (own, partner) = (&batches.slots[slot], &batches.slots[partner(slot)]);
            learner.learn::<A>(&setting, slot, batches.view(slot), own, partner);
        });
    }

    fn forward_test(&mut self, step: &Step) {
        let [_, forward, _] = &self.evaluation_plan;
        self.test.forward::<A>(&self.config, step, &self.table, forward, &self.learners);
    }

    fn evaluation_step(&mut self, step: &Step) {
        self.forward_test(step);
        let (test, last) = (&self.test, self.test.shapes.network.len() - 1);
        let layer = &test.shapes.network[last];
        let counts = self.row_counts.par_chunks_mut(EVALUATION_METRICS * layer.batch_size as usize);
        counts.zip(test.slots.par_chunks(2)).for_each(|(counts, pair)| {
            let probabilities = [0, 1].map(|model: usize| &pair[model].outputs[(Part::Network, last)][..]);
            accuracy::accuracy(layer, step, probabilities, &test.views[0].labels, counts);
        });
    }
}

impl<A: Arithmetic<Stored = f32>> CpuBackend<A> {
    /// The look at the layers of every slot.
    fn diagnose(&mut self) -> Vec<Vec<LayerSums>> {
        let [_, forward, compare] = &self.diagnosis_plan;
        let step = Step::evaluation(0, self.sample.shard.sample_count as usize);
        self.sample.forward::<A>(&self.sample_config, &step, &self.table, forward, &self.learners);
        let (sample, learners) = (&self.sample, &self.learners);
        let setting = Setting { config: &self.sample_config, shapes: &sample.shapes, phase: compare, step: &step };
        // Reports need no more digits than f32 has, whatever the arithmetic of the run.
        let slot = |slot: usize| {
            let other = partner(slot);
            learners[slot].diagnose::<Blocked>(&setting, &sample.slots[slot], &sample.slots[other], &learners[other])
        };
        (0..learners.len()).into_par_iter().map(slot).collect()
    }
}

impl<A: Arithmetic<Stored = f32>> Backend for CpuBackend<A> {
    fn device(&self) -> &DeviceDescription {
        &self.device
    }

    fn memory(&self) -> u64 {
        let learners: usize = self.learners.iter().map(Learner::bytes).sum();
        (self.train.bytes() + self.test.bytes() + self.sample.bytes() + learners + 4 * self.row_counts.len()) as u64
    }

    fn write(&mut self, quantity: Quantity, values: &Parameters) -> Result<()> {
        let shapes = &self.train.shapes;
        for ((learner, network), projections) in self.learners.iter_mut().zip(&values.slots).zip(&values.projections) {
            learner.write(quantity, shapes, Part::Network, network);
            learner.write(quantity, shapes, Part::Projection, projections);
        }
        Ok(())
    }

    fn read(&mut self, quantity: Quantity) -> Result<Parameters> {
        let of = |part| self.learners.iter().map(|learner| learner.read(quantity, &self.train.shapes, part)).collect();
        Ok(Parameters { slots: of(Part::Network), projections: of(Part::Projection) })
    }

    fn row_sums(&mut self) -> Result<Vec<f32>> {
        Ok(self.learners.iter().flat_map(|learner| &learner.row_metrics).copied().collect())
    }

    fn set_row_sums(&mut self, sums: &[f32]) -> Result<()> {
        let mut rest = sums;
        for learner in &mut self.learners {
            let (own, others) = rest.split_at(learner.row_metrics.len());
            learner.row_metrics.copy_from_slice(own);
            rest = others;
        }
        Ok(())
    }

    fn probabilities(&mut self) -> Result<Vec<Vec<f32>>> {
        let mut probabilities = vec![Vec::new(); self.learners.len()];
        let (count, batch_size) = (self.test.shard.sample_count as usize, self.test.shard.batch_size as usize);
        for first_row in (0..count).step_by(batch_size) {
            let rows = batch_size.min(count - first_row);
            self.forward_test(&Step::evaluation(first_row, rows));
            let last = self.test.shapes.network.len() - 1;
            let layer = &self.test.shapes.network[last];
            for (all, slot) in probabilities.iter_mut().zip(&self.test.slots) {
                all.extend(layer.output_rows(&slot.outputs[(Part::Network, last)], rows));
            }
        }
        Ok(probabilities)
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let (config, count) = (&self.config, self.train.shard.sample_count as usize);
        let views_per_replica = self.train.views.len() / config.replicas;
        self.train.views.par_iter_mut().enumerate().for_each(|(index, view)| {
            let seed = config.seed.wrapping_add((index / views_per_replica) as u64);
            shuffle::shuffle(&Shuffle::new(seed, epoch, count, 1, config.shuffle), &mut view.order);
        });
        let stage = config.stage_of(epoch).0;
        let changed = std::mem::replace(&mut self.stage, stage) != stage;
        for learner in &mut self.learners {
            learner.begin_epoch(&self.train.shapes);
            if changed {
                learner.begin_stage();
            }
        }
        Ok(())
    }

    fn train(&mut self, steps: &[Step], progress: &mut Progress) -> Result<usize> {
        Job::check_steps(&self.config, self.train.shard.sample_count as usize, steps)?;
        let mut done = 0;
        for stretch in steps.chunks(STEPS_PER_REPORT) {
            // Inside the pool a phase is handed from worker to worker without putting threads to sleep.
            rayon::scope(|_| stretch.iter().for_each(|step| self.train_step(step)));
            done += stretch.len();
            if progress(stretch.len()).is_break() {
                break;
            }
        }
        Ok(done)
    }

    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        self.row_counts.fill(0.0);
        let (count, batch_size) = (self.test.shard.sample_count as usize, self.test.shard.batch_size as usize);
        for first_row in (0..count).step_by(batch_size) {
            self.evaluation_step(&Step::evaluation(first_row, batch_size.min(count - first_row)));
        }
        let sum = |values: &[f32], length: usize| {
            let mut sums = vec![0.0; values.len() / length];
            let shape = Reduction { length: length as u32, ..Reduction::default() };
            reduction::reduction(&shape, values, &mut sums);
            sums
        };
        let training = self.learners.iter().map(|learner| sum(&learner.row_metrics, self.config.batch_size)).collect();
        let test = sum(&self.row_counts, batch_size).as_chunks::<EVALUATION_METRICS>().0.to_vec();
        Ok(EpochMetrics { training, test, layers: self.diagnose(), sample: self.sample.shard.sample_count as usize })
    }
}
