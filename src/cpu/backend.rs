//! The CPU backend: the twins, run in the order of the plan. Within a phase every slot goes its own way, on its own core.

use super::cosine_gradient::Compared;
use super::{
    Arithmetic, accuracy, batch_mean, cosine_gradient, forward, gather, output_gradient, reduction, shuffle, softmax,
    weight_update,
};
use crate::config::{Representation, TrainingConfig};
use crate::dataset::Images;
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, evaluation_batch_size};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Layer, Reduction, Shard, Shuffle, Step, partner};
use crate::memory;
use crate::model::{Architecture, Parameters};
use crate::plan::{Dispatch, Kernel, Phase, Plan, evaluation_step, training_step};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Steps between two reports of progress; also the stretch for which the worker threads stay awake.
const STEPS_PER_REPORT: usize = 64;

/// One view's batch.
struct View {
    order: Vec<u32>,
    inputs: Vec<f32>,
    labels: Vec<u32>,
}

/// What a slot writes on the way forward and its partner reads afterwards, `[layer]`.
struct Activations {
    outputs: Vec<Vec<f32>>,
    /// Means over the batch of what the loss compares; empty unless it is centred.
    means: Vec<Vec<f32>>,
    /// The pre-activations, in the rows of the outputs; empty unless the loss compares them.
    preactivations: Vec<Vec<f32>>,
    products: Vec<Vec<f32>>,
}

/// What a slot learns with, `[layer]`.
struct Learner {
    weights: Vec<Vec<f32>>,
    first_moments: Vec<Vec<f32>>,
    second_moments: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    deltas: Vec<Vec<f32>>,
    row_metrics: Vec<f32>,
}

/// A data set and one batch of it for every slot.
struct Batches {
    shard: Shard,
    records: Vec<u32>,
    layers: Vec<Layer>,
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
    learners: Vec<Learner>,
    row_counts: Vec<f32>,
    training_plan: [Phase; 3],
    evaluation_plan: [Phase; 3],
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

fn per_layer(layers: &[Layer], length: impl Fn(&Layer) -> usize) -> Vec<Vec<f32>> {
    layers.iter().map(|layer| vec![0.0; length(layer)]).collect()
}

impl Batches {
    fn new(config: &TrainingConfig, architecture: &Architecture, images: &Images, batch_size: usize, shared: bool) -> Self {
        let shard = Shard::new(images, 0, images.count(), batch_size, !shared);
        let layers = Layer::all(architecture, batch_size, shared);
        let view = |_| View {
            order: (0..images.count() as u32).collect(),
            inputs: vec![0.0; layers[0].input_len()],
            labels: vec![0; batch_size],
        };
        let keep = config.representation == Representation::PreActivation && !shared;
        let activations = |_| Activations {
            outputs: per_layer(&layers, Layer::output_len),
            means: per_layer(&layers, |layer| if config.centre { layer.weight_stride() } else { 0 }),
            preactivations: per_layer(&layers, |layer| if keep { layer.output_len() } else { 0 }),
            products: per_layer(&layers, Layer::delta_len),
        };
        let slots = 2 * config.replicas;
        // Where each slot has a core of its own, both models of a pair gather the batch, each for itself: that takes less time than
        // passing it from cache to cache.
        let views = match shared {
            true => 1,
            false if slots <= rayon::current_num_threads() => slots,
            false => config.replicas,
        };
        Self {
            records: shard.records(images),
            views: (0..views).map(view).collect(),
            slots: (0..slots).map(activations).collect(),
            shard,
            layers,
        }
    }

    /// The view that a slot reads.
    fn view(&self, slot: usize) -> &View {
        &self.views[slot * self.views.len() / self.slots.len()]
    }

    /// The phases that gather a batch and take it forward in every slot.
    fn forward<A: Arithmetic<Stored = f32>>(&mut self, step: &Step, table: &[f32; 256], phase: &Phase, learners: &[Learner]) {
        let (shard, records, layers) = (&self.shard, &self.records, &self.layers);
        if self.views.len() == self.slots.len() {
            let slots = self.slots.par_iter_mut().zip(&mut self.views).zip(learners);
            slots.for_each(|((activations, view), learner)| {
                gather::gather(shard, step, records, &view.order, table, &mut view.inputs, &mut view.labels);
                activations.forward::<A>(layers, phase, &view.inputs, learner);
            });
            return;
        }
        // Rows in as many parts as keep all cores busy, whatever the number of views.
        let rows = (shard.batch_size as usize).div_ceil(rayon::current_num_threads().div_ceil(self.views.len()));
        self.views.par_iter_mut().for_each(|view| {
            let order = &view.order;
            let parts = view.inputs.par_chunks_mut(rows * 4 * shard.input_quads as usize).zip(view.labels.par_chunks_mut(rows));
            parts.enumerate().for_each(|(part, (inputs, labels))| {
                gather::gather(shard, &step.part(part * rows), records, order, table, inputs, labels);
            });
        });
        let (views, count) = (&self.views, self.slots.len());
        self.slots.par_iter_mut().zip(learners).enumerate().for_each(|(slot, (activations, learner))| {
            activations.forward::<A>(layers, phase, &views[slot * views.len() / count].inputs, learner);
        });
    }

