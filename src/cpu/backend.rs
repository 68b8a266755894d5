//! The CPU backend: the programs of a run, in main memory.

use super::executor::{Phase, Store};
use crate::arithmetic::{Arithmetic, Blocked};
use crate::config::TrainingConfig;
use crate::dataset::Folds;
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, Progress, Quantity};
use crate::error::Result;
use crate::kernels::{Data, Kernel, Operation, Tensor};
use crate::layout::Step;
use crate::memory;
use crate::model::Parameters;
use crate::parallel;
use crate::program::{Content, ParameterTensors, Plan, Programs, images, unlabelled};
use crate::waiting::Waiting;
use std::future::ready;
use std::marker::PhantomData;

/// Steps between two reports of progress; also the stretch for which the worker threads stay awake. (A page's only thread has the page
/// waiting.)
const STEPS_PER_REPORT: usize = if cfg!(target_family = "wasm") { 8 } else { 64 };

/// Both models of every replica in main memory.
pub struct CpuBackend<A> {
    arithmetic: PhantomData<A>,
    config: TrainingConfig,
    device: DeviceDescription,
    programs: Programs,
    store: Store,
    shuffle: Vec<Phase>,
    /// The steps of each stage, and the stage that runs.
    stages: Vec<Vec<Phase>>,
    stage: usize,
    evaluation: Vec<Phase>,
    judging: Vec<Phase>,
    diagnosis: Vec<Phase>,
    summary: Vec<Phase>,
    train_images: usize,
    test_images: usize,
}

/// The processor, as a device.
pub fn processor() -> DeviceDescription {
    DeviceDescription {
        name: format!("{} threads", parallel::threads()),
        backend: "cpu".into(),
        kind: "cpu".into(),
        driver: String::new(),
    }
}

/// Prepares `job` on the processor, with the fast arithmetic.
pub fn open(job: Job) -> Result<Box<dyn Backend>> {
    Ok(Box::new(CpuBackend::<Blocked>::new(job)?))
}

impl<A: Arithmetic<Stored = f32>> CpuBackend<A> {
    /// Allocates everything that a run needs.
    pub fn new(job: Job) -> Result<Self> {
        job.check()?;
        let config = job.config;
        let programs = Programs::new(job, Plan::Layered, u64::MAX)?;
        // Beside the tensors two copies of the parameters while they are set or read.
        memory::require(programs.bytes() + 2 * config.parameter_bytes(), "this run on the CPU")?;
        let mut store = Store::new(&programs.tensors, programs.slots);
        fill(&programs, job, &mut store);
        Ok(Self {
            arithmetic: PhantomData,
            device: processor(),
            shuffle: store.phases(&programs.shuffle),
            stages: programs.stages.iter().map(|stage| store.phases(stage)).collect(),
            stage: 0,
            evaluation: store.phases(&programs.evaluation),
            judging: programs.judging.iter().flat_map(|judging| store.phases(&judging.operations)).collect(),
            diagnosis: store.phases(&programs.diagnosis),
            summary: store.phases(&programs.summary),
            train_images: job.dataset.train.count(),
            test_images: job.dataset.test.count(),
            config: config.clone(),
            programs,
            store,
        })
    }

    /// The kernels of a training step, in order: for benchmarks.
    pub fn operations(&self) -> Vec<Kernel> {
        self.programs.stages.iter().skip(self.stage).take(1).flatten().map(Operation::kernel).collect()
    }

    /// Runs one of them alone, for all slots.
    pub fn run_operation(&mut self, number: usize, step: &Step) {
        let operation = &self.programs.stages[self.stage][number..=number];
        for phase in self.store.phases(operation) {
            self.store.run::<A>(&phase, step);
        }
    }

    /// Runs the evaluation's operations on the batch that begins at image `first`.
    fn evaluate(&mut self, first: usize) {
        let step = Step::evaluation(first, self.programs.evaluation_batch.min(self.test_images - first));
        self.evaluation.iter().for_each(|phase| self.store.run::<A>(phase, &step));
    }

    fn evaluation_batches(&self) -> impl Iterator<Item = usize> + use<A> {
        (0..self.test_images).step_by(self.programs.evaluation_batch)
    }
}

