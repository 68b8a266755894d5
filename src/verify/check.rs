//! One case on a device and by the reference, number by number.

use super::Row;
use super::rerun::run;
use crate::arithmetic::bounded::{Bounded, Bounding};
use crate::engine::DeviceDescription;
use crate::error::Result;
use crate::gpu::choice::fits;
use crate::gpu::context::Context;
use crate::gpu::run_once::Argument;
use crate::kernels::case::{Case, CaseTensor, Comparison, SLOTS};
use crate::kernels::order::Order;
use crate::kernels::tiles::{Knob, Tiles};
use crate::kernels::{Access, Data, Launch, Level, Memory, Operand, Operation, Pack, Tensor, Variant};
use crate::layout::Step;
use std::mem::take;

/// What a device leaves in every tensor.
type Contents = Vec<Data<f32>>;

/// How many cases a kernel meets, and shapes of tiles in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// All of them.
    Whole,
    /// Of the shapes those that the device is given, and the next one of all for each case, each in one other order of workgroups and
    /// invocations. Of fused kernels, whose shaders are made for one network each, a quarter of the cases; those in which the shape decides the
    /// order of sums meet the next shape alone. For software adapters, which take up to two seconds to compile a shader.
    Rotating,
}

impl Sweep {
    /// What suits a device.
    pub fn for_device(description: &DeviceDescription) -> Self {
        if description.is_software() { Self::Rotating } else { Self::Whole }
    }

    /// What remains of all `shapes` for case `number`, of those that the device is given and of the others.
    fn of_case(self, given: Vec<Shape>, mut all: Vec<Shape>, number: usize, alone: bool) -> Vec<Shape> {
        if self == Self::Whole || all.is_empty() {
            return all;
        }
        let other = all.swap_remove(number % all.len());
        if alone { vec![other] } else { distinct(given.into_iter().chain([other])) }
    }

    /// The orders in which a shader with small results is run again.
    fn orders(self, number: usize) -> &'static [Order] {
        match (self, number % 2) {
            (Self::Whole, _) => &Order::ALL,
            (Self::Rotating, 0) => &[Order::Natural, Order::Reversed],
            (Self::Rotating, _) => &[Order::Natural, Order::Interleaved],
        }
    }
}

/// A case's shader and grid by one set of tiles.
struct Shape {
    tiles: Tiles,
    variant: Variant,
    groups: [u32; 3],
}

/// Those that make different shaders or grids.
fn distinct(shapes: impl Iterator<Item = Shape>) -> Vec<Shape> {
    let mut kept: Vec<Shape> = Vec::new();
    for shape in shapes {
        if !kept.iter().any(|other| (&other.variant, other.groups) == (&shape.variant, shape.groups)) {
            kept.push(shape);
        }
    }
    kept
}

/// Every set of shapes that a device can run, each with its small and its large tiles; and of the settings that tuning tries one of each
/// knob, another one for the next `number`.
pub fn launches(subgroup_size: Option<u32>, number: usize) -> Vec<Tiles> {
    let possible = Tiles::possible(subgroup_size);
    let tried = possible.iter().flat_map(|tiles| {
        let one = |&knob: &Knob| {
            let candidates = tiles.candidates(knob, subgroup_size);
            let candidate = candidates[number % candidates.len()];
            // Whatever class a layer of the case is of.
            candidate.extremes()[usize::from(matches!(knob, Knob::ForwardLarge | Knob::UpdateLarge | Knob::FusedLarge))]
        };
        Knob::ALL.iter().map(one).collect::<Vec<_>>()
    });
    possible.iter().flat_map(Tiles::extremes).chain(tried).collect()
}