    fn bytes(&self) -> usize {
        let floats = |list: &[Vec<f32>]| list.iter().map(Vec::len).sum::<usize>();
        let views = self.views.iter().map(|view| view.order.len() + view.inputs.len() + view.labels.len());
        let slots = self.slots.iter().map(|slot| floats(&slot.outputs) + floats(&slot.preactivations) + floats(&slot.products));
        4 * (self.records.len() + views.sum::<usize>() + slots.sum::<usize>())
    }
}

impl Learner {
    fn new(layers: &[Layer]) -> Self {
        let weights = || per_layer(layers, Layer::weight_len);
        Self {
            weights: weights(),
            first_moments: weights(),
            second_moments: weights(),
            gradients: per_layer(layers, weight_update::scratch_len),
            deltas: per_layer(layers, Layer::delta_len),
            row_metrics: vec![0.0; layers[0].metrics_len()],
        }
    }

    fn bytes(&self) -> usize {
        let floats = |list: &[Vec<f32>]| list.iter().map(Vec::len).sum::<usize>();
        4 * (3 * floats(&self.weights) + floats(&self.gradients) + floats(&self.deltas) + self.row_metrics.len())
    }

    /// The phase in which a slot learns, by its own activations and those of its partner.
    fn learn<A: Arithmetic<Stored = f32>>(
        &mut self,
        phase: &Phase,
        config: &TrainingConfig,
        step: &Step,
        slot: usize,
        batches: &Batches,
    ) {
        let view = batches.view(slot);
        let (own, partner) = (&batches.slots[slot], &batches.slots[partner(slot)]);
        let masked = config.representation == Representation::Activation;
        for &Dispatch { kernel, layer: index } in phase {
            let (layer, deltas) = (&batches.layers[index], &mut self.deltas[index]);
            match kernel {
                Kernel::CosineGradient => {
                    let (own, partner) = (own.compared(index, masked), partner.compared(index, masked));
                    cosine_gradient::cosine_gradient::<A>(layer, masked, own, partner, deltas, &mut self.row_metrics);
                }
                Kernel::OutputGradient => {
                    let (logits, metrics) = (&own.outputs[index], &mut self.row_metrics);
                    output_gradient::output_gradient::<A>(layer, config.output_loss, logits, &view.labels, deltas, metrics);
                }
                Kernel::WeightUpdate => weight_update::weight_update::<A>(
                    layer,
                    step,
                    if index == 0 { &view.inputs } else { &own.outputs[index - 1] },
                    deltas,
                    &mut self.weights[index],
                    &mut self.first_moments[index],
                    &mut self.second_moments[index],
                    &mut self.gradients[index],
                ),
                _ => {}
            }
        }
    }
}

impl Activations {
    /// Takes one slot's batch through the phase's kernels.
    fn forward<A: Arithmetic<Stored = f32>>(&mut self, layers: &[Layer], phase: &Phase, batch: &[f32], learner: &Learner) {
        for &Dispatch { kernel, layer: index } in phase {
            let layer = &layers[index];
            if kernel == Kernel::BatchMean {
                let kept = !self.preactivations[index].is_empty();
                let rows = if kept { &self.preactivations[index] } else { &self.outputs[index] };
                batch_mean::batch_mean::<A>(layer, rows, &mut self.means[index]);
                continue;
            }
            let (before, from) = self.outputs.split_at_mut(index);
            let outputs = &mut from[0];
            if kernel == Kernel::Softmax {
                softmax::softmax::<A>(layer, outputs);
                continue;
            }
            let inputs = before.last().map_or(batch, |outputs| outputs);
            let products = &mut self.products[index];
            forward::forward::<A>(layer, index + 1 < layers.len(), inputs, &learner.weights[index], outputs, products);
            let kept = self.preactivations[index].chunks_exact_mut(layer.output_stride());
            for (row, products) in kept.zip(products.chunks_exact(layer.weight_stride())) {
                row[..layer.weight_stride()].copy_from_slice(products);
            }
        }
    }