/// Gives every tensor what it holds at first.
fn fill(programs: &Programs, job: Job, store: &mut Store) {
    let statistics = job.dataset.feature_statistics(job.config.standardize);
    for (index, spec) in (0..).zip(&programs.tensors) {
        let content = match &spec.content {
            Content::Zero => continue,
            Content::Counting => Data::Words((0..spec.words as u32).collect()),
            Content::PixelTable => Data::Numbers(job.dataset.pixel_table(job.config.standardize).to_vec()),
            Content::LabelledFirst => Data::Words(job.dataset.labelled_first()),
            Content::LearnedFirst => Data::Words(job.dataset.folds.as_ref().map(Folds::learned_first).unwrap_or_default()),
            Content::Records(set, shard) => {
                Data::Words(shard.records(&images(job, *set, u64::MAX), unlabelled(job, *set), statistics.as_ref()))
            }
        };
        let copies = store.copies_mut(Tensor(index));
        match content {
            // Each copy has a part of its own.
            Data::Words(words) if copies.len() > 1 && words.len() == copies.len() * spec.words => spread(copies, &words),
            content => copies.fill(content),
        }
    }
}

impl<A: Arithmetic<Stored = f32>> Backend for CpuBackend<A> {
    fn device(&self) -> &DeviceDescription {
        &self.device
    }

    fn memory(&self) -> u64 {
        self.store.bytes() as u64
    }

    fn write(&mut self, quantity: Quantity, values: &Parameters) -> Result<()> {
        for layer in &self.programs.parameters {
            let Some(tensor) = layer.quantity(quantity) else { continue };
            for (slot, copy) in self.store.copies_mut(tensor).iter_mut().enumerate() {
                if let Some(values) = layer.values(values, slot) {
                    *copy = Data::Numbers(layer.layer.pack(layer.input, values));
                }
            }
        }
        Ok(())
    }

    fn read_async(&mut self, quantity: Quantity) -> Waiting<'_, Parameters> {
        let layers = &self.programs.parameters;
        let tensors = layers.iter().filter_map(|layer| layer.quantity(quantity));
        let contents = tensors.map(|tensor| numbers(self.store.copies(tensor)));
        done(Ok(ParameterTensors::collect(layers, self.programs.slots, quantity, contents)))
    }

    fn row_sums_async(&mut self) -> Waiting<'_, Vec<f32>> {
        done(Ok(numbers(self.store.copies(self.programs.row_metrics))))
    }

    fn set_row_sums(&mut self, sums: &[f32]) -> Result<()> {
        let copies = self.store.copies_mut(self.programs.row_metrics);
        let length = sums.len() / copies.len();
        copies.iter_mut().zip(sums.chunks_exact(length)).for_each(|(copy, sums)| *copy = Data::Numbers(sums.to_vec()));
        Ok(())
    }

    fn set_trust_rates(&mut self, rates: &[u32]) -> Result<()> {
        if let Some(trust) = &self.programs.trust {
            spread(self.store.copies_mut(trust.rates), rates);
        }
        Ok(())
    }

    fn trust_records_async(&mut self) -> Waiting<'_, Vec<Vec<u32>>> {
        let records = self.programs.trust.iter().flat_map(|trust| &trust.records);
        let words = |&(_, tensor): &(usize, Tensor)| self.store.copies(tensor).iter().flat_map(Data::words).copied().collect();
        done(Ok(records.map(words).collect()))
    }

    fn set_trust_records(&mut self, records: &[Vec<u32>]) -> Result<()> {
        for (&(_, tensor), record) in self.programs.trust.iter().flat_map(|trust| &trust.records).zip(records) {
            spread(self.store.copies_mut(tensor), record);
        }
        Ok(())
    }

    fn probabilities_async(&mut self) -> Waiting<'_, Vec<Vec<f32>>> {
        let mut probabilities = vec![Vec::new(); self.programs.slots];
        for first in self.evaluation_batches() {
            self.evaluate(first);
            let (shape, tensor) = self.programs.probabilities;
            let rows = self.programs.evaluation_batch.min(self.test_images - first);
            for (all, outputs) in probabilities.iter_mut().zip(self.store.copies(tensor)) {
                all.extend(shape.unpadded(outputs.numbers(), rows));
            }
        }
        done(Ok(probabilities))
    }

    fn judge_async(&mut self) -> Waiting<'_, Vec<Vec<Vec<f32>>>> {
        let Some(judging) = &self.programs.judging else { return done(Ok(Vec::new())) };
        let mut probabilities = vec![vec![Vec::new(); self.programs.slots]; judging.probabilities.len()];
        for step in judging.steps() {
            self.judging.iter().for_each(|phase| self.store.run::<A>(phase, &step));
            for (&(shape, tensor), all) in judging.probabilities.iter().zip(&mut probabilities) {
                for (all, outputs) in all.iter_mut().zip(self.store.copies(tensor)) {
                    all.extend(shape.unpadded(outputs.numbers(), step.row_count as usize));
                }
            }
        }
        done(Ok(probabilities))
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let stage = self.config.stage_of(epoch).0;
        let changed = std::mem::replace(&mut self.stage, stage) != stage;
        for layer in &self.programs.parameters {
            if let Some(before) = layer.before {
                self.store.copy(layer.weights, before);
            }
            if changed {
                [layer.first_moments, layer.second_moments].into_iter().for_each(|tensor| self.store.clear(tensor));
            }
        }
        self.store.clear(self.programs.row_metrics);
        let step = Step::default().in_epoch(epoch);
        self.shuffle.iter().for_each(|phase| self.store.run::<A>(phase, &step));
        Ok(())
    }

    fn train_async<'a>(&'a mut self, steps: &'a [Step], progress: &'a mut Progress) -> Waiting<'a, usize> {
        if let Err(error) = Job::check_steps(&self.config, self.train_images, steps) {
            return done(Err(error));
        }
        let (store, phases) = (&mut self.store, &self.stages[self.stage]);
        let mut done = 0;
        for stretch in steps.chunks(STEPS_PER_REPORT) {
            // Inside the pool a phase is handed from worker to worker without putting threads to sleep.
            parallel::awake(|| {
                stretch.iter().for_each(|step| phases.iter().for_each(|phase| store.run::<A>(phase, step)));
            });
            done += stretch.len();
            if progress(stretch.len()).is_break() {
                break;
            }
        }
        self::done(Ok(done))
    }

    fn end_epoch_async(&mut self) -> Waiting<'_, EpochMetrics> {
        self.programs.evaluation_sums.into_iter().for_each(|tensor| self.store.clear(tensor));
        self.evaluation_batches().for_each(|first| self.evaluate(first));
        let step = Step::evaluation(0, self.programs.sum_layout.sample);
        self.diagnosis.iter().chain(&self.summary).for_each(|phase| self.store.run::<A>(phase, &step));
        done(Ok(self.programs.sum_layout.metrics(&numbers(self.store.copies(self.programs.sums)))))
    }
}

