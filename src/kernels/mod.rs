//! The kernels: for each its parameters, what it reads and writes, its grid, why its indices are in bounds, its twin on the CPU, and
//! the cases on which the two are compared.
//!
//! **The table of kernels is the `kernels!` below.** A kernel has the shader `shaders/<name>.wgsl` and the file `<name>.rs` here.

mod augment;
pub mod case;
mod memory;
mod operand;
pub mod order;
pub mod shader;
pub mod tiles;

pub mod accuracy;
pub mod batch_mean;
pub mod class_prototypes;
pub mod cosine_gradient;
pub mod covariance;
pub mod dropout;
pub mod forward;
pub mod fused_backward;
pub mod fused_forward;
pub mod fused_scores;
pub mod fused_trust;
pub mod gather;
pub mod input_gradient;
pub mod label_loss;
pub mod normalize;
pub mod normalize_gradient;
pub mod output_gradient;
pub mod pair_gradient;
pub mod pairs;
pub mod prototype_loss;
pub mod prototype_scores;
pub mod pseudo_labels;
pub mod reduction;
pub mod shuffle;
pub mod softmax;
pub mod trust;
pub mod weight_norms;
pub mod weight_update;

pub use memory::Memory;
pub use operand::{Access, Data, Element, Level, Operand, Pack, Tensor, Whose};
pub use shader::{Binding, Variant};

use crate::arithmetic::Arithmetic;
use crate::error::Result;
use tiles::Tiles;

/// What a launch on a device depends on beside the operation.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Shapes of tiles.
    pub tiles: &'a Tiles,
    /// Models.
    pub slots: usize,
}

impl Launch<'_> {
    /// A kernel that shares rows among `LANES` invocations, `ROWS` of them a workgroup.
    fn rows(&self, kernel: Kernel) -> Variant {
        Variant::new(kernel).size("LANES", self.tiles.lanes).size("ROWS", self.tiles.rows)
    }

    /// The grid of such a kernel.
    fn row_groups(&self, rows: u32) -> [u32; 3] {
        [rows.div_ceil(self.tiles.rows), self.slots as u32, 1]
    }
}

/// What is known of an operation before it runs.
pub trait Describe {
    /// Its storage bindings, in order.
    fn operands(&self) -> Vec<Operand>;

    /// What it runs once for.
    fn level(&self) -> Level {
        Level::Slot
    }

    /// The bytes of its uniform structure, the first binding.
    fn parameters(&self) -> Vec<u8>;

    /// Whether the [`crate::layout::Step`] is its second binding.
    fn reads_step(&self) -> bool {
        false
    }

    /// The kernel with its compile-time constants, without bindings.
    fn variant(&self, launch: Launch) -> Variant;

    /// The grid of workgroups.
    fn groups(&self, launch: Launch) -> [u32; 3];

    /// Whether every sum is made in one order, whatever the tiles.
    fn is_independent_of_tiles(&self) -> bool {
        false
    }

    /// For a fused operation: the operations that it replaces.
    fn replaced(&self) -> &[Operation] {
        &[]
    }
}

/// What is known of an operation by the class of its kernel. `product`: a matrix product cut into tiles; `fused`: several operations, for a
/// tile of the batch; `plain`: neither, in workgroups of one size.
macro_rules! of_class {
    (workgroup product $operation:ident $launch:ident) => {
        $operation.workgroup($launch)
    };
    (workgroup fused $operation:ident $launch:ident) => {
        Some($operation.workgroup($launch))
    };
    (workgroup plain $operation:ident $launch:ident) => {{
        let _ = $operation;
        None
    }};
    (flops product $operation:ident) => {
        $operation.flops()
    };
    (flops fused $operation:ident) => {
        $operation.replaced().iter().map(Operation::flops).sum()
    };
    (flops plain $operation:ident) => {{
        let _ = $operation;
        0.0
    }};
}