    /// What the hidden layers' loss compares.
    fn compared(&self, index: usize, activation: bool) -> Compared<'_> {
        let rows = if activation { &self.outputs[index] } else { &self.preactivations[index] };
        Compared { rows, means: Some(&self.means[index][..]).filter(|means| !means.is_empty()) }
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
        // Weights, two moments and the gradient; activations, products and deltas of both batches; the replicas' orders; and two
        // copies of the parameters while they are set or read.
        let rows = (config.batch_size + evaluation_batch) as u128;
        let needed = slots * (6 * architecture.parameter_bytes() + 12 * rows * architecture.activations())
            + 4 * config.replicas as u128 * dataset.train.count() as u128;
        memory::require(needed, "training this on the CPU")?;
        let train = Batches::new(config, &architecture, &dataset.train, config.batch_size, false);
        Ok(Self {
            arithmetic: PhantomData,
            device: processor(),
            table: dataset.pixel_table(config.standardize),
            training_plan: training_step(&architecture, Plan::Layered, config.centre),
            evaluation_plan: evaluation_step(&architecture),
            learners: (0..2 * config.replicas).map(|_| Learner::new(&train.layers)).collect(),
            row_counts: vec![0.0; config.replicas * EVALUATION_METRICS * evaluation_batch],
            test: Batches::new(config, &architecture, &dataset.test, evaluation_batch, true),
            train,
            config: config.clone(),
        })
    }

    fn train_step(&mut self, step: &Step) {
        let [_, forward, learn] = &self.training_plan;
        self.train.forward::<A>(step, &self.table, forward, &self.learners);
        let (config, batches) = (&self.config, &self.train);
        self.learners
            .par_iter_mut()
            .enumerate()
            .for_each(|(slot, learner)| learner.learn::<A>(learn, config, step, slot, batches));
    }

    fn evaluation_step(&mut self, step: &Step) {
        let [_, forward, _] = &self.evaluation_plan;
        self.test.forward::<A>(step, &self.table, forward, &self.learners);
        let (test, last) = (&self.test, self.test.layers.len() - 1);
        let layer = &test.layers[last];
        let counts = self.row_counts.par_chunks_mut(EVALUATION_METRICS * layer.batch_size as usize);
        counts.zip(test.slots.par_chunks(2)).for_each(|(counts, pair)| {
            let probabilities = [0, 1].map(|model: usize| &pair[model].outputs[last][..]);
            accuracy::accuracy(layer, step, probabilities, &test.views[0].labels, counts);
        });
    }
}

impl<A: Arithmetic<Stored = f32>> Backend for CpuBackend<A> {
    fn device(&self) -> &DeviceDescription {
        &self.device
    }

    fn memory(&self) -> u64 {
        let learners: usize = self.learners.iter().map(Learner::bytes).sum();
        (self.train.bytes() + self.test.bytes() + learners + 4 * self.row_counts.len()) as u64
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        for (learner, layers) in self.learners.iter_mut().zip(&parameters.slots) {
            for ((weights, layer), values) in learner.weights.iter_mut().zip(&self.train.layers).zip(layers) {
                *weights = layer.pack(values);
            }
        }
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        let slot = |learner: &Learner| {
            self.train.layers.iter().zip(&learner.weights).map(|(layer, weights)| layer.unpack(weights)).collect()
        };
        Ok(Parameters { slots: self.learners.iter().map(slot).collect() })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let (config, count) = (&self.config, self.train.shard.sample_count as usize);
        let views_per_replica = self.train.views.len() / config.replicas;
        self.train.views.par_iter_mut().enumerate().for_each(|(index, view)| {
            let seed = config.seed.wrapping_add((index / views_per_replica) as u64);
            shuffle::shuffle(&Shuffle::new(seed, epoch, count, 1, config.shuffle), &mut view.order);
        });
        self.learners.iter_mut().for_each(|learner| learner.row_metrics.fill(0.0));
        Ok(())
    }

    fn train(&mut self, steps: &[Step], progress: &mut dyn FnMut(usize)) -> Result<()> {
        Job::check_steps(&self.config, self.train.shard.sample_count as usize, steps)?;
        for stretch in steps.chunks(STEPS_PER_REPORT) {
            // Inside the pool a phase is handed from worker to worker without putting threads to sleep.
            rayon::scope(|_| stretch.iter().for_each(|step| self.train_step(step)));
            progress(stretch.len());
        }
        Ok(())
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
        let mut sums: Vec<f32> =
            self.learners.iter().flat_map(|learner| sum(&learner.row_metrics, self.config.batch_size)).collect();
        sums.extend(sum(&self.row_counts, batch_size));
        Ok(EpochMetrics::from_sums(&sums, 2 * self.config.replicas, self.train.layers.len()))
    }
}
