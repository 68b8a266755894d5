//! Whole training steps: a device against the CPU twins, from the same weights on the same batches.
//!
//! Adam divides by the root of the second moment, so where a gradient is near zero rounding decides the direction of a whole
//! step: single weights may differ by a learning rate, and no bound element by element says anything. What is compared is each
//! tensor's movement since the start, in the Euclidean norm, against the f64 twin. How far rounding alone moves it is measured
//! in the same run: it is the distance between the f32 twin and the f64 twin. WGSL's division, root and exponential may be off
//! by up to 2.5, 4.5 and 3 + 2|x| units in the last place where the twin's are off by half a unit, so a right device may be
//! [`FACTOR`] times as far away.

use super::Row;
use crate::arithmetic::{Double, Single};
use crate::config::TrainingConfig;
use crate::cpu::backend::CpuBackend;
use crate::dataset::digits;
use crate::engine::{Backend, Job, Open, Quantity};
use crate::error::Result;
use crate::layout::Step;
use crate::model::{LayerParameters, Parameters};
use crate::waiting::wait;
use std::collections::BTreeSet;
use std::ops::ControlFlow::Continue;

/// Units in the last place that a device's coarsest operation here (exp near −2, root with division) is worth, in units of the
/// twin's half unit: (3 + 2·2 + 1) / 0.5.
pub const FACTOR: f64 = 16.0;

/// A movement's distance below which f32 storage itself is the noise: each weight is rounded to 2⁻²⁴ of itself at each step.
pub(super) const STORAGE: f64 = 1.0 / 16_777_216.0;

/// Compares training after 1, 10 and `longest` steps. `make` builds the backend under test.
pub fn check(config: &TrainingConfig, longest: usize, make: &Open) -> Result<Vec<Row>> {
    wait(check_async(config, longest, async |job: Job<'_>| make(job)))
}

/// [`check`], async, for callers that must not block.
pub async fn check_async(
    config: &TrainingConfig,
    longest: usize,
    make: impl AsyncFn(Job<'_>) -> Result<Box<dyn Backend>>,
) -> Result<Vec<Row>> {
    let images = (longest.min(20) * config.batch_size).max(200);
    let mut dataset = digits::generate_with_counts(digits::SEED, images, 100);
    dataset.unlabel(config.few.labelled)?;
    let job = Job { config, dataset: &dataset };
    let start = config.initial_parameters()?;
    let mut device = make(job).await?;
    let mut single = CpuBackend::<Single>::new(job)?;
    let mut double = CpuBackend::<Double>::new(job)?;
    let mut backends: [&mut dyn Backend; 3] = [device.as_mut(), &mut single, &mut double];
    for backend in &mut backends {
        backend.set_parameters(&start)?;
    }
    let per_epoch = config.steps_per_epoch(images);
    let (mut rows, mut done) = (Vec::new(), 0);
    let targets = BTreeSet::from([1, 10, longest]);
    for target in targets.into_iter().filter(|&target| target <= longest) {
        let mut losses = Vec::new();
        for backend in &mut backends {
            // Every stretch begins an epoch, so that the losses compared are those of the stretch.
            backend.begin_epoch(target as u32)?;
            let steps: Vec<Step> = (done..target)
                .map(|step| {
                    let first_row = (step - done) % per_epoch * config.batch_size;
                    Step::new(first_row, config.batch_size, &config.adam, step as u64 + 1).in_epoch(target as u32)
                })
                .collect();
            backend.train_async(&steps, &mut |_| Continue(())).await?;
            losses.push(backend.end_epoch_async().await?);
        }
        let mut row = Row::new(&format!("parameters after {target} step{}", if target == 1 { "" } else { "s" }));
        let mut parameters = Vec::new();
        for backend in &mut backends {
            parameters.push(backend.read_async(Quantity::Weights).await?);
        }
        compare_parameters(&mut row, &start, &parameters, target);
        rows.push(row);
        let mut row = Row::new(&format!("losses of steps {} to {target}", done + 1));
        for slot in 0..2 * config.replicas {
            for layer in 0..config.architecture.layer_count() {
                let [device, single, double] = [0, 1, 2].map(|backend: usize| f64::from(losses[backend].training[slot][layer]));
                // Each row's sum over the steps is rounded once a step, in f32 on every backend.
                let storage = (target - done + config.batch_size) as f64 * STORAGE * double;
                // A cross-entropy is a logarithm, which near 1 may be off by 2⁻²¹ whatever its size, for each row.
                let images = ((target - done) * config.batch_size) as f64;
                let entropy = layer + 1 == config.architecture.layer_count() || config.hidden_loss.has_label_losses();
                let logarithm = if entropy { images * 2f64.powi(-21) } else { 0.0 };
                let tolerance = FACTOR * (single - double).abs() + storage + logarithm;
                row.compare((device - double).abs(), tolerance, || format!("slot {slot} layer {layer}: {device} for {double}"));
            }
        }
        row.cases = 1;
        rows.push(row);
        done = target;
    }
    Ok(rows)
}

fn compare_parameters(row: &mut Row, start: &Parameters, parameters: &[Parameters], steps: usize) {
    row.cases = 1;
    compare_layers(row, start, parameters, steps, |parameters| &parameters.slots, Parameters::tensor_name);
    compare_layers(row, start, parameters, steps, |parameters| &parameters.projections, Parameters::projection_name);
}

/// Compares the layers, `[slot][layer]`, that `part` takes from the parameters and `name` names.
fn compare_layers(
    row: &mut Row,
    start: &Parameters,
    parameters: &[Parameters],
    steps: usize,
    part: impl Fn(&Parameters) -> &Vec<Vec<LayerParameters>>,
    name: impl Fn(usize, usize) -> String,
) {
    let distance =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt();
    let (slots, layers) = (part(start).len(), part(start)[0].len());
    for (layer, kind) in (0..layers).flat_map(|layer| ["weight", "bias"].map(|kind| (layer, kind))) {
        let tensor = |parameters: &'_ Parameters, slot: usize| -> Vec<f32> {
            let layer = &part(parameters)[slot][layer];
            if kind == "weight" { layer.weight.clone() } else { layer.bias.clone() }
        };
        let of = |backend: usize, slot: usize| tensor(&parameters[backend], slot);
        // The same layer of all slots is one experiment done several times. Often a single weight near a zero gradient makes up the
        // whole distance, and the twin may be lucky with it in one slot: its worst slot says what rounding can do.
        let rounding = (0..slots).map(|slot| distance(&of(1, slot), &of(2, slot))).fold(0.0, f64::max);
        for slot in 0..slots {
            let (before, double) = (tensor(start, slot), of(2, slot));
            let norm = distance(&before, &vec![0.0; before.len()]);
            let tolerance = FACTOR * rounding + steps as f64 * STORAGE * norm;
            let error = distance(&of(0, slot), &double);
            let movement = distance(&before, &double);
            row.compare(error, tolerance, || {
                format!("{}.{kind}: {error:.2e} of a movement of {movement:.2e}", name(slot, layer))
            });
        }
    }
}