/// Gives each copy of a tensor of whole numbers its part.
fn spread(copies: &mut [Data<f32>], words: &[u32]) {
    let length = words.len() / copies.len();
    copies.iter_mut().zip(words.chunks_exact(length.max(1))).for_each(|(copy, words)| *copy = Data::Words(words.to_vec()));
}

/// The processor was waited for by working.
fn done<'a, T: 'a>(result: Result<T>) -> Waiting<'a, T> {
    Box::pin(ready(result))
}

/// All copies of a tensor, one behind the other.
fn numbers(copies: &[Data<f32>]) -> Vec<f32> {
    copies.iter().flat_map(Data::numbers).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Method, Recipe};
    use crate::dataset::digits;
    use crate::model::Architecture;
    use std::ops::ControlFlow::Continue;

    /// After some thousand steps no tensor of a run holds a subnormal number, which costs some processors a hundred cycles each time it is
    /// met: neither moments, whose gradient has stopped, nor gradients of saturated rows.
    #[test]
    fn training_makes_no_subnormal_numbers() {
        let dataset = digits::generate_with_counts(0, 320, 16);
        let small = |recipe: Recipe| TrainingConfig {
            architecture: Architecture::dense(&[784, 24, 16, 10]),
            batch_size: 32,
            ..recipe.config()
        };
        let backprop = TrainingConfig { method: Method::Backprop, ..small(Recipe::Contrastive) };
        for config in [small(Recipe::Paper), small(Recipe::Centred), small(Recipe::Contrastive), backprop] {
            let mut backend = CpuBackend::<Blocked>::new(Job { config: &config, dataset: &dataset }).unwrap();
            backend.set_parameters(&config.initial_parameters().unwrap()).unwrap();
            backend.begin_epoch(1).unwrap();
            let step = |time: usize| Step::new(time % 10 * 32, 32, &config.adam, time as u64 + 1);
            backend.train(&(0..4000).map(step).collect::<Vec<_>>(), &mut |_| Continue(())).unwrap();
            for (index, spec) in (0..).zip(&backend.programs.tensors) {
                let copies = numbers(backend.store.copies(Tensor(index)));
                let subnormal = copies.iter().filter(|number| number.is_subnormal()).count();
                assert_eq!(subnormal, 0, "{} of {} in {:?}", spec.name, copies.len(), config.hidden_loss);
            }
        }
    }
}
