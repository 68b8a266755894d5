//! Cases on which a kernel is held against its reference: an operation, and tensors with random content. Pure data; `crate::verify` runs
//! them on a device.

use super::{Data, Level, Operation, Pack, Tensor};
use crate::error::Result;
use crate::layout::{Step, quads};
use crate::random::{Generator, Stream};

/// Widths of rows that meet every kind of tail: below, at and above a quad, a tile and a workgroup.
pub const SIZES: [usize; 9] = [1, 3, 7, 10, 63, 64, 65, 784, 1000];
/// Batch sizes of the same kind.
pub const BATCHES: [usize; 4] = [1, 5, 64, 257];
/// Models in every case: two pairs.
pub const SLOTS: usize = 4;

/// How a device's numbers are compared with the reference's, which carry a bound of the error.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// Each with its own bound.
    Each,
    /// Each with this bound.
    Within(f64),
    /// Sums over so many neighbours.
    Sums(usize),
    /// Each with its own bound, in those rows of so many numbers that are marked.
    Rows(usize, Vec<bool>),
}

/// One tensor of a case.
#[derive(Clone, Debug)]
pub struct CaseTensor {
    /// What there is a copy for.
    pub per: Level,
    /// All copies, one behind the other, as they are before the operation.
    pub content: Data<f32>,
    /// How its content is compared afterwards, if the operation writes it.
    pub comparison: Comparison,
    /// The buffer that it shares, and its first number there.
    pub pack: Option<(Pack, usize)>,
}

/// An operation with all that it touches.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The operation.
    pub operation: Operation,
    /// The step in which it runs.
    pub step: Step,
    /// Its tensors.
    pub tensors: Vec<CaseTensor>,
}

impl Case {
    /// Numbers in all of its tensors.
    pub(crate) fn numbers(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.content.numbers().len() + tensor.content.words().len()).sum()
    }
}

/// Who takes the cases of a kernel, one at a time.
pub type Take<'a> = dyn FnMut(Case) -> Result<()> + 'a;

/// The tensors of a case in the making.
pub struct Contents {
    /// Random numbers.
    pub generator: Generator,
    tensors: Vec<CaseTensor>,
}

impl Contents {
    /// None yet; cases of different numbers differ.
    pub fn new(number: usize) -> Self {
        Self { generator: Generator::new(20_240_503, Stream::Check, (number as u64) << 32), tensors: Vec::new() }
    }

    /// The case.
    pub fn case(self, name: String, step: Step, operation: impl Into<Operation>) -> Case {
        Case { name, operation: operation.into(), step, tensors: self.tensors }
    }

    /// Adds a tensor.
    pub fn add(&mut self, per: Level, content: Data<f32>) -> Tensor {
        let tensor = Tensor(self.tensors.len() as u32);
        self.tensors.push(CaseTensor { per, content, comparison: Comparison::Each, pack: None });
        tensor
    }

    /// Says where a tensor stands in a buffer that it shares.
    pub fn place(&mut self, tensor: Tensor, pack: Option<(Pack, usize)>) {
        self.tensors[tensor.index()].pack = pack;
    }

    /// Says how a tensor is compared.
    pub fn compare(&mut self, tensor: Tensor, comparison: Comparison) {
        self.tensors[tensor.index()].comparison = comparison;
    }

    /// Adds numbers.
    pub fn numbers(&mut self, per: Level, numbers: Vec<f32>) -> Tensor {
        self.add(per, Data::Numbers(numbers))
    }

    /// Adds whole numbers.
    pub fn words(&mut self, per: Level, words: Vec<u32>) -> Tensor {
        self.add(per, Data::Words(words))
    }

    /// Adds a tensor in which every number that is not written shows.
    pub fn poison(&mut self, per: Level, length: usize) -> Tensor {
        self.numbers(per, vec![f32::NAN; per.count(SLOTS) * length])
    }

    /// Adds labels of `rows` rows for each copy, below `classes`.
    pub fn labels(&mut self, per: Level, rows: usize, classes: u32) -> Tensor {
        let labels = (0..per.count(SLOTS) * rows).map(|_| self.generator.below(classes)).collect();
        self.words(per, labels)
    }

    /// Adds sums that were there before.
    pub fn sums(&mut self, per: Level, length: usize) -> Tensor {
        let sums = (0..per.count(SLOTS) * length).map(|_| self.generator.uniform(0.0, 9.0).floor()).collect();
        self.numbers(per, sums)
    }

    /// Rows of [`extreme_rows`] for each copy.
    pub fn rows(&mut self, per: Level, count: usize, width: usize) -> Tensor {
        let rows = extreme_rows(&mut self.generator, per.count(SLOTS) * count, width);
        self.numbers(per, rows)
    }

    /// The same with negative numbers replaced by 0.
    pub fn rectified_rows(&mut self, per: Level, count: usize, width: usize) -> Tensor {
        let rows = extreme_rows(&mut self.generator, per.count(SLOTS) * count, width);
        self.numbers(per, rows.into_iter().map(|value| value.max(0.0)).collect())
    }

    /// Weights of layers from `inputs` to `outputs` numbers: rows of inputs, padding, the bias.
    pub fn weights(&mut self, inputs: usize, outputs: usize) -> Tensor {
        let rows = 4 * quads(inputs) + 1;
        let stride = 4 * quads(outputs);
        let mut weights = extreme_rows(&mut self.generator, SLOTS * rows, outputs);
        for slot in weights.chunks_exact_mut(rows * stride) {
            slot[inputs * stride..(rows - 1) * stride].fill(0.0);
        }
        self.numbers(Level::Slot, weights)
    }
}

/// Normal numbers in rows that are padded with zeros to whole quads; with an all-zero row, one of subnormals, large ones, and ones whose
/// squares are below the smallest number or the products of two near the largest, where there are that many rows.
pub fn extreme_rows(generator: &mut Generator, count: usize, width: usize) -> Vec<f32> {
    let stride = 4 * quads(width);
    let mut values = vec![0.0; count * stride];
    for (row, values) in values.chunks_exact_mut(stride).enumerate() {
        let scale = match row {
            1 => 0.0,
            2 => 1e-39,
            3 => 1e4,
            4 => 1e-30,
            5 => 1e9,
            _ => 1.0,
        };
        for value in &mut values[..width] {
            *value = generator.normal() * scale;
        }
    }
    values
}

/// Makes subnormal numbers 0, as devices may: for kernels that decide something by them, which no bound on an error describes.
pub fn without_subnormals(values: &mut [f32]) {
    values.iter_mut().filter(|value| value.is_subnormal()).for_each(|value| *value = 0.0);
}

/// Scales the seventh row, where there is one, to numbers around `scale`: for kernels that bear more than [`extreme_rows`] has.
pub fn scale_a_row(values: &mut [f32], width: usize, scale: f32) {
    if let Some(row) = values.chunks_exact_mut(4 * quads(width)).nth(6) {
        row.iter_mut().for_each(|value| *value *= scale);
    }
}
