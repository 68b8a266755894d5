//! Runs programs in main memory. Operations that need nothing of another slot follow each other on one core; slots run beside each
//! other on all cores.

use crate::arithmetic::Arithmetic;
use crate::kernels::{Access, Data, Element, Level, Memory, Operation, Tensor, Whose};
use crate::layout::Step;
use crate::parallel;
use crate::program::TensorSpec;
use std::mem::take;

/// Every tensor of a run.
pub struct Store {
    /// `[tensor][copy]`.
    values: Vec<Vec<Data<f32>>>,
    /// What each tensor has copies for.
    levels: Vec<Level>,
    /// Room that operations of a slot use in turn.
    scratch: Vec<Vec<f32>>,
    slots: usize,
}

/// Operations in which no slot (or view, or replica) waits for another.
pub struct Phase {
    level: Level,
    operations: Vec<Operation>,
    /// What they write.
    written: Vec<Tensor>,
    /// For each tensor of the run its place in `written`.
    places: Vec<Option<u32>>,
}

impl Store {
    /// Everything zero.
    pub fn new(specs: &[TensorSpec], slots: usize) -> Self {
        // Where each slot has a core of its own, each gathers its batch for itself: that takes less time than passing it from cache to
        // cache.
        let apart = slots <= parallel::threads();
        let level = |spec: &TensorSpec| match spec.per {
            Level::View(_) if apart => Level::Slot,
            level => level,
        };
        let levels: Vec<Level> = specs.iter().map(level).collect();
        let copies = |(spec, level): (&TensorSpec, &Level)| {
            let zeros = match spec.element {
                Element::Number => Data::Numbers(vec![0.0; spec.words]),
                Element::Word => Data::Words(vec![0; spec.words]),
            };
            vec![zeros; level.count(slots)]
        };
        Self { values: specs.iter().zip(&levels).map(copies).collect(), levels, scratch: vec![Vec::new(); slots], slots }
    }

    /// All copies of a tensor.
    pub fn copies(&self, tensor: Tensor) -> &[Data<f32>] {
        &self.values[tensor.index()]
    }

    /// The same, to be changed.
    pub fn copies_mut(&mut self, tensor: Tensor) -> &mut [Data<f32>] {
        &mut self.values[tensor.index()]
    }

    /// Copies one tensor's numbers to another of the same shape.
    pub fn copy(&mut self, from: Tensor, to: Tensor) {
        let mut target = take(&mut self.values[to.index()]);
        target.iter_mut().zip(self.copies(from)).for_each(|(target, source)| target.clone_from(source));
        self.values[to.index()] = target;
    }

