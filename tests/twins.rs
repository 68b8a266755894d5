//! The CPU twins against closed forms, and whole local gradients against finite differences of an independent f64 loss.

use ffcl_gpu::config::{Adam, OutputLoss};
use ffcl_gpu::cpu::cosine_gradient::Compared;
use ffcl_gpu::cpu::{Double, Single, accuracy, cosine_gradient, forward, gather, output_gradient, reduction, weight_update};
use ffcl_gpu::dataset::{ImageShape, Images};
use ffcl_gpu::layout::{Layer, Reduction, Shard, Step, Views};
use ffcl_gpu::model::{Architecture, LayerParameters};
use ffcl_gpu::random::{Generator, Stream};

const BATCH: usize = 3;

fn layer(inputs: usize, outputs: usize) -> Layer {
    Layer::new(&Architecture::new(vec![inputs, outputs]).unwrap(), 0, BATCH, Views::Replica)
}

#[test]
fn forward_adds_the_bias_and_rectifies() {
    let layer = layer(2, 3);
    let parameters = LayerParameters { weight: vec![1.0, 2.0, -1.0, 0.5, 3.0, -4.0], bias: vec![0.25, -1.0, 0.0] };
    // Two inputs, the constant 1, one zero.
    let inputs = [1.0, 1.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let mut outputs = vec![f32::NAN; layer.output_len()];
    let mut products = vec![f32::NAN; layer.delta_len()];
    forward::forward::<Single>(&Layer { rectified: 1, ..layer }, &inputs, &layer.pack(&parameters), &mut outputs, &mut products);
    assert_eq!(outputs, [3.25, 0.0, 0.0, 1.0, 2.25, 0.0, 6.0, 1.0, 0.25, 0.0, 0.0, 1.0]);
    assert_eq!(products, [3.25, -1.5, -1.0, 0.0, 2.25, -3.0, 6.0, 0.0, 0.25, -1.0, 0.0, 0.0]);
}

#[test]
fn gather_follows_the_order_and_repeats_the_last_row() {
    let images =
        Images { pixels: vec![0, 51, 102, 153, 204, 255, 1, 2, 3], labels: vec![4, 5, 6], shape: ImageShape::gray(1, 3) };
    let shard = Shard::new(&images, 0, 3, BATCH, Views::Replica);
    let table = std::array::from_fn(|pixel| pixel as f32);
    let (mut inputs, mut labels) = (vec![f32::NAN; BATCH * 4], vec![99; BATCH]);
    let step = Step::evaluation(1, 2);
    gather::gather(&shard, &step, 0, &shard.records(&images), &[2, 0, 1], &table, &mut inputs, &mut labels);
    assert_eq!(inputs, [0.0, 51.0, 102.0, 1.0, 153.0, 204.0, 255.0, 1.0, 153.0, 204.0, 255.0, 1.0]);
    assert_eq!(labels, [4, 5, 5]);
}

#[test]
fn accuracy_counts_each_model_and_their_mean() {
    let layer = layer(1, 3);
    // Row 0: A right, B wrong, together right. Row 1: a tie, which the first class wins. Row 2 lies past the end.
    let a = [0.1, 0.9, 0.0, 1.0, 0.4, 0.4, 0.2, 1.0, 1.0, 0.0, 0.0, 1.0];
    let b = [0.5, 0.4, 0.1, 1.0, 0.2, 0.3, 0.5, 1.0, 1.0, 0.0, 0.0, 1.0];
    let mut counts = vec![10.0; 3 * BATCH];
    accuracy::accuracy(&layer, &Step::evaluation(0, 2), [&a, &b], &[1, 0, 0], &mut counts);
    assert_eq!(counts, [11.0, 11.0, 10.0, 10.0, 10.0, 10.0, 11.0, 10.0, 10.0]);
}

#[test]
fn reduction_sums_rows_behind_what_stands_there() {
    let mut sums = vec![7.0, f32::NAN, f32::NAN];
    let shape = Reduction { length: 2, first_sum: 1, ..Reduction::default() };
    reduction::reduction(&shape, &[1.0, 2.0, 3.0, 4.0], &mut sums);
    assert_eq!(sums, [7.0, 3.0, 7.0]);
}

/// A layer's products for a batch, from the unpadded parameters, in f64.
fn products(inputs: &[Vec<f64>], weight: &[f64], bias: &[f64]) -> Vec<Vec<f64>> {
    let product = |row: &Vec<f64>| {
        let output = |(k, bias): (usize, &f64)| row.iter().zip(&weight[k * row.len()..]).map(|(x, w)| x * w).sum::<f64>() + bias;
        bias.iter().enumerate().map(output).collect()
    };
    inputs.iter().map(product).collect()
}

fn cosine_loss(products: &[Vec<f64>], partner: &[Vec<f64>]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let loss = |(z, v): (&Vec<f64>, &Vec<f64>)| {
        let u: Vec<f64> = z.iter().map(|z| z.max(0.0)).collect();
        1.0 - dot(&u, v) / ((dot(&u, &u) + 1e-12) * (dot(v, v) + 1e-12)).sqrt()
    };
    products.iter().zip(partner).map(loss).sum::<f64>() / products.len() as f64
}

fn binary_cross_entropy(products: &[Vec<f64>], labels: &[u32]) -> f64 {
    let loss = |(z, &label): (&Vec<f64>, &u32)| {
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let term = |(k, z): (usize, &f64)| if k == label as usize { (z.exp() / sum).ln() } else { (1.0 - z.exp() / sum).ln() };
        -z.iter().enumerate().map(term).sum::<f64>() / z.len() as f64
    };
    products.iter().zip(labels).map(loss).sum::<f64>() / products.len() as f64
}

/// The gradient that the twins hand to Adam, of weights and biases, through mask, loss and batch mean.
#[test]
fn local_gradients_match_finite_differences() {
    let (inputs, outputs) = (5, 4);
    let layer = layer(inputs, outputs);
    let mut generator = Generator::new(11, Stream::Check, 0);
    let mut numbers = |count: usize| (0..count).map(|_| generator.normal()).collect::<Vec<f32>>();
    let parameters = LayerParameters { weight: numbers(inputs * outputs), bias: numbers(outputs) };
    let (rows, partner) = (numbers(BATCH * inputs), numbers(BATCH * outputs));
    let labels = [1u32, 3, 0];
    let padded = |values: &[f32], width: usize, stride: usize| {
        let row = |row: &[f32]| {
            let mut padded = row.to_vec();
            padded.push(1.0);
            padded.resize(stride, 0.0);
            padded
        };
        values.chunks_exact(width).flat_map(row).collect::<Vec<f32>>()
    };
    let wide = |values: &[f32], width: usize| -> Vec<Vec<f64>> {
        values.chunks_exact(width).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect()
    };
    let (wide_rows, wide_partner) = (wide(&rows, inputs), wide(&partner, outputs));

    for hidden in [true, false] {
        let weights = layer.pack(&parameters);
        let inputs_padded = padded(&rows, inputs, layer.input_stride());
        let (mut own, mut scratch) = (vec![0.0; layer.output_len()], vec![0.0; layer.delta_len()]);
        forward::forward::<Double>(
            &Layer { rectified: u32::from(hidden), ..layer },
            &inputs_padded,
            &weights,
            &mut own,
            &mut scratch,
        );
        let (mut deltas, mut metrics) = (vec![f32::NAN; layer.delta_len()], vec![0.0; layer.metrics_len()]);
        if hidden {
            let partner = padded(&partner, outputs, layer.output_stride());
            let [own, partner] = [&own, &partner].map(|rows| Compared { rows, means: None });
            cosine_gradient::cosine_gradient::<Double>(&layer, true, own, partner, &mut deltas, &mut metrics);
        } else {
            let kind = OutputLoss::BinaryCrossEntropy;
            output_gradient::output_gradient::<Double>(&layer, kind, true, &own, None, &labels, &mut deltas, &mut metrics);
        }
        let [mut moved, mut first, mut second, mut gradients] = [(); 4].map(|()| weights.clone());
        let step = Step::new(0, BATCH, &Adam::default(), 1);
        let moments = (&mut first[..], &mut second[..]);
        weight_update::weight_update::<Double>(
            &layer,
            &step,
            &inputs_padded,
            &deltas,
            &mut moved,
            moments.0,
            moments.1,
            &mut gradients,
        );
        let gradient = layer.unpack(&gradients);

        let mut values: Vec<f64> = parameters.weight.iter().chain(&parameters.bias).map(|&value| value.into()).collect();
        let loss = |values: &[f64]| {
            let (weight, bias) = values.split_at(inputs * outputs);
            let products = products(&wide_rows, weight, bias);
            if hidden { cosine_loss(&products, &wide_partner) } else { binary_cross_entropy(&products, &labels) }
        };
        for (index, &actual) in gradient.weight.iter().chain(&gradient.bias).enumerate() {
            let (width, centre) = (1e-5, values[index]);
            values[index] = centre + width;
            let above = loss(&values);
            values[index] = centre - width;
            let below = loss(&values);
            values[index] = centre;
            let expected = (above - below) / (2.0 * width);
            // Truncation and rounding of the difference, about 1e-9 each; outputs and deltas stored as f32, each 2⁻²⁴ of numbers
            // of order 1, over three rows.
            assert!((f64::from(actual) - expected).abs() < 1e-6, "hidden {hidden}, parameter {index}: {actual} for {expected}");
        }
    }
}
