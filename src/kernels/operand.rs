//! What an operation reads and writes.

use crate::layout::Views;

/// A tensor of a run: its number in [`crate::program::Programs::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tensor(pub u32);

impl Tensor {
    /// Its place in lists that hold something for each tensor.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How an operation touches a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes, or reads and writes.
    Write,
}

/// Whose copy of a tensor an operation touches, as it runs for a slot (or view, or replica).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Its own: the slot's, or that of the slot's view or replica.
    Own,
    /// The partner's, beside its own or alone.
    Partner,
    /// Everybody's.
    All,
}

/// One storage binding of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The tensor; none where a variant of the kernel has the binding and does not use it.
    pub tensor: Option<Tensor>,
    /// How it is touched.
    pub access: Access,
    /// Whose copy.
    pub whose: Whose,
    /// The kernel sees all tensors that share this one's buffer, and finds them by offsets in its parameters.
    pub packed: bool,
}

impl Operand {
    /// Its own copy, read.
    pub const fn read(tensor: Tensor) -> Self {
        Self { tensor: Some(tensor), access: Access::Read, whose: Whose::Own, packed: false }
    }

    /// Its own copy, written.
    pub const fn write(tensor: Tensor) -> Self {
        Self { access: Access::Write, ..Self::read(tensor) }
    }

    /// The partner's copy, or both.
    pub const fn read_partner(tensor: Tensor) -> Self {
        Self { whose: Whose::Partner, ..Self::read(tensor) }
    }

    /// All copies.
    pub const fn read_all(tensor: Tensor) -> Self {
        Self { whose: Whose::All, ..Self::read(tensor) }
    }

    /// The same, where it may be unused.
    pub const fn maybe(tensor: Option<Tensor>, access: Access) -> Self {
        Self { tensor, access, whose: Whose::Own, packed: false }
    }

    /// The whole buffer that `tensor` shares with others.
    pub const fn packed(self) -> Self {
        Self { packed: true, ..self }
    }
}

/// What an operation runs once for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Each slot.
    Slot,
    /// Each view of the batch.
    View(Views),
    /// Each replica.
    Replica,
    /// The run.
    Run,
}

impl Level {
    /// How many times it runs among `slots` slots.
    pub const fn count(self, slots: usize) -> usize {
        match self {
            Self::Slot => slots,
            Self::View(views) => views.count(slots),
            Self::Replica => slots / 2,
            Self::Run => 1,
        }
    }

    /// The first slot that shares unit `unit`.
    pub const fn first_slot(self, unit: usize) -> usize {
        match self {
            Self::Slot => unit,
            Self::View(views) => unit << views.shift(),
            Self::Replica => 2 * unit,
            Self::Run => 0,
        }
    }

    /// The unit that `slot` shares.
    pub const fn unit(self, slot: usize) -> usize {
        match self {
            Self::Slot => slot,
            Self::View(views) => slot >> views.shift(),
            Self::Replica => slot / 2,
            Self::Run => 0,
        }
    }
}

/// Tensors that stand in one buffer, one behind the other, so that one operation reaches those of all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pack {
    /// The weights of all layers.
    Weights,
    /// Their first moments.
    FirstMoments,
    /// Their second moments.
    SecondMoments,
    /// The input and the outputs of all layers.
    Activations,
    /// The deltas of all layers, and what losses leave beside them.
    Deltas,
    /// What layers think of images, as whole numbers.
    Verdicts,
}

impl Pack {
    /// All of them.
    pub const ALL: [Pack; 6] =
        [Pack::Weights, Pack::FirstMoments, Pack::SecondMoments, Pack::Activations, Pack::Deltas, Pack::Verdicts];
}

/// What the numbers of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// f32.
    Number,
    /// u32.
    Word,
}

/// The numbers of one copy of a tensor, in main memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<S> {
    /// Numbers, as an arithmetic stores them.
    Numbers(Vec<S>),
    /// Whole numbers.
    Words(Vec<u32>),
}

impl<S> Default for Data<S> {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

impl<S> Data<S> {
    /// The numbers; none where these are whole ones.
    pub fn numbers(&self) -> &[S] {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Words(_) => &[],
        }
    }

    /// The whole numbers; none where these are others.
    pub fn words(&self) -> &[u32] {
        match self {
            Self::Words(words) => words,
            Self::Numbers(_) => &[],
        }
    }
}