    /// Zeroes a tensor's numbers.
    pub fn clear(&mut self, tensor: Tensor) {
        for copy in self.copies_mut(tensor) {
            match copy {
                Data::Numbers(numbers) => numbers.fill(0.0),
                Data::Words(words) => words.fill(0),
            }
        }
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> usize {
        let words = self.values.iter().flatten().map(|copy| copy.numbers().len() + copy.words().len()).sum::<usize>();
        4 * (words + self.scratch.iter().map(Vec::len).sum::<usize>())
    }

    /// Cuts a program where a slot needs what another has written, or writes what another has read.
    pub fn phases(&self, program: &[Operation]) -> Vec<Phase> {
        let mut phases: Vec<Phase> = Vec::new();
        let mut foreign: Vec<Tensor> = Vec::new();
        for operation in program {
            let description = operation.describe();
            let level = match description.level() {
                // As many batches as slots: each slot fetches its own.
                Level::View(_)
                    if self.operands(operation, Access::Write).all(|(tensor, _)| self.level(tensor) == Level::Slot) =>
                {
                    Level::Slot
                }
                level => level,
            };
            let crosses = |phase: &Phase| {
                self.operands(operation, Access::Read)
                    .any(|(tensor, whose)| whose != Whose::Own && phase.written.contains(&tensor))
                    || self.operands(operation, Access::Write).any(|(tensor, _)| foreign.contains(&tensor))
            };
            if phases.last().is_none_or(|phase| phase.level != level || crosses(phase)) {
                phases.push(Phase { level, operations: Vec::new(), written: Vec::new(), places: vec![None; self.levels.len()] });
                foreign.clear();
            }
            if let Some(phase) = phases.last_mut() {
                phase.operations.push(operation.clone());
                for (tensor, _) in self.operands(operation, Access::Write) {
                    if phase.places[tensor.index()].is_none() {
                        phase.places[tensor.index()] = Some(phase.written.len() as u32);
                        phase.written.push(tensor);
                    }
                }
                let others = self.operands(operation, Access::Read).filter(|&(_, whose)| whose != Whose::Own);
                foreign.extend(others.map(|(tensor, _)| tensor));
            }
        }
        phases
    }

    fn level(&self, tensor: Tensor) -> Level {
        self.levels[tensor.index()]
    }

    fn operands(&self, operation: &Operation, access: Access) -> impl Iterator<Item = (Tensor, Whose)> {
        let operands = operation.describe().operands().into_iter().filter(move |operand| operand.access == access);
        operands.filter_map(|operand| Some((operand.tensor?, operand.whose)))
    }

    /// Runs one phase for all slots.
    pub fn run<A: Arithmetic<Stored = f32>>(&mut self, phase: &Phase, step: &Step) {
        let count = phase.level.count(self.slots);
        let mut units: Vec<Own> = (0..count)
            .map(|unit| Own {
                values: phase.written.iter().map(|tensor| take(&mut self.values[tensor.index()][unit])).collect(),
                scratch: take(&mut self.scratch[unit]),
            })
            .collect();
        let work = |(unit, own): (usize, &mut Own)| {
            let slot = phase.level.first_slot(unit);
            let mut memory = Unit { store: self, phase, step, slot, own };
            phase.operations.iter().for_each(|operation| operation.run::<A>(&mut memory));
        };
        if count == 1 {
            units.iter_mut().enumerate().for_each(work);
        } else {
            parallel::for_each(&mut units, work);
        }
        for (unit, own) in units.into_iter().enumerate() {
            self.scratch[unit] = own.scratch;
            for (tensor, values) in phase.written.iter().zip(own.values) {
                self.values[tensor.index()][unit] = values;
            }
        }
    }
}

/// What one slot writes in a phase.
struct Own {
    values: Vec<Data<f32>>,
    scratch: Vec<f32>,
}

/// A slot in a phase: what the phase writes is its own, everything else is shared.
struct Unit<'a> {
    store: &'a Store,
    phase: &'a Phase,
    step: &'a Step,
    slot: usize,
    own: &'a mut Own,
}

impl Unit<'_> {
    fn place(&self, tensor: Tensor) -> Option<usize> {
        self.phase.places[tensor.index()].map(|place| place as usize)
    }
}

impl Memory<f32> for Unit<'_> {
    fn step(&self) -> &Step {
        self.step
    }

    fn slot(&self) -> usize {
        self.slot
    }

    fn copy(&self, tensor: Tensor, copy: usize) -> &Data<f32> {
        &self.store.values[tensor.index()][copy]
    }

    fn of(&self, tensor: Tensor, slot: usize) -> &Data<f32> {
        match self.place(tensor) {
            Some(place) => &self.own.values[place],
            None => self.copy(tensor, self.store.level(tensor).unit(slot)),
        }
    }

    fn take(&mut self, tensor: Tensor) -> Vec<f32> {
        match self.place(tensor).map(|place| take(&mut self.own.values[place])) {
            Some(Data::Numbers(numbers)) => numbers,
            _ => Vec::new(),
        }
    }

    fn take_words(&mut self, tensor: Tensor) -> Vec<u32> {
        match self.place(tensor).map(|place| take(&mut self.own.values[place])) {
            Some(Data::Words(words)) => words,
            _ => Vec::new(),
        }
    }

    fn put(&mut self, tensor: Tensor, values: Data<f32>) {
        if let Some(place) = self.place(tensor) {
            self.own.values[place] = values;
        }
    }

    fn take_scratch(&mut self, length: usize) -> Vec<f32> {
        let mut scratch = take(&mut self.own.scratch);
        scratch.resize(length, 0.0);
        scratch
    }

    fn put_scratch(&mut self, scratch: Vec<f32>) {
        self.own.scratch = scratch;
    }
}
