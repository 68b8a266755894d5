//! Check of `shaders/fused_forward.wgsl`: layer by layer against the twins of the kernels that it stands for.
//!
//! Each layer's twin gets what the device computed for the layer before, so that every number is held to the error of one layer,
//! and an error in one layer shows there.

use super::bounded::{Bounded, Bounding};
use super::rerun::run;
use super::{REPLICAS, Row, activations, bytes, bytes_mut, exact, generator, poison, rows};
use crate::config::{OutputLoss, Representation};
use crate::cpu;
use crate::cpu::cosine_gradient::Compared;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::kernels::{Variant, fused_groups};
use crate::gpu::run_once::Argument;
use crate::gpu::tiles::{FusedTile, Tiles};
use crate::layout::{Layer, Views, partner};
use crate::model::Architecture;
use crate::random::Generator;

/// Networks with every kind of tail, of depths 1 to 5, up to the widest that the plan takes.
const WIDTHS: [&[usize]; 4] = [&[784, 64, 64, 10], &[5, 3], &[63, 65, 3, 128, 10], &[16, 33, 1, 64, 4, 7]];
const BATCHES: [usize; 3] = [1, 37, 64];
const SLOTS: usize = 2 * REPLICAS;

pub(super) fn check(context: &Context, tiles: &Tiles, row: &mut Row) -> Result<()> {
    for widths in WIDTHS {
        let architecture = Architecture::new(widths.to_vec())?;
        for batch_size in BATCHES {
            for (representation, loss) in [
                (Representation::Activation, OutputLoss::BinaryCrossEntropy),
                (Representation::PreActivation, OutputLoss::CrossEntropy),
            ] {
                let mut case = Case::new(&architecture, batch_size, representation, loss, row.cases)?;
                for tile in tiles.fused_tiles() {
                    if tile.workgroup_bytes(&case.layers) <= context.limits.max_compute_workgroup_storage_size {
                        case.run(context, row, tile)?;
                        case.compare(row, &format!("{widths:?} batch {batch_size} {representation:?} {tile:?}"));
                    }
                }
            }
        }
    }
    Ok(())
}

struct Case {
    layers: Vec<Layer>,
    representation: Representation,
    loss: OutputLoss,
    weights: Vec<f32>,
    labels: Vec<u32>,
    inputs: Vec<f32>,
    metrics: Vec<f32>,
    /// What the device left.
    activations: Vec<f32>,
    preactivations: Vec<f32>,
    deltas: Vec<f32>,
    row_metrics: Vec<f32>,
    joined: Joined,
}

impl Case {
    fn new(
        architecture: &Architecture,
        batch_size: usize,
        representation: Representation,
        loss: OutputLoss,
        number: usize,
    ) -> Result<Self> {
        let mut generator: Generator = generator(number);
        let mut layers = Layer::all(architecture, batch_size, Views::Replica);
        let joined = Joined::place(&mut layers, SLOTS);
        let mut weights = Vec::new();
        for layer in &layers {
            // Scaled so that activations keep their size from layer to layer, as a trained network's do.
            let scale = 1.0 / (layer.input_width as f32).sqrt();
            for _ in 0..SLOTS {
                let mut slot = vec![0.0; layer.weight_len()];
                for row in slot.chunks_exact_mut(layer.weight_stride()).take(layer.input_width as usize + 1) {
                    row[..layer.output_width as usize].fill_with(|| scale * generator.normal());
                }
                weights.extend(slot);
            }
        }
        let (first, classes) = (&layers[0], architecture.classes());
        let inputs = activations(&mut generator, REPLICAS * batch_size, first.input_width as usize, first.input_stride(), false);
        Ok(Self {
            labels: (0..REPLICAS * batch_size).map(|row| (row * 7 % classes) as u32).collect(),
            metrics: rows(&mut generator, 1, SLOTS * first.metrics_len(), SLOTS * first.metrics_len()),
            activations: Vec::new(),
            preactivations: Vec::new(),
            deltas: Vec::new(),
            row_metrics: Vec::new(),
            representation,
            loss,
            weights,
            inputs,
            layers,
            joined,
        })
    }

    fn keeps(&self) -> bool {
        self.representation == Representation::PreActivation
    }

    fn run(&mut self, context: &Context, row: &mut Row, tile: FusedTile) -> Result<()> {
        self.activations = poison(self.joined.activations);
        self.activations[..self.inputs.len()].copy_from_slice(&self.inputs);
        self.preactivations = poison(if self.keeps() { self.joined.activations } else { 4 });
        self.deltas = poison(self.joined.deltas);
        self.row_metrics = self.metrics.clone();
        let groups = fused_groups(self.layers[0].batch_size, tile, REPLICAS);
        let variant = Variant::fused_forward(tile, &self.layers, self.representation, self.loss);
        let mut arguments = [
            Argument::Uniform(bytes(&self.layers)),
            Argument::Read(bytes(&self.weights)),
            Argument::Read(bytes(&self.labels)),
            Argument::Write(bytes_mut(&mut self.activations)),
            Argument::Write(bytes_mut(&mut self.preactivations)),
            Argument::Write(bytes_mut(&mut self.deltas)),
            Argument::Write(bytes_mut(&mut self.row_metrics)),
        ];
        run(context, row, &variant, &mut arguments, groups)
    }