/// Runs a kernel's case `number` with every shape of tile that makes another shader or grid, as far as `sweep` goes, and compares.
pub async fn check(context: &Context, row: &mut Row, case: &Case, number: usize, sweep: Sweep) -> Result<()> {
    let description = case.operation.describe();
    let mut first: Option<Contents> = None;
    // A fused operation's reference continues from what the device left.
    let mut expected = None;
    let fused = !description.replaced().is_empty();
    // Of others, whose bits may not depend on the shape, some are compared.
    let alone = fused && !description.is_independent_of_tiles();
    let shapes = |tiles: Vec<Tiles>| {
        let shape = |tiles: Tiles| {
            let launch = Launch { tiles: &tiles, slots: SLOTS };
            let (variant, groups) = (case.operation.variant(launch), description.groups(launch));
            fits(context, &case.operation, launch).then_some(Shape { tiles, variant, groups })
        };
        distinct(tiles.into_iter().filter_map(shape))
    };
    let given = Tiles::for_device(&context.description, context.subgroup_size).extremes().to_vec();
    let all = shapes(launches(context.subgroup_size, number));
    for Shape { tiles, variant, groups } in sweep.of_case(shapes(given), all, number, alone) {
        let actual = on_device(context, row, case, &variant, (groups, sweep.orders(number))).await?;
        row.cases += 1;
        let reference = match expected.take() {
            Some(reference) if !fused => reference,
            _ => Reference::run(case, &actual),
        };
        reference.compare(row, case, &actual);
        expected = Some(reference);
        if description.is_independent_of_tiles() {
            let first = first.get_or_insert_with(|| actual.clone());
            compare_bits(row, &format!("{}: {tiles:?}", case.name), case, &actual, first);
        }
    }
    Ok(())
}

/// Uploads a case, runs it, and reads back what it wrote.
async fn on_device(
    context: &Context,
    row: &mut Row,
    case: &Case,
    variant: &Variant,
    (groups, orders): ([u32; 3], &[Order]),
) -> Result<Contents> {
    let description = case.operation.describe();
    let parameters = description.parameters();
    let operands = description.operands();
    let mut buffers: Vec<Vec<u8>> = operands.iter().map(|operand| bytes_of(case, operand)).collect();
    let mut arguments = vec![Argument::Uniform(&parameters)];
    if description.reads_step() {
        arguments.push(Argument::Uniform(bytemuck::bytes_of(&case.step)));
    }
    arguments.extend(operands.iter().zip(&mut buffers).map(|(operand, bytes)| match operand.access {
        Access::Read => Argument::Read(bytes),
        Access::Write => Argument::Write(bytes),
    }));
    run(context, row, variant, &mut arguments, (groups, orders)).await?;
    let mut contents: Contents = case.tensors.iter().map(|tensor| tensor.content.clone()).collect();
    for (operand, bytes) in operands.iter().zip(&buffers).filter(|(operand, _)| operand.access == Access::Write) {
        for (tensor, first) in members(case, operand) {
            let content = &mut contents[tensor.index()];
            let bytes = &bytes[4 * first..];
            let target: &mut [u8] = match content {
                Data::Numbers(numbers) => bytemuck::cast_slice_mut(numbers),
                Data::Words(words) => bytemuck::cast_slice_mut(words),
            };
            target.copy_from_slice(&bytes[..target.len()]);
        }
    }
    Ok(contents)
}

/// The tensors that an operand reaches, with their first numbers in its buffer.
fn members(case: &Case, operand: &Operand) -> Vec<(Tensor, usize)> {
    let Some(tensor) = operand.tensor else { return Vec::new() };
    let pack = |tensor: &CaseTensor| tensor.pack.filter(|_| operand.packed);
    match pack(&case.tensors[tensor.index()]) {
        Some((shared, _)) => {
            let of = |(index, other): (u32, &CaseTensor)| {
                pack(other).filter(|&(pack, _)| pack == shared).map(|(_, first): (Pack, usize)| (Tensor(index), first))
            };
            (0..).zip(&case.tensors).filter_map(of).collect()
        }
        None => vec![(tensor, 0)],
    }
}

/// An operand's buffer before the operation; a few numbers where a variant has no use for it.
fn bytes_of(case: &Case, operand: &Operand) -> Vec<u8> {
    let mut words: Vec<u32> = vec![0; 4];
    for (tensor, first) in members(case, operand) {
        let content: Vec<u32> = match &case.tensors[tensor.index()].content {
            Data::Numbers(numbers) => numbers.iter().map(|number| number.to_bits()).collect(),
            Data::Words(content) => content.clone(),
        };
        words.resize(words.len().max(first + content.len()), 0);
        words[first..first + content.len()].copy_from_slice(&content);
    }
    bytemuck::cast_slice(&words).to_vec()
}

