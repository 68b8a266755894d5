//! Cases of fused kernels: the operations of fused programs, on random tensors.

use crate::config::{CosineOptions, HiddenLoss, OutputLoss, Recipe, Representation, TrainingConfig};
use crate::error::Result;
use crate::kernels::case::{Case, Contents, SLOTS, extreme_rows};
use crate::kernels::{Access, Data, Element, Kernel, Operation};
use crate::layout::Step;
use crate::program::{Plan, Programs, TensorSpec};

/// Networks with every kind of tail, of depths 1 to 5, up to the widest that the plan takes.
pub const NETWORKS: [&[usize]; 4] = [&[784, 64, 64, 10], &[5, 3], &[63, 65, 3, 128, 10], &[16, 33, 1, 64, 4, 7]];
const BATCHES: [usize; 3] = [1, 37, 64];

/// The fused programs whose operations are checked.
pub fn configs() -> Vec<TrainingConfig> {
    let settings =
        [(Representation::Activation, OutputLoss::BinaryCrossEntropy), (Representation::PreActivation, OutputLoss::CrossEntropy)];
    let networks = NETWORKS.iter().flat_map(|layers| BATCHES.map(|batch_size| (layers.to_vec(), batch_size)));
    networks
        .flat_map(|(layers, batch_size)| {
            settings.map(|(representation, output_loss)| TrainingConfig {
                layers: layers.clone(),
                batch_size,
                replicas: SLOTS / 2,
                hidden_loss: HiddenLoss::Cosine(CosineOptions { representation, centre: false }),
                output_loss,
                ..Recipe::Paper.config()
            })
        })
        .collect()
}

/// Makes the cases of one kernel's operations that are made of others.
pub fn cases(kernel: Kernel, take: &mut dyn FnMut(Case) -> Result<()>) -> Result<()> {
    for (number, config) in configs().into_iter().enumerate() {
        let programs = Programs::on_blank_images(&config, Plan::Fused)?;
        let fused = programs.stages.iter().flatten().filter(|operation| operation.kernel() == kernel);
        for operation in fused.filter(|operation| !operation.describe().replaced().is_empty()) {
            let classes = *config.layers.last().unwrap_or(&1) as u32;
            take(case(&programs, operation, classes, number, &config))?;
        }
    }
    Ok(())
}

fn case(programs: &Programs, operation: &Operation, classes: u32, number: usize, config: &TrainingConfig) -> Case {
    let written: Vec<_> = operation.describe().replaced().iter().flat_map(|replaced| replaced.describe().operands()).collect();
    let mut contents = Contents::new(number);
    for (index, spec) in (0..).zip(&programs.tensors) {
        let tensor = crate::kernels::Tensor(index);
        let touched: Vec<_> = written.iter().filter(|operand| operand.tensor == Some(tensor)).collect();
        let is_written = touched.iter().any(|operand| operand.access == Access::Write);
        let length = spec.per.count(SLOTS) * spec.words;
        let parameters = programs.parameters.iter().find(|layer| layer.weights == tensor);
        let content = if touched.is_empty() {
            // What stands beside it in the same buffer.
            Data::Numbers(vec![0.0; if spec.pack.is_some() { length } else { spec.per.count(SLOTS) }])
        } else if tensor == programs.row_metrics {
            Data::Numbers((0..length).map(|_| contents.generator.uniform(0.0, 9.0).floor()).collect())
        } else if let Some(layer) = parameters {
            // Scaled so that activations keep their size from layer to layer, as a trained network's do.
            let (linear, scale) = (layer.layer, 1.0 / (layer.layer.input_width as f32).sqrt());
            let mut weights = vec![0.0; length];
            for (row, values) in weights.chunks_exact_mut(linear.output_stride()).enumerate() {
                let row = row % linear.weight_rows();
                if row < linear.input_width as usize || row + 1 == linear.weight_rows() {
                    values[..linear.output_width as usize].fill_with(|| scale * contents.generator.normal());
                }
            }
            Data::Numbers(weights)
        } else if is_written {
            poison(spec, length)
        } else if spec.element == Element::Word {
            Data::Words((0..length).map(|_| contents.generator.below(classes)).collect())
        } else {
            Data::Numbers(extreme_rows(
                &mut contents.generator,
                length / (4 * crate::layout::quads(config.layers[0])),
                config.layers[0],
            ))
        };
        let added = contents.add(spec.per, content);
        contents.place(added, spec.pack);
    }
    let name = format!("{:?} batch {} {:?}", config.layers, config.batch_size, config.hidden_loss.representation());
    contents.case(name, Step::default(), operation.clone())
}

fn poison(spec: &TensorSpec, length: usize) -> Data<f32> {
    match spec.element {
        Element::Number => Data::Numbers(vec![f32::NAN; length]),
        Element::Word => Data::Words(vec![u32::MAX; length]),
    }
}