    fn compare(&self, row: &mut Row, name: &str) {
        row.cases += 1;
        let metrics_len = self.layers[0].metrics_len();
        for slot in 0..SLOTS {
            let mut expected_metrics = exact(&self.metrics[slot * metrics_len..][..metrics_len]);
            for layer in &self.layers {
                self.compare_layer(row, &format!("{name} slot {slot} layer {}", layer.index), layer, slot, &mut expected_metrics);
            }
            row.compare_all(
                &format!("{name} slot {slot} row metrics"),
                &self.row_metrics[slot * metrics_len..][..metrics_len],
                &expected_metrics,
            );
        }
    }

    fn compare_layer(&self, row: &mut Row, name: &str, layer: &Layer, slot: usize, metrics: &mut [Bounded]) {
        let hidden = layer.index + 1 < layer.layer_count;
        let inputs =
            &self.activations[4 * layer.input_offset as usize + layer.view(slot) * layer.input_len()..][..layer.input_len()];
        let weights = &self.weights[4 * layer.weight_offset as usize + slot * layer.weight_len()..][..layer.weight_len()];
        let outputs = |slot: usize| self.outputs(&self.activations, layer, slot);
        let mut expected = exact(&poison(layer.output_len()));
        let mut products = exact(&poison(layer.delta_len()));
        cpu::forward::forward::<Bounding>(layer, inputs, weights, &mut expected, &mut products);
        row.compare_all(&format!("{name}: outputs"), outputs(slot), &expected);
        if self.keeps() {
            let width = layer.output_width as usize;
            let kept = self.outputs(&self.preactivations, layer, slot).chunks_exact(layer.output_stride());
            for (actual, expected) in kept.zip(products.chunks_exact(layer.weight_stride())) {
                row.compare_all(&format!("{name}: pre-activations"), &actual[..width], &expected[..width]);
            }
        }

        let mut expected = exact(&poison(layer.delta_len()));
        if hidden {
            let compared = if self.keeps() { &self.preactivations } else { &self.activations };
            let [own, other] =
                [slot, partner(slot)].map(|slot| Compared { rows: self.outputs(compared, layer, slot), means: None });
            cpu::cosine_gradient::cosine_gradient::<Bounding>(layer, !self.keeps(), own, other, &mut expected, metrics);
        } else {
            let batch_size = layer.batch_size as usize;
            let labels = &self.labels[slot / 2 * batch_size..][..batch_size];
            cpu::output_gradient::output_gradient::<Bounding>(
                layer,
                self.loss,
                true,
                outputs(slot),
                None,
                labels,
                &mut expected,
                metrics,
            );
        }
        let deltas = &self.deltas[4 * layer.delta_offset as usize + slot * layer.delta_len()..][..layer.delta_len()];
        row.compare_all(&format!("{name}: deltas"), deltas, &expected);
    }

    /// A slot's part of a layer's outputs in a buffer of activations.
    fn outputs<'a>(&self, buffer: &'a [f32], layer: &Layer, slot: usize) -> &'a [f32] {
        &buffer[4 * layer.output_offset as usize + slot * layer.output_len()..][..layer.output_len()]
    }
}

/// The lengths, in f32, of buffers that all layers of a run share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Joined {
    /// Of weights, and of each moment.
    weights: usize,
    /// Of the input and all activations.
    activations: usize,
    /// Of all deltas.
    deltas: usize,
}

impl Joined {
    /// Sets the offsets of `layers` for buffers that hold all `slots` of each layer, one layer behind the other.
    fn place(layers: &mut [Layer], slots: usize) -> Self {
        let (mut weights, mut deltas) = (0, 0);
        let mut activations = layers.first().map_or(0, |first| (first.view(slots - 1) + 1) * first.input_len());
        let mut input_offset = 0;
        for layer in layers {
            layer.weight_offset = (weights / 4) as u32;
            layer.input_offset = input_offset;
            layer.output_offset = (activations / 4) as u32;
            layer.delta_offset = (deltas / 4) as u32;
            input_offset = layer.output_offset;
            weights += slots * layer.weight_len();
            activations += slots * layer.output_len();
            deltas += slots * layer.delta_len();
        }
        Self { weights, activations, deltas }
    }
}
