//! Numbers for every layer of a run.

use crate::layout::{Layer, Shapes};
use crate::plan::Part;
use std::ops::{Index, IndexMut};

/// A vector for each layer of each part.
pub struct Tensors([Vec<Vec<f32>>; 3]);

impl Tensors {
    /// Zeros; `length` gives each vector's, 0 for one that is never used.
    pub fn new(shapes: &Shapes, length: impl Fn(Part, &Layer) -> usize) -> Self {
        Self(Part::ALL.map(|part| shapes.all(part).iter().map(|layer| vec![0.0; length(part, layer)]).collect()))
    }

    /// The vectors of one part.
    pub fn all(&self, part: Part) -> &[Vec<f32>] {
        &self.0[part as usize]
    }

    /// All vectors.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.0.iter_mut().flatten()
    }

    /// Bytes of all vectors.
    pub fn bytes(&self) -> usize {
        4 * self.0.iter().flatten().map(Vec::len).sum::<usize>()
    }
}

impl Index<(Part, usize)> for Tensors {
    type Output = Vec<f32>;

    fn index(&self, (part, layer): (Part, usize)) -> &Vec<f32> {
        &self.0[part as usize][layer]
    }
}

impl IndexMut<(Part, usize)> for Tensors {
    fn index_mut(&mut self, (part, layer): (Part, usize)) -> &mut Vec<f32> {
        &mut self.0[part as usize][layer]
    }
}