/// What the reference makes of a case, copy by copy.
struct Reference {
    /// `[tensor][copy]`; empty where nothing is written.
    written: Vec<Vec<Data<Bounded>>>,
}

impl Reference {
    /// Runs the operation, or, if it is made of others, these; each reads what the device left of those before it, so that every number is
    /// held to the error of one operation, and an error shows where it arises.
    fn run(case: &Case, device: &Contents) -> Self {
        let description = case.operation.describe();
        let operations = match description.replaced() {
            [] => std::slice::from_ref(&case.operation),
            replaced => replaced,
        };
        let writes = |operation: &Operation| -> Vec<Tensor> {
            let operands = operation.describe().operands();
            operands.iter().filter(|operand| operand.access == Access::Write).filter_map(|operand| operand.tensor).collect()
        };
        let before: Vec<Vec<Data<f32>>> = case.tensors.iter().map(|tensor| copies(tensor, &tensor.content)).collect();
        let mut given = before.clone();
        let mut reference = Self { written: vec![Vec::new(); case.tensors.len()] };
        let reached: Vec<Tensor> =
            description.operands().iter().flat_map(|operand| members(case, operand)).map(|(tensor, _)| tensor).collect();
        for operation in operations {
            for tensor in writes(operation) {
                let written = &mut reference.written[tensor.index()];
                if written.is_empty() {
                    *written = before[tensor.index()].iter().map(exact).collect();
                }
            }
            let level = operation.describe().level();
            for unit in 0..level.count(SLOTS) {
                let slot = level.first_slot(unit);
                operation.run::<Bounding>(&mut CheckMemory { case, given: &given, written: &mut reference.written, slot });
            }
            for tensor in writes(operation) {
                given[tensor.index()] = match reached.contains(&tensor) {
                    true => copies(&case.tensors[tensor.index()], &device[tensor.index()]),
                    // The fused kernel keeps these whole numbers to itself.
                    false => reference.written[tensor.index()].iter().map(|copy| Data::Words(copy.words().to_vec())).collect(),
                };
            }
        }
        for (index, written) in (0..).zip(&mut reference.written) {
            if !reached.contains(&Tensor(index)) {
                written.clear();
            }
        }
        reference
    }

    fn compare(&self, row: &mut Row, case: &Case, actual: &Contents) {
        for (index, (tensor, written)) in
            case.tensors.iter().zip(&self.written).enumerate().filter(|(_, (_, copies))| !copies.is_empty())
        {
            for (copy, (actual, expected)) in copies(tensor, &actual[index]).iter().zip(written).enumerate() {
                let name = format!("{}: tensor {index}, copy {copy}", case.name);
                match (actual, expected) {
                    (Data::Numbers(actual), Data::Numbers(expected)) => {
                        compare_numbers(row, &name, &tensor.comparison, copy, actual, expected);
                    }
                    (actual, expected) => row.compare_exactly(&name, actual.words(), expected.words()),
                }
            }
        }
    }
}

fn compare_numbers(row: &mut Row, name: &str, comparison: &Comparison, copy: usize, actual: &[f32], expected: &[Bounded]) {
    match comparison {
        Comparison::Each => row.compare_all(name, actual, expected),
        Comparison::Within(tolerance) => {
            for (index, (&actual, expected)) in actual.iter().zip(expected).enumerate() {
                let error = (f64::from(actual) - expected.value).abs();
                row.compare(error, *tolerance, || format!("{name} [{index}]: {actual} for {}", expected.value));
            }
        }
        // The reference writes a whole sum, the device parts of it, which are added up exactly here.
        Comparison::Sums(length) => {
            for (index, (actual, expected)) in actual.chunks_exact(*length).zip(expected.chunks_exact(*length)).enumerate() {
                let sum: f64 = actual.iter().map(|&part| f64::from(part)).sum();
                row.compare((sum - expected[0].value).abs(), expected[0].error, || {
                    format!("{name} sum {index}: {sum} for {:?}", expected[0])
                });
            }
        }
        Comparison::Rows(length, decided) => {
            let rows = actual.chunks_exact(*length).zip(expected.chunks_exact(*length));
            let first = copy * actual.len() / length;
            for (index, (actual, expected)) in rows.enumerate().filter(|(index, _)| decided[first + index]) {
                row.compare_all(&format!("{name}, row {index}"), actual, expected);
            }
        }
    }
}

