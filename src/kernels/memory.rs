//! Main memory as an operation sees it while it runs for one slot, view or replica.

use super::operand::Tensor;
use crate::layout::Step;

/// Tensors by whose they are. An operation takes what it writes out of memory, runs, and puts it back.
pub trait Memory {
    /// The step in which the operation runs.
    fn step(&self) -> &Step;

    /// The slot that it runs for; of several that share it, the first.
    fn slot(&self) -> usize;

    /// One of the copies of a tensor.
    fn copy(&self, tensor: Tensor, copy: usize) -> &[f32];

    /// The copy of a slot, or of the view or replica that the slot shares.
    fn of(&self, tensor: Tensor, slot: usize) -> &[f32];

    /// The own copy.
    fn own(&self, tensor: Tensor) -> &[f32] {
        self.of(tensor, self.slot())
    }

    /// The partner's copy.
    fn partner(&self, tensor: Tensor) -> &[f32] {
        self.of(tensor, crate::layout::partner(self.slot()))
    }

    /// The own copy of whole numbers.
    fn words(&self, tensor: Tensor) -> &[u32] {
        bytemuck::cast_slice(self.own(tensor))
    }

    /// Takes the own copy out.
    fn take(&mut self, tensor: Tensor) -> Vec<f32>;

    /// Puts it back.
    fn put(&mut self, tensor: Tensor, values: Vec<f32>);

    /// Room for `length` numbers of any content.
    fn take_scratch(&mut self, length: usize) -> Vec<f32>;

    /// Gives it back for the next operation.
    fn put_scratch(&mut self, scratch: Vec<f32>);
}
