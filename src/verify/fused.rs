//! Cases of fused kernels: the operations of fused programs, on random tensors.

use super::Sweep;
use crate::arithmetic::Single;
use crate::config::{
    Augmentation, CosineOptions, Guide, HiddenLoss, Method, OutputLoss, PrototypeOptions, Recipe, TrainingConfig, Trust,
    TrustOptions,
};
use crate::dataset::{Features, Images};
use crate::engine::Job;
use crate::error::{Error, Result};
use crate::kernels::case::{Case, Contents, SLOTS, extreme_rows};
use crate::kernels::gather::Gather;
use crate::kernels::normalize::normalize;
use crate::kernels::trust::Trust as TrustKernel;
use crate::kernels::{Access, Data, Element, Kernel, Operation, Tensor};
use crate::layout::{Rows, Shard, Step, WHOLE};
use crate::model::Architecture;
use crate::program::{Plan, Programs, TensorSpec, blank_dataset, fusible};

/// Networks with every kind of tail, of depths 1 to 5, up to the widest that the plan takes.
pub const NETWORKS: [&[usize]; 4] = [&[101, 64, 64, 10], &[5, 3], &[63, 65, 3, 128, 10], &[16, 33, 1, 64, 4, 7]];
const BATCHES: [usize; 3] = [1, 37, 64];

/// The fused programs whose operations are checked: every loss, each with what it can be combined with.
pub fn configs() -> Vec<TrainingConfig> {
    let cosine = |output_loss, normalize| TrainingConfig {
        hidden_loss: HiddenLoss::Cosine(CosineOptions { centre: false }),
        output_loss,
        normalize,
        ..Recipe::Paper.config()
    };
    let prototypes = |change: fn(&mut PrototypeOptions), normalize| {
        let mut config = TrainingConfig { normalize, ..Recipe::Contrastive.config() };
        if let HiddenLoss::Prototypes(options) = &mut config.hidden_loss {
            change(options);
        }
        config
    };
    let backprop = |normalize| TrainingConfig { method: Method::Backprop, normalize, ..Recipe::Contrastive.config() };
    let heads = |normalize| TrainingConfig { hidden_loss: HiddenLoss::HEAD, normalize, ..Recipe::Contrastive.config() };
    let trusting = |trust, config: TrainingConfig| TrainingConfig { trust: TrustOptions { trust, ..config.trust }, ..config };
    let settings = [
        cosine(OutputLoss::BinaryCrossEntropy, false),
        cosine(OutputLoss::CrossEntropy, true),
        prototypes(|_| (), true),
        prototypes(|options| (options.projection, options.guide) = (0, Guide::Own), false),
        prototypes(|options| options.projection = 5, true),
        backprop(true),
        backprop(false),
        heads(true),
        heads(false),
        trusting(Trust::Partner, prototypes(|_| (), true)),
        trusting(Trust::Own, prototypes(|options| options.projection = 0, false)),
        trusting(Trust::Partner, backprop(true)),
        trusting(Trust::Own, heads(true)),
        trusting(Trust::Output, heads(false)),
        trusting(Trust::Output, prototypes(|_| (), true)),
        trusting(Trust::CoTeaching, heads(true)),
    ];
    // Each setting meets every network, and every batch size with some of them.
    let of_setting = |(i, config): (usize, TrainingConfig)| {
        NETWORKS.iter().enumerate().map(move |(j, layers)| TrainingConfig {
            architecture: Architecture::dense(layers),
            batch_size: BATCHES[(i + j) % BATCHES.len()],
            replicas: SLOTS / 2,
            // Where images are changed, another kernel fetches them.
            augmentation: Augmentation { shift: u32::from((i + j) % 3 == 2), ..Augmentation::default() },
            ..config.clone()
        })
    };
    settings.into_iter().enumerate().flat_map(of_setting).filter(fusible).collect()
}

