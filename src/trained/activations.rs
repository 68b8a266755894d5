//! What each layer makes of an image: to be looked at.

use super::TrainedModel;
use crate::layout::SQUARE_FLOOR;
use crate::model::{LayerParameters, LayerSpec};

impl TrainedModel {
    /// What leaves each layer where `image`, a byte for each pixel, enters a model of images: `[slot][layer][unit]`. The last one's are the logits.
    pub fn activations(&self, image: &[u8]) -> Vec<Vec<Vec<f32>>> {
        let (mean, deviation) = (self.description.mean, self.description.deviation);
        let input: Vec<f32> = image.iter().map(|&pixel| ((f64::from(pixel) / 255.0 - mean) / deviation) as f32).collect();
        let of_slot = |layers: &Vec<LayerParameters>| {
            let (mut outputs, mut entering) = (Vec::with_capacity(layers.len()), input.clone());
            for (layer, parameters) in self.description.architecture.layers().zip(layers) {
                let sums = match layer.spec {
                    LayerSpec::Linear { .. } => dense(parameters, &entering),
                };
                let is_last = outputs.len() + 1 == layers.len();
                let output: Vec<f32> = if is_last { sums } else { sums.into_iter().map(|sum| sum.max(0.0)).collect() };
                entering = if self.description.normalize { of_length_root_width(&output) } else { output.clone() };
                outputs.push(output);
            }
            outputs
        };
        self.parameters.slots.iter().map(of_slot).collect()
    }
}

fn dense(layer: &LayerParameters, row: &[f32]) -> Vec<f32> {
    let sums = layer.weight.chunks_exact(row.len()).zip(&layer.bias).map(|(weights, bias)| {
        let sum: f32 = weights.iter().zip(row).map(|(weight, input)| weight * input).sum();
        sum + bias
    });
    sums.collect()
}

/// As [`crate::kernels::normalize`] does it.
fn of_length_root_width(row: &[f32]) -> Vec<f32> {
    let square: f32 = row.iter().map(|value| value * value).sum();
    let scale = (row.len() as f32 / (square + SQUARE_FLOOR)).sqrt();
    row.iter().map(|value| value * scale).collect()
}
