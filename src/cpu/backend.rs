//! The CPU backend: the twins, run in the order of the plan. Slots run on different cores.

use super::{
    Arithmetic, accuracy, cosine_gradient, forward, gather, output_gradient, reduction, shuffle, softmax, weight_update,
};
use crate::config::{Representation, TrainingConfig};
use crate::engine::{Backend, DeviceDescription, EpochMetrics, Job, evaluation_batch_size};
use crate::error::Result;
use crate::layout::{EVALUATION_METRICS, Layer, Reduction, Shard, Shuffle, Step};
use crate::model::Parameters;
use crate::plan::{Dispatch, Kernel, evaluation_step, training_step};
use std::marker::PhantomData;

/// A data set and the scratch for one batch of it.
struct Batches {
    shard: Shard,
    records: Vec<u32>,
    orders: Vec<u32>,
    layers: Vec<Layer>,
    inputs: Vec<f32>,
    labels: Vec<u32>,
    /// `[layer]`, each `[slot, batch, quads(outputs + 1)]`.
    activations: Vec<Vec<f32>>,
    /// Products before the activation, unpadded by the constant 1: scratch of the forward pass, `[layer]`.
    products: Vec<Vec<f32>>,
}

/// Both models of every replica in main memory.
pub struct CpuBackend<A> {
    arithmetic: PhantomData<A>,
    config: TrainingConfig,
    device: DeviceDescription,
    table: [f32; 256],
    train: Batches,
    test: Batches,
    training_plan: Vec<Dispatch>,
    evaluation_plan: Vec<Dispatch>,
    /// `[layer]`: filled only where the loss compares pre-activations.
    preactivations: Vec<Vec<f32>>,
    deltas: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    first_moments: Vec<Vec<f32>>,
    second_moments: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    row_metrics: Vec<f32>,
    row_counts: Vec<f32>,
}

impl<A: Arithmetic<Stored = f32>> CpuBackend<A> {
    /// Allocates everything that a run needs. The configuration must have been checked against the data set.
    pub fn new(job: Job) -> Result<Self> {
        let config = job.config.clone();
        let architecture = config.architecture()?;
        let slots = 2 * config.replicas;
        let batches = |images: &crate::dataset::Images, batch_size, shared: bool| {
            let shard = Shard::new(images, 0, images.count(), batch_size, !shared);
            let layers: Vec<_> =
                (0..architecture.layer_count()).map(|index| Layer::new(&architecture, index, batch_size, shared)).collect();
            let views = if shared { 1 } else { config.replicas };
            Batches {
                records: shard.records(images),
                orders: (0..views).flat_map(|_| 0..images.count() as u32).collect(),
                inputs: vec![0.0; views * layers[0].input_len()],
                labels: vec![0; views * batch_size],
                activations: per_layer(&layers, |layer| slots * layer.output_len()),
                products: per_layer(&layers, |layer| slots * layer.delta_len()),
                shard,
                layers,
            }
        };
        let train = batches(&job.dataset.train, config.batch_size, false);
        let evaluation_batch = evaluation_batch_size(&config, job.dataset.test.count());
        let test = batches(&job.dataset.test, evaluation_batch, true);
        let weights = || per_layer(&train.layers, |layer| slots * layer.weight_len());
        let keep = config.representation == Representation::PreActivation;
        Ok(Self {
            arithmetic: PhantomData,
            device: DeviceDescription {
                name: format!("{} threads", rayon::current_num_threads()),
                backend: "cpu".into(),
                kind: "cpu".into(),
                driver: String::new(),
            },
            table: job.dataset.pixel_table(config.standardize),
            training_plan: training_step(&architecture),
            evaluation_plan: evaluation_step(&architecture),
            preactivations: per_layer(&train.layers, |layer| if keep { slots * layer.output_len() } else { 0 }),
            deltas: per_layer(&train.layers, |layer| slots * layer.delta_len()),
            weights: weights(),
            first_moments: weights(),
            second_moments: weights(),
            gradients: weights(),
            row_metrics: vec![0.0; slots * train.layers[0].metrics_len()],
            row_counts: vec![0.0; config.replicas * EVALUATION_METRICS * evaluation_batch],
            config,
            train,
            test,
        })
    }

    fn run_training(&mut self, dispatch: Dispatch, step: &Step) {
        let Dispatch { kernel, layer: index } = dispatch;
        let layer = self.train.layers[index];
        let batches = &mut self.train;
        let last = index + 1 == self.weights.len();
        let pre = self.config.representation == Representation::PreActivation;
        match kernel {
            Kernel::Gather => batches.gather(step, &self.table),
            Kernel::Forward => {
                let kept = (pre && !last).then_some(&mut self.preactivations[index][..]);
                batches.forward::<A>(index, &self.weights[index], kept);
            }
            Kernel::CosineGradient => {
                let representations = if pre { &self.preactivations[index] } else { &batches.activations[index] };
                let deltas = &mut self.deltas[index];
                cosine_gradient::cosine_gradient::<A>(&layer, !pre, representations, deltas, &mut self.row_metrics);
            }
            Kernel::OutputGradient => output_gradient::output_gradient::<A>(
                &layer,
                self.config.output_loss,
                &batches.activations[index],
                &batches.labels,
                &mut self.deltas[index],
                &mut self.row_metrics,
            ),
            Kernel::WeightUpdate => weight_update::weight_update::<A>(
                &layer,
                step,
                batches.layer_inputs(index),
                &self.deltas[index],
                &mut self.weights[index],
                &mut self.first_moments[index],
                &mut self.second_moments[index],
                &mut self.gradients[index],
            ),
            Kernel::Shuffle | Kernel::Softmax | Kernel::Accuracy | Kernel::Reduction => {}
        }
    }