/// Makes the cases of one kernel's operations that are made of others.
pub fn cases(kernel: Kernel, sweep: Sweep, take: &mut dyn FnMut(Case) -> Result<()>) -> Result<()> {
    // Each setting meets one of the networks, each network a quarter of the settings.
    let is_met = |number: usize| sweep == Sweep::Whole || number / NETWORKS.len() % NETWORKS.len() == number % NETWORKS.len();
    for (number, config) in configs().into_iter().enumerate().filter(|&(number, _)| is_met(number)) {
        let programs = programs(&config, number % 5 == 4)?;
        let fused = programs.stages.iter().flatten().filter(|operation| operation.kernel() == kernel);
        for operation in fused.filter(|operation| !operation.describe().replaced().is_empty()) {
            let classes = config.architecture.classes() as u32;
            take(case(&programs, operation, classes, number, &config)?)?;
        }
    }
    Ok(())
}

/// The programs for images, or for features.
fn programs(config: &TrainingConfig, features: bool) -> Result<Programs> {
    let mut dataset = blank_dataset(config)?;
    for images in [&mut dataset.train, &mut dataset.test].into_iter().filter(|_| features) {
        let (count, width) = (images.count(), images.pixels_per_image());
        *images = Images { pixels: Vec::new(), features: Some(Features::of(vec![0.0; count * width], width)), ..images.clone() };
    }
    Programs::new(Job { config, dataset: &dataset }, Plan::Fused, u64::MAX)
}

fn case(programs: &Programs, operation: &Operation, classes: u32, number: usize, config: &TrainingConfig) -> Result<Case> {
    let replaced = operation.describe().replaced();
    let touched: Vec<_> = replaced.iter().flat_map(|replaced| replaced.describe().operands()).collect();
    let gathers: Vec<&Gather> = replaced.iter().filter_map(as_gather).collect();
    let selections: Vec<&TrustKernel> = replaced.iter().filter_map(as_trust).collect();
    let mut contents = Contents::new(number);
    let mut made: Vec<Data<f32>> = Vec::new();
    for (index, spec) in (0..).zip(&programs.tensors) {
        let tensor = Tensor(index);
        let touched: Vec<_> = touched.iter().filter(|operand| operand.tensor == Some(tensor)).collect();
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
        } else if let Some(trust) = selections.iter().find(|trust| trust.rates == tensor) {
            Data::Words(vec![WHOLE / 3; length * usize::from(trust.shape.batch_size > 0)])
        } else if let Some(trust) = selections.iter().find(|trust| trust.orders == tensor) {
            // No image comes twice.
            Data::Words((0..length as u32).map(|place| trust.shape.images - 1 - place % trust.shape.images).collect())
        } else if replaced.iter().any(|replaced| is_row_weight(replaced, tensor)) {
            Data::Numbers((0..length).map(|_| 1.5 * contents.generator.below(3).min(1) as f32).collect())
        } else if let Some(gather) = gathers.iter().find(|gather| gather.records == tensor) {
            Data::Words(records(&gather.shard, classes, &mut contents))
        } else if let Some(gather) = gathers.iter().find(|gather| gather.orders == tensor) {
            Data::Words((0..length).map(|_| contents.generator.below(gather.shard.image_count)).collect())
        } else if is_written {
            poison(spec, length)
        } else if spec.element == Element::Word {
            Data::Words((0..length).map(|_| contents.generator.below(classes)).collect())
        } else if let Some((shape, rows)) = replaced.iter().find_map(|replaced| unit_rows(replaced, tensor)) {
            let shape = Rows { rows: SLOTS as u32 * shape.rows, ..shape };
            let mut unit = vec![0.0; length];
            normalize::<Single>(&shape, true, made[rows.index()].numbers(), &mut unit);
            Data::Numbers(unit)
        } else {
            let read: Vec<_> = replaced.iter().filter_map(|replaced| rows_of(replaced, tensor)).collect();
            let &(width, _) = read.first().ok_or_else(|| {
                let message = format!("nothing is known of what {} reads in {}", operation.kernel().name(), spec.name);
                Error::Configuration(message)
            })?;
            let width = width as usize;
            let mut rows = extreme_rows(&mut contents.generator, length / (4 * crate::layout::quads(width)), width);
            // Subnormal numbers may count as zero where rows stop gradients, which no bound on these describes.
            let is_rectified = read.iter().any(|&(_, is_rectified)| is_rectified);
            let stopped = |value: f32| value.abs() < f32::MIN_POSITIVE || is_rectified && value < 0.0;
            rows.iter_mut().filter(|value| stopped(**value)).for_each(|value| *value = 0.0);
            Data::Numbers(rows)
        };
        let added = contents.add(spec.per, content.clone());
        made.push(content);
        contents.place(added, spec.pack);
    }
    let name =
        format!("{} batch {} {:?} {:?}", config.architecture.summary(), config.batch_size, config.method, config.hidden_loss);
    // A batch that is only partly filled, as far from the first image as the set allows.
    let (batch, images) = (config.batch_size as u32, gathers.first().map_or(0, |gather| gather.shard.image_count));
    let row_count = batch.div_ceil(2);
    let step = Step { first_row: images.saturating_sub(row_count), row_count, epoch: 3, trust_ramp: WHOLE, ..Step::default() };
    Ok(contents.case(name, step, operation.clone()))
}

