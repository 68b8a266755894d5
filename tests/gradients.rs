//! Whole local gradients, as the references hand them to Adam, against finite differences of an independent f64 loss.

use ffcl_gpu::arithmetic::Double;
use ffcl_gpu::config::{Adam, OutputLoss};
use ffcl_gpu::kernels::cosine_gradient::{Compared, cosine_gradient};
use ffcl_gpu::kernels::forward::forward;
use ffcl_gpu::kernels::input_gradient::input_gradient;
use ffcl_gpu::kernels::output_gradient::output_gradient;
use ffcl_gpu::kernels::weight_update::{Learned, weight_update};
use ffcl_gpu::layout::{Linear, Step, Trained, Views};
use ffcl_gpu::model::{LayerParameters, Map};
use ffcl_gpu::random::{Generator, Stream};

const BATCH: usize = 3;

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

/// Of weights and biases, through mask, loss and batch mean. From moments of zero, Adam's first moment after a step is a tenth of the
/// gradient.
#[test]
fn local_gradients_match_finite_differences() {
    let (inputs, outputs) = (5, 4);
    let mut generator = Generator::new(11, Stream::Check, 0);
    let mut numbers = |count: usize| (0..count).map(|_| generator.normal()).collect::<Vec<f32>>();
    let parameters = LayerParameters::dense(numbers(inputs * outputs), numbers(outputs));
    let (rows, partner) = (numbers(BATCH * inputs), numbers(BATCH * outputs));
    let labels = [1u32, 3, 0];
    let padded = |values: &[f32], width: usize, stride: usize| {
        let row = |row: &[f32]| {
            let mut padded = row.to_vec();
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
        let layer = Linear { rectified: u32::from(hidden), ..Linear::new(inputs, outputs, BATCH) };
        let mut weights = layer.pack(Map::vector(inputs), &parameters);
        let padded_rows = padded(&rows, inputs, layer.input_stride());
        let (mut own, mut deltas) = (vec![0.0; layer.output_len()], vec![f32::NAN; layer.output_len()]);
        forward::<Double>(&layer, &padded_rows, &weights, &mut own);
        let shape = layer.output_rows().loss(Views::Replica, 0, 2);
        let mut metrics = vec![0.0; shape.metrics_len()];
        if hidden {
            let partner = padded(&partner, outputs, layer.output_stride());
            let [own, partner] = [&own, &partner].map(|rows| Compared { rows, means: None });
            cosine_gradient::<Double>(&shape, own, partner, &mut deltas, &mut metrics);
        } else {
            let kind = OutputLoss::BinaryCrossEntropy;
            output_gradient::<Double>(&shape, kind, BATCH as u32, &own, &labels, None, &mut deltas, &mut metrics);
        }
        let [mut first, mut second, mut scratch] = [(); 3].map(|()| vec![0.0; layer.weight_len()]);
        let learned = Learned { weights: &mut weights, first_moments: &mut first, second_moments: &mut second };
        let step = Step::new(0, BATCH, &Adam::default(), 1);
        weight_update::<Double>(&layer, Trained::ALL, &step, &padded_rows, &deltas, learned, &mut scratch);
        let moments = layer.unpack(Map::vector(layer.input_width as usize), &first);

        let mut values: Vec<f64> = parameters.weight.iter().chain(&parameters.bias).map(|&value| value.into()).collect();
        let loss = |values: &[f64]| {
            let (weight, bias) = values.split_at(inputs * outputs);
            let products = products(&wide_rows, weight, bias);
            if hidden { cosine_loss(&products, &wide_partner) } else { binary_cross_entropy(&products, &labels) }
        };
        // Truncation and rounding of the difference, about 1e-9 each; outputs and deltas stored as f32, each 2⁻²⁴ of numbers of order
        // 1, over three rows.
        check_moments(moments.weight.iter().chain(&moments.bias), &mut values, loss, 1e-6);
    }
}

/// Of a hidden layer and of its head, by the head's cross-entropy.
#[test]
fn gradients_of_a_head_match_finite_differences() {
    let (inputs, outputs, classes) = (4, 8, 4);
    let mut generator = Generator::new(12, Stream::Check, 0);
    let mut numbers = |count: usize| (0..count).map(|_| generator.normal()).collect::<Vec<f32>>();
    // Widths of whole quads need no padding.
    let hidden = LayerParameters::dense(numbers(inputs * outputs), numbers(outputs));
    let head = LayerParameters::dense(numbers(outputs * classes), vec![0.0; classes]);
    let (rows, labels) = (numbers(BATCH * inputs), [1u32, 3, 0]);
    let layer = Linear { rectified: 1, ..Linear::new(inputs, outputs, BATCH) };
    let branch = Linear::new(outputs, classes, BATCH);
    let (mut weights, mut branch_weights) = (layer.pack(Map::vector(inputs), &hidden), branch.pack(Map::vector(outputs), &head));
    let [mut activations, mut deltas] = [(); 2].map(|()| vec![f32::NAN; layer.output_len()]);
    let [mut logits, mut errors] = [(); 2].map(|()| vec![f32::NAN; branch.output_len()]);
    forward::<Double>(&layer, &rows, &weights, &mut activations);
    forward::<Double>(&branch, &activations, &branch_weights, &mut logits);
    let shape = branch.output_rows().loss(Views::Replica, 0, 2);
    let mut metrics = vec![0.0; shape.metrics_len()];
    output_gradient::<Double>(&shape, OutputLoss::CrossEntropy, 0, &logits, &labels, None, &mut errors, &mut metrics);
    // Only the network's own answers are counted.
    assert!(metrics[..BATCH].iter().all(|&loss| loss > 0.0) && metrics[BATCH..] == [0.0; BATCH]);
    input_gradient::<Double>(&branch, Some(&activations), &errors, &branch_weights, &mut deltas);
    let moments = |layer: &Linear, trained: Trained, rows: &[f32], deltas: &[f32], weights: &mut [f32]| {
        let [mut first, mut second, mut scratch] = [(); 3].map(|()| vec![0.0; layer.weight_len()]);
        let learned = Learned { weights, first_moments: &mut first, second_moments: &mut second };
        weight_update::<Double>(layer, trained, &Step::new(0, BATCH, &Adam::default(), 1), rows, deltas, learned, &mut scratch);
        layer.unpack(Map::vector(layer.input_width as usize), &first)
    };
    let of_hidden = moments(&layer, Trained::ALL, &rows, &deltas, &mut weights);
    let of_head = moments(&branch, Trained { bias: 0, ..Trained::ALL }, &activations, &errors, &mut branch_weights);

    let rows: Vec<Vec<f64>> = rows.chunks(inputs).map(|row| row.iter().map(|&value| value.into()).collect()).collect();
    let loss = |values: &[f64]| {
        let (weight, rest) = values.split_at(inputs * outputs);
        let (bias, head) = rest.split_at(outputs);
        let rectified: Vec<Vec<f64>> =
            products(&rows, weight, bias).into_iter().map(|row| row.into_iter().map(|z| z.max(0.0)).collect()).collect();
        let cross_entropy = |(z, &label): (&Vec<f64>, &u32)| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label as usize];
        products(&rectified, head, &[0.0; 4]).iter().zip(&labels).map(cross_entropy).sum::<f64>() / BATCH as f64
    };
    let parameters = hidden.weight.iter().chain(&hidden.bias).chain(&head.weight);
    let mut values: Vec<f64> = parameters.map(|&value| value.into()).collect();
    // As above, with one more product: sums over four classes of numbers of order 1, each stored as f32.
    check_moments(of_hidden.weight.iter().chain(&of_hidden.bias).chain(&of_head.weight), &mut values, loss, 2e-6);
}

/// Compares first moments after one step, a tenth of the gradient, with central differences of the loss at `values`.
fn check_moments<'a>(moments: impl Iterator<Item = &'a f32>, values: &mut [f64], loss: impl Fn(&[f64]) -> f64, tolerance: f64) {
    for (index, &moment) in moments.enumerate() {
        let (width, centre) = (1e-5, values[index]);
        values[index] = centre + width;
        let above = loss(values);
        values[index] = centre - width;
        let below = loss(values);
        values[index] = centre;
        let (actual, expected) = (10.0 * f64::from(moment), (above - below) / (2.0 * width));
        assert!((actual - expected).abs() < tolerance, "parameter {index}: {actual} for {expected}");
    }
}
