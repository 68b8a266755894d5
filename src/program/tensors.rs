//! The tensors of a run: what they are called, whose they are, how long, and what they hold at first.

use crate::kernels::{Element, Level, Pack, Tensor};
use crate::layout::Shard;

/// The images of which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Those that are trained on.
    Train,
    /// Those of the evaluation.
    Test,
    /// The first of the evaluation's, on which the hidden layers are looked at.
    Sample,
}

/// What a tensor holds before the first operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Zeros.
    Zero,
    /// 0, 1, 2 …
    Counting,
    /// The number of each byte, which the data set decides.
    PixelTable,
    /// The numbers of the training images, those with labels first.
    LabelledFirst,
    /// For each replica the numbers of the training images, those that it learns from first.
    LearnedFirst,
    /// The records of a shard of images.
    Records(Set, Shard),
}

/// A tensor of 4-byte numbers.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// What it is, for messages.
    pub name: String,
    /// What its numbers are.
    pub element: Element,
    /// What there is a copy for.
    pub per: Level,
    /// Numbers in a copy.
    pub words: usize,
    /// What it holds at first.
    pub content: Content,
    /// The buffer that it shares, and its first number there; else it has one of its own.
    pub pack: Option<(Pack, usize)>,
}

/// Places in shared buffers are multiples of so many numbers: 256 bytes, the largest alignment of bindings that WebGPU allows.
const ALIGNMENT: usize = 64;

/// The list that grows while programs are made.
#[derive(Clone, Debug)]
pub struct Tensors {
    slots: usize,
    packed: bool,
    specs: Vec<TensorSpec>,
    pack_lengths: [usize; Pack::ALL.len()],
}

impl Tensors {
    /// An empty list for `slots` models; `packed`: tensors that may share buffers do.
    pub fn new(slots: usize, packed: bool) -> Self {
        Self { slots, packed, specs: Vec::new(), pack_lengths: [0; Pack::ALL.len()] }
    }

    /// Adds a tensor of zeros.
    pub fn add(&mut self, name: impl Into<String>, per: Level, words: usize) -> Tensor {
        self.add_with(name, Element::Number, per, words, Content::Zero)
    }

    /// Adds a tensor of whole numbers, all zero.
    pub fn add_words(&mut self, name: impl Into<String>, per: Level, words: usize) -> Tensor {
        self.add_with(name, Element::Word, per, words, Content::Zero)
    }

    /// Adds a tensor with a content.
    pub fn add_with(&mut self, name: impl Into<String>, element: Element, per: Level, words: usize, content: Content) -> Tensor {
        let tensor = Tensor(self.specs.len() as u32);
        self.specs.push(TensorSpec { name: name.into(), element, per, words, content, pack: None });
        tensor
    }

    /// Adds a tensor of zeros that may share a buffer, all of whose tensors have numbers of one kind.
    pub fn add_to(&mut self, pack: Pack, name: impl Into<String>, per: Level, words: usize) -> Tensor {
        let element = if pack == Pack::Verdicts { Element::Word } else { Element::Number };
        let tensor = self.add_with(name, element, per, words, Content::Zero);
        if self.packed {
            let length = &mut self.pack_lengths[pack as usize];
            self.specs[tensor.index()].pack = Some((pack, *length));
            *length += (per.count(self.slots) * words).next_multiple_of(ALIGNMENT);
        }
        tensor
    }

    /// Where a tensor begins in a buffer that it shares, in quads.
    pub fn quad_offset(&self, tensor: Tensor) -> u32 {
        self.specs[tensor.index()].pack.map_or(0, |(_, first)| (first / 4) as u32)
    }

    /// All of them.
    pub fn into_specs(self) -> Vec<TensorSpec> {
        self.specs
    }
}