fn as_gather(operation: &Operation) -> Option<&Gather> {
    match operation {
        Operation::Gather(gather) => Some(gather),
        _ => None,
    }
}

fn as_trust(operation: &Operation) -> Option<&TrustKernel> {
    match operation {
        Operation::Trust(trust) => Some(trust),
        _ => None,
    }
}

/// Whether a tensor says how much each row counts.
fn is_row_weight(operation: &Operation, tensor: Tensor) -> bool {
    let selection = match operation {
        Operation::ClassPrototypes(means) => means.selection,
        Operation::PrototypeLoss(loss) => loss.selection,
        Operation::OutputGradient(gradient) => gradient.selection,
        _ => None,
    };
    selection.is_some_and(|selection| selection.weights == tensor)
}

/// Random bytes or features, and labels behind them.
fn records(shard: &Shard, classes: u32, contents: &mut Contents) -> Vec<u32> {
    let record = shard.record_words as usize;
    let mut words = Vec::with_capacity(shard.words());
    for index in 0..shard.words() {
        let is_label = index % record + 1 == record;
        words.push(match (is_label, shard.has_features()) {
            (true, _) => contents.generator.below(classes),
            (false, false) => contents.generator.below(u32::MAX),
            (false, true) => contents.generator.normal().to_bits(),
        });
    }
    words
}

/// If `tensor` holds the unit rows of a loss: their shape, and the rows.
fn unit_rows(operation: &Operation, tensor: Tensor) -> Option<(Rows, Tensor)> {
    match operation {
        Operation::PrototypeLoss(loss) if loss.unit_rows == tensor => Some((loss.shape.rows(), loss.rows)),
        _ => None,
    }
}

/// How long the rows are that an operation reads in a tensor, and whether they are rectified. A case fails where no operation knows.
fn rows_of(operation: &Operation, tensor: Tensor) -> Option<(u32, bool)> {
    match operation {
        Operation::Gather(gather) if gather.table == tensor => Some((1, false)),
        Operation::Forward(forward) if forward.inputs == tensor => Some((forward.layer.input_width, false)),
        Operation::PrototypeLoss(loss) if loss.rows == tensor => Some((loss.shape.width, loss.shape.rectified > 0)),
        Operation::PrototypeScores(scores) if scores.rows == tensor => Some((scores.shape.width, false)),
        Operation::LabelLoss(loss) if loss.logits == tensor => Some((loss.shape.width, false)),
        Operation::Trust(trust) if trust.losses == tensor => Some((1, false)),
        Operation::OutputGradient(gradient) if gradient.logits == tensor => Some((gradient.shape.width, false)),
        Operation::InputGradient(gradient) if gradient.deltas == tensor => Some((gradient.layer.output_width, false)),
        Operation::InputGradient(gradient) if gradient.mask == Some(tensor) => Some((gradient.layer.input_width, true)),
        Operation::NormalizeGradient(gradient) if gradient.rows == tensor => Some((gradient.shape.width, true)),
        _ => None,
    }
}

fn poison(spec: &TensorSpec, length: usize) -> Data<f32> {
    match spec.element {
        Element::Number => Data::Numbers(vec![f32::NAN; length]),
        Element::Word => Data::Words(vec![u32::MAX; length]),
    }
}