    fn run_evaluation(&mut self, dispatch: Dispatch, step: &Step) {
        let Dispatch { kernel, layer: index } = dispatch;
        let layer = self.test.layers[index];
        match kernel {
            Kernel::Gather => self.test.gather(step, &self.table),
            Kernel::Forward => self.test.forward::<A>(index, &self.weights[index], None),
            Kernel::Softmax => softmax::softmax::<A>(&layer, &mut self.test.activations[index]),
            Kernel::Accuracy => {
                accuracy::accuracy(&layer, step, &self.test.activations[index], &self.test.labels, &mut self.row_counts);
            }
            _ => {}
        }
    }
}

impl Batches {
    fn gather(&mut self, step: &Step, table: &[f32]) {
        gather::gather(&self.shard, step, &self.records, &self.orders, table, &mut self.inputs, &mut self.labels);
    }

    /// The input activations of layer `index`.
    fn layer_inputs(&self, index: usize) -> &[f32] {
        if index == 0 { &self.inputs } else { &self.activations[index - 1] }
    }

    fn forward<A: Arithmetic<Stored = f32>>(&mut self, index: usize, weights: &[f32], preactivations: Option<&mut [f32]>) {
        let (before, from) = self.activations.split_at_mut(index);
        let inputs = before.last().unwrap_or(&self.inputs);
        let relu = from.len() > 1;
        let (layer, products) = (&self.layers[index], &mut self.products[index]);
        forward::forward::<A>(layer, relu, inputs, weights, &mut from[0], preactivations, products);
    }
}

fn per_layer(layers: &[Layer], length: impl Fn(&Layer) -> usize) -> Vec<Vec<f32>> {
    layers.iter().map(|layer| vec![0.0; length(layer)]).collect()
}

impl<A: Arithmetic<Stored = f32>> Backend for CpuBackend<A> {
    fn device(&self) -> &DeviceDescription {
        &self.device
    }

    fn memory(&self) -> u64 {
        let floats = |list: &[Vec<f32>]| list.iter().map(|values| values.len() as u64).sum::<u64>();
        let batches = |batches: &Batches| {
            let words = batches.records.len() + batches.orders.len() + batches.inputs.len() + batches.labels.len();
            words as u64 + floats(&batches.activations) + floats(&batches.products)
        };
        let models =
            [&self.preactivations, &self.deltas, &self.weights, &self.first_moments, &self.second_moments, &self.gradients];
        let metrics = (self.row_metrics.len() + self.row_counts.len()) as u64;
        4 * (batches(&self.train) + batches(&self.test) + models.into_iter().map(|list| floats(list)).sum::<u64>() + metrics)
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        for (index, layer) in self.train.layers.iter().enumerate() {
            for (slot, target) in self.weights[index].chunks_exact_mut(layer.weight_len()).enumerate() {
                target.copy_from_slice(&layer.pack(&parameters.slots[slot][index]));
            }
        }
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        let slot = |slot: usize| {
            let layers = self.train.layers.iter().zip(&self.weights);
            layers.map(|(layer, weights)| layer.unpack(&weights[slot * layer.weight_len()..][..layer.weight_len()])).collect()
        };
        Ok(Parameters { slots: (0..2 * self.config.replicas).map(slot).collect() })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<()> {
        let (count, replicas) = (self.train.shard.sample_count as usize, self.config.replicas);
        shuffle::shuffle(&Shuffle::new(self.config.seed, epoch, count, replicas, self.config.shuffle), &mut self.train.orders);
        self.row_metrics.fill(0.0);
        Ok(())
    }

    fn train(&mut self, steps: &[Step], progress: &mut dyn FnMut(usize)) -> Result<()> {
        let plan = std::mem::take(&mut self.training_plan);
        for step in steps {
            for &dispatch in &plan {
                self.run_training(dispatch, step);
            }
            progress(1);
        }
        self.training_plan = plan;
        Ok(())
    }

    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        self.row_counts.fill(0.0);
        let plan = std::mem::take(&mut self.evaluation_plan);
        let (count, batch_size) = (self.test.shard.sample_count as usize, self.test.shard.batch_size as usize);
        for first in (0..count).step_by(batch_size) {
            let step = Step { first_row: first as u32, row_count: batch_size.min(count - first) as u32, ..Step::default() };
            for &dispatch in &plan {
                self.run_evaluation(dispatch, &step);
            }
        }
        self.evaluation_plan = plan;
        let sum = |values: &[f32], length: usize| {
            let mut sums = vec![0.0; values.len() / length];
            let shape = Reduction { sum_count: sums.len() as u32, length: length as u32, ..Reduction::default() };
            reduction::reduction(&shape, values, &mut sums);
            sums
        };
        let mut sums = sum(&self.row_metrics, self.config.batch_size);
        sums.extend(sum(&self.row_counts, batch_size));
        Ok(EpochMetrics::from_sums(&sums, 2 * self.config.replicas, self.weights.len()))
    }
}