/// Declares [`Kernel`] and [`Operation`] from one list: the operation's type, the module and shader of its name, and its class.
macro_rules! kernels {
    ($($(#[$doc:meta])* $kind:ident: $name:ident, $class:ident;)*) => {
        /// The kernels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kernel { $($(#[$doc])* $kind,)* }

        impl Kernel {
            /// All kernels, in the order in which a run meets them.
            pub const ALL: [Kernel; [$(stringify!($name)),*].len()] = [$(Kernel::$kind),*];

            /// The stem of the kernel's files.
            pub const fn name(self) -> &'static str {
                match self { $(Kernel::$kind => stringify!($name),)* }
            }

            /// The text of its shader, before imports.
            pub const fn source(self) -> &'static str {
                match self { $(Kernel::$kind => include_str!(concat!("../../shaders/", stringify!($name), ".wgsl")),)* }
            }

            /// Makes the cases on which it is held against its reference.
            pub fn cases(self, take: &mut case::Take) -> Result<()> {
                match self { $(Kernel::$kind => $name::cases(take),)* }
            }
        }

        /// One kernel with its parameters and operands, for all slots at once.
        #[derive(Clone, Debug)]
        pub enum Operation { $($(#[$doc])* $kind($name::$kind),)* }

        impl Operation {
            /// The kernel.
            pub const fn kernel(&self) -> Kernel {
                match self { $(Operation::$kind(_) => Kernel::$kind,)* }
            }

            /// What is known of it before it runs.
            pub fn describe(&self) -> &dyn Describe {
                match self { $(Operation::$kind(operation) => operation,)* }
            }

            /// Invocations of a workgroup and bytes of its memory, where they depend on the run and may exceed what an adapter has.
            pub fn workgroup(&self, launch: Launch) -> Option<(u32, u32)> {
                match self { $(Operation::$kind(operation) => of_class!(workgroup $class operation launch),)* }
            }

            /// Floating-point operations of a slot's matrix products.
            pub fn flops(&self) -> f64 {
                match self { $(Operation::$kind(operation) => of_class!(flops $class operation),)* }
            }

            /// Runs it on the CPU for one slot, view or replica.
            pub fn run<A: Arithmetic>(&self, memory: &mut impl Memory<A::Stored>) {
                match self { $(Operation::$kind(operation) => operation.run::<A>(memory),)* }
            }
        }

        $(impl From<$name::$kind> for Operation {
            fn from(operation: $name::$kind) -> Self {
                Operation::$kind(operation)
            }
        })*
    };
}

kernels! {
    /// The order of an epoch.
    Shuffle: shuffle, plain;
    /// A batch from the resident data set.
    Gather: gather, plain;
    /// One layer's matrix product, bias and activation.
    Forward: forward, product;
    /// Units of a hidden layer left out by chance.
    Dropout: dropout, plain;
    /// Means of a hidden layer's outputs over the batch.
    BatchMean: batch_mean, plain;
    /// Loss and gradient of a hidden layer.
    CosineGradient: cosine_gradient, plain;
    /// Random pairs of rows of one class and of two.
    Pairs: pairs, plain;
    /// Loss and gradient of a hidden layer by pairs of rows.
    PairGradient: pair_gradient, plain;
    /// Rows brought to one length.
    Normalize: normalize, plain;
    /// Means of the unit rows of each class.
    ClassPrototypes: class_prototypes, plain;
    /// How near rows are to the prototypes of the classes.
    PrototypeScores: prototype_scores, plain;
    /// How badly each label fits what a layer says.
    LabelLoss: label_loss, plain;
    /// Which rows of a batch are worth learning from.
    Trust: trust, plain;
    /// From which label each row learns where not all images have one.
    PseudoLabels: pseudo_labels, plain;
    /// Loss and gradient of a hidden layer by class prototypes.
    PrototypeLoss: prototype_loss, plain;
    /// Loss and gradient of the output layer.
    OutputGradient: output_gradient, plain;
    /// From a layer's gradient to that of its input.
    InputGradient: input_gradient, product;
    /// From the gradient of normalised rows to that of the rows.
    NormalizeGradient: normalize_gradient, plain;
    /// A tile of the batch through all layers of a pair.
    FusedForward: fused_forward, fused;
    /// How badly labels fit what each layer says.
    FusedScores: fused_scores, fused;
    /// Which rows of a batch each layer is to learn from.
    FusedTrust: fused_trust, plain;
    /// From the losses back to the deltas below, for a tile of the batch.
    FusedBackward: fused_backward, fused;
    /// Weight gradient and Adam, of one layer or of all.
    WeightUpdate: weight_update, product;
    /// Logits to probabilities.
    Softmax: softmax, plain;
    /// Right answers of A, B and the ensemble.
    Accuracy: accuracy, plain;
    /// How a hidden layer's outputs spread.
    Covariance: covariance, plain;
    /// Size, movement and distance of weights.
    WeightNorms: weight_norms, plain;
    /// Sums of rows.
    Reduction: reduction, plain;
}

impl Operation {
    /// What a device compiles for it.
    pub fn variant(&self, launch: Launch) -> Variant {
        let description = self.describe();
        let step = description.reads_step().then_some(Binding::Step);
        let operands = description.operands().into_iter().map(|operand| operand.access.into());
        let mut variant = description.variant(launch);
        variant.bindings = std::iter::once(Binding::Uniform).chain(step).chain(operands).collect();
        variant
    }
}