/// A tile's shape may not change a bit.
fn compare_bits(row: &mut Row, name: &str, case: &Case, actual: &Contents, first: &Contents) {
    for operand in case.operation.describe().operands() {
        for (tensor, _) in members(case, &operand).into_iter().filter(|_| operand.access == Access::Write) {
            let bits = |content: &Contents| match &content[tensor.index()] {
                Data::Numbers(numbers) => numbers.iter().map(|number| number.to_bits()).collect(),
                Data::Words(words) => words.clone(),
            };
            row.compare_exactly(name, &bits(actual), &bits(first));
        }
    }
}

/// A tensor's copies.
fn copies(tensor: &CaseTensor, content: &Data<f32>) -> Vec<Data<f32>> {
    let count = tensor.per.count(SLOTS);
    let length = content.numbers().len().max(content.words().len()) / count;
    match content {
        Data::Numbers(numbers) => numbers.chunks_exact(length).map(|copy| Data::Numbers(copy.to_vec())).collect(),
        Data::Words(words) => words.chunks_exact(length).map(|copy| Data::Words(copy.to_vec())).collect(),
    }
}

/// Numbers as the reference's: exact.
fn exact(data: &Data<f32>) -> Data<Bounded> {
    match data {
        Data::Numbers(numbers) => Data::Numbers(numbers.iter().map(|&number| number.into()).collect()),
        Data::Words(words) => Data::Words(words.clone()),
    }
}

/// A case as an operation sees it that runs by the reference.
struct CheckMemory<'a> {
    case: &'a Case,
    /// `[tensor][copy]`: what operations read.
    given: &'a [Vec<Data<f32>>],
    /// The same for what they write.
    written: &'a mut [Vec<Data<Bounded>>],
    slot: usize,
}

impl CheckMemory<'_> {
    fn level(&self, tensor: Tensor) -> Level {
        self.case.tensors[tensor.index()].per
    }

    fn target(&mut self, tensor: Tensor) -> Option<&mut Data<Bounded>> {
        let unit = self.level(tensor).unit(self.slot);
        self.written[tensor.index()].get_mut(unit)
    }
}

impl Memory<Bounded> for CheckMemory<'_> {
    fn step(&self) -> &Step {
        &self.case.step
    }

    fn slot(&self) -> usize {
        self.slot
    }

    fn copy(&self, tensor: Tensor, copy: usize) -> &Data<f32> {
        &self.given[tensor.index()][copy]
    }

    fn of(&self, tensor: Tensor, slot: usize) -> &Data<f32> {
        self.copy(tensor, self.level(tensor).unit(slot))
    }

    fn take(&mut self, tensor: Tensor) -> Vec<Bounded> {
        match self.target(tensor).map(take) {
            Some(Data::Numbers(numbers)) => numbers,
            _ => Vec::new(),
        }
    }

    fn take_words(&mut self, tensor: Tensor) -> Vec<u32> {
        match self.target(tensor).map(take) {
            Some(Data::Words(words)) => words,
            _ => Vec::new(),
        }
    }

    fn put(&mut self, tensor: Tensor, values: Data<Bounded>) {
        if let Some(target) = self.target(tensor) {
            *target = values;
        }
    }

    fn take_scratch(&mut self, length: usize) -> Vec<Bounded> {
        vec![f32::NAN.into(); length]
    }

    fn put_scratch(&mut self, _: Vec<Bounded>) {}
}
