//! From a kernel's file to the shader that an adapter compiles: imports and compile-time constants.

use super::order::{Order, reorder};
use super::{Access, Kernel};
use crate::layout::{
    BackPlaces, CONSTANTS, Dropout, ForwardPlaces, Linear, Pairs, Places, Prototypes, PseudoLabels, Reduction, RowLoss, Rows,
    ScorePlaces, SelectPlaces, Shard, Shuffle, Step, Trained, Trust,
};
use std::fmt::Write;

/// How a kernel sees one buffer. Binding numbers follow the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// A structure that stays the same for the whole run.
    Uniform,
    /// The [`Step`], at an offset that is chosen for each dispatch.
    Step,
    /// Storage that the kernel only reads.
    Read,
    /// Storage that the kernel writes.
    Write,
}

impl From<Access> for Binding {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
        }
    }
}

/// Which form of an import a shader takes, where there are two: compilers look at what stands there, not only at what runs.
#[derive(Clone, Copy)]
struct Forms {
    /// Lanes hand their loads round.
    shuffle: bool,
    /// A row has one invocation.
    alone: bool,
    /// Operands of products come by way of workgroup memory.
    shared: bool,
}

/// The text behind `#import name` in a shader: a structure that host and device share, or a file of `shaders/shared/`.
fn import(name: &str, forms: Forms) -> Option<&'static str> {
    Some(match name {
        "constants" => CONSTANTS,
        "Linear" => Linear::WGSL,
        "Places" => Places::WGSL,
        "ForwardPlaces" => ForwardPlaces::WGSL,
        "BackPlaces" => BackPlaces::WGSL,
        "Trained" => Trained::WGSL,
        "Rows" => Rows::WGSL,
        "RowLoss" => RowLoss::WGSL,
        "Prototypes" => Prototypes::WGSL,
        "Shard" => Shard::WGSL,
        "Shuffle" => Shuffle::WGSL,
        "Dropout" => Dropout::WGSL,
        "Pairs" => Pairs::WGSL,
        "Trust" => Trust::WGSL,
        "ScorePlaces" => ScorePlaces::WGSL,
        "SelectPlaces" => SelectPlaces::WGSL,
        "PseudoLabels" => PseudoLabels::WGSL,
        "Reduction" => Reduction::WGSL,
        "Step" => Step::WGSL,
        "lane" => include_str!("../../shaders/shared/lane_shuffle.wgsl"),
        "random" => include_str!("../../shaders/shared/random.wgsl"),
        "adam" => include_str!("../../shaders/shared/adam.wgsl"),
        "lanes" if forms.alone => include_str!("../../shaders/shared/lanes_alone.wgsl"),
        "lanes" => include_str!("../../shaders/shared/lanes.wgsl"),
        "multiply" => include_str!("../../shaders/shared/multiply.wgsl"),
        "accumulate" => include_str!("../../shaders/shared/accumulate.wgsl"),
        "tile" => include_str!("../../shaders/shared/tile.wgsl"),
        "product" if forms.shared => include_str!("../../shaders/shared/product_shared.wgsl"),
        "product" if forms.shuffle => include_str!("../../shaders/shared/product_shuffle.wgsl"),
        "product" => include_str!("../../shaders/shared/product.wgsl"),
        "gradient_tile" => include_str!("../../shaders/shared/gradient_tile.wgsl"),
        "gradient" if forms.shared => include_str!("../../shaders/shared/gradient_shared.wgsl"),
        "gradient" if forms.shuffle => include_str!("../../shaders/shared/gradient_shuffle.wgsl"),
        "gradient" => include_str!("../../shaders/shared/gradient.wgsl"),
        "stage" => include_str!("../../shaders/shared/stage.wgsl"),
        "row_scale" => include_str!("../../shaders/shared/row_scale.wgsl"),
        "tree_sum" => include_str!("../../shaders/shared/tree_sum.wgsl"),
        "records" => include_str!("../../shaders/shared/records.wgsl"),
        "augment" => include_str!("../../shaders/shared/augment.wgsl"),
        "cosine_distance" => include_str!("../../shaders/shared/cosine_distance.wgsl"),
        "cosine_loss" => include_str!("../../shaders/shared/cosine_loss.wgsl"),
        "label_loss" => include_str!("../../shaders/shared/label_loss.wgsl"),
        "selection" => include_str!("../../shaders/shared/selection.wgsl"),
        "class_sums" => include_str!("../../shaders/shared/class_sums.wgsl"),
        "prototype_loss" => include_str!("../../shaders/shared/prototype_loss.wgsl"),
        "normalize_gradient" => include_str!("../../shaders/shared/normalize_gradient.wgsl"),
        "output_loss" => include_str!("../../shaders/shared/output_loss.wgsl"),
        _ => return None,
    })
}

/// Appends `source` with its imports in their places, each once.
fn assemble<'a>(source: &'a str, forms: Forms, text: &mut String, imported: &mut Vec<&'a str>) {
    for line in source.lines() {
        match line.strip_prefix("#import ") {
            Some(name) if imported.contains(&name) => {}
            Some(name) => {
                imported.push(name);
                // What does not exist stays as it stands: the compiler refuses it by name.
                assemble(import(name, forms).unwrap_or(line.trim_start_matches('#')), forms, text, imported);
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
}

/// A kernel with its compile-time constants: what a pipeline is made from.
///
/// The constants are prepended as WGSL `const`s: they size arrays in registers, which a pipeline-overridable constant may not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The kernel.
    pub kernel: Kernel,
    /// How it sees its buffers.
    pub bindings: Vec<Binding>,
    constants: Vec<(&'static str, Constant)>,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Constant {
    Size(u32),
    Flag(bool),
}

impl Variant {
    /// A kernel without constants. Its operation knows the bindings: [`super::Operation::variant`].
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, bindings: Vec::new(), constants: Vec::new(), order: Order::Natural }
    }

    /// Adds a whole number.
    pub fn size(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, Constant::Size(value)));
        self
    }

    /// Adds a flag.
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.constants.push((name, Constant::Flag(value)));
        self
    }

    /// The same kernel in another order of workgroups and invocations.
    pub fn in_order(&self, order: Order) -> Self {
        Self { order, ..self.clone() }
    }

    fn shuffles(&self) -> bool {
        self.constants.contains(&("SHUFFLE", Constant::Flag(true)))
    }

    /// The whole shader.
    pub fn wgsl(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.constants {
            // Writing to a String cannot fail.
            let _ = match value {
                Constant::Size(size) => writeln!(text, "const {name}: u32 = {size}u;"),
                Constant::Flag(flag) => writeln!(text, "const {name}: bool = {flag};"),
            };
        }
        let has = |constant| self.constants.contains(&constant);
        let forms = Forms {
            shuffle: self.shuffles(),
            alone: has(("LANES", Constant::Size(1))),
            shared: has(("SHARED", Constant::Flag(true))),
        };
        assemble(self.kernel.source(), forms, &mut text, &mut Vec::new());
        match self.order {
            Order::Natural => text,
            // Without an entry point as it should be there is none at all, which the compiler refuses.
            order => reorder(&text, order, self.shuffles()).unwrap_or_default(),
        }
    }
}
