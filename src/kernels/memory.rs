//! Main memory as an operation sees it while it runs for one slot, view or replica.

use super::operand::{Data, Tensor};
use crate::layout::{Step, partner};

/// Tensors by whose they are. An operation takes what it writes out of memory, runs, and puts it back. `S` is what its arithmetic stores.
pub trait Memory<S> {
    /// The step in which the operation runs.
    fn step(&self) -> &Step;

    /// The slot that it runs for; of several that share it, the first.
    fn slot(&self) -> usize;

    /// One of the copies of a tensor.
    fn copy(&self, tensor: Tensor, copy: usize) -> &Data<f32>;

    /// The copy of a slot, or of the view or replica that the slot shares.
    fn of(&self, tensor: Tensor, slot: usize) -> &Data<f32>;

    /// The own copy.
    fn own(&self, tensor: Tensor) -> &[f32] {
        self.of(tensor, self.slot()).numbers()
    }

    /// The partner's copy.
    fn partner(&self, tensor: Tensor) -> &[f32] {
        self.of(tensor, partner(self.slot())).numbers()
    }

    /// The own copy of whole numbers.
    fn words(&self, tensor: Tensor) -> &[u32] {
        self.of(tensor, self.slot()).words()
    }

    /// Takes the own copy out.
    fn take(&mut self, tensor: Tensor) -> Vec<S>;

    /// Takes the own copy of whole numbers out.
    fn take_words(&mut self, tensor: Tensor) -> Vec<u32>;

    /// Puts a copy back.
    fn put(&mut self, tensor: Tensor, values: Data<S>);

    /// Room for `length` numbers of any content.
    fn take_scratch(&mut self, length: usize) -> Vec<S>;

    /// Gives it back for the next operation.
    fn put_scratch(&mut self, scratch: Vec<S>);
}
