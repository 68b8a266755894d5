use super::*;

/// A tensor has a reader and a writer, or comes with the data, or is the host's.
#[test]
fn no_tensor_is_idle() {
    for config in configs(&[784, 64, 64, 10]) {
        let programs = programs(&config, Plan::Layered);
        let mut used = vec![false; programs.tensors.len()];
        for operation in programs.operations() {
            for tensor in operation.describe().operands().iter().filter_map(|operand| operand.tensor) {
                used[tensor.index()] = true;
            }
        }
        for layer in &programs.parameters {
            used[layer.weights.index()] = true;
            // A method that leaves a layer as it is keeps its moments at zero.
            [layer.first_moments, layer.second_moments].into_iter().for_each(|tensor| used[tensor.index()] = true);
        }
        let idle: Vec<_> = programs.tensors.iter().zip(used).filter(|(_, used)| !used).map(|(spec, _)| &spec.name).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }
}

/// Main memory that notes what an operation reaches.
struct Noting<'a> {
    specs: &'a [TensorSpec],
    /// `[tensor][copy]`.
    values: Vec<Vec<Data<f32>>>,
    step: Step,
    slot: usize,
    seen: RefCell<Vec<(Tensor, Access, Whose)>>,
}

impl<'a> Noting<'a> {
    fn new(programs: &'a Programs, step: Step) -> Self {
        let zeros = |spec: &TensorSpec| match spec.element {
            Element::Number => Data::Numbers(vec![0.0; spec.words]),
            Element::Word => Data::Words(vec![0; spec.words]),
        };
        let copies = |spec: &TensorSpec| vec![zeros(spec); spec.per.count(programs.slots)];
        let values = programs.tensors.iter().map(copies).collect();
        Self { specs: &programs.tensors, values, step, slot: 0, seen: RefCell::default() }
    }

    fn note(&self, tensor: Tensor, access: Access, whose: Whose) {
        let seen = (tensor, access, whose);
        if !self.seen.borrow().contains(&seen) {
            self.seen.borrow_mut().push(seen);
        }
    }

    fn written(&mut self, tensor: Tensor) -> &mut Data<f32> {
        self.note(tensor, Access::Write, Whose::Own);
        &mut self.values[tensor.index()][self.specs[tensor.index()].per.unit(self.slot)]
    }
}

impl Memory<f32> for Noting<'_> {
    fn step(&self) -> &Step {
        &self.step
    }

    fn slot(&self) -> usize {
        self.slot
    }

    fn copy(&self, tensor: Tensor, copy: usize) -> &Data<f32> {
        self.note(tensor, Access::Read, Whose::All);
        &self.values[tensor.index()][copy]
    }

    fn of(&self, tensor: Tensor, slot: usize) -> &Data<f32> {
        self.note(tensor, Access::Read, if slot == self.slot { Whose::Own } else { Whose::Partner });
        &self.values[tensor.index()][self.specs[tensor.index()].per.unit(slot)]
    }

    fn take(&mut self, tensor: Tensor) -> Vec<f32> {
        self.written(tensor).numbers().to_vec()
    }

    fn take_words(&mut self, tensor: Tensor) -> Vec<u32> {
        self.written(tensor).words().to_vec()
    }

    fn put(&mut self, tensor: Tensor, values: Data<f32>) {
        *self.written(tensor) = values;
    }

    fn take_scratch(&mut self, length: usize) -> Vec<f32> {
        vec![0.0; length]
    }

    fn put_scratch(&mut self, _: Vec<f32>) {}
}

/// Main memory gives an operation that writes something else nothing to write to, and its phase might not wait for what it reads; so operands
/// must be all that a reference reaches, and no more.
#[test]
fn references_reach_their_operands_and_nothing_else() {
    for config in configs(&[12, 9, 7, 5]) {
        let programs = programs(&config, Plan::Layered);
        let mut memory = Noting::new(&programs, Step::new(0, config.batch_size, &config.adam, 1));
        for operation in programs.operations() {
            let description = operation.describe();
            for unit in 0..description.level().count(programs.slots) {
                memory.slot = description.level().first_slot(unit);
                operation.run::<Single>(&mut memory);
            }
            let seen = memory.seen.take();
            let operands: Vec<_> = description
                .operands()
                .iter()
                .filter_map(|operand| Some((operand.tensor?, operand.access, operand.whose)))
                .collect();
            for &(tensor, access, whose) in &seen {
                let own = access == Access::Read && whose == Whose::Own;
                // Who reads the partner's copy may read its own beside it, and who writes may read what it wrote.
                let allowed = |&(other, granted, of): &(Tensor, Access, Whose)| {
                    other == tensor && (own || (granted, of) == (access, whose))
                };
                assert!(operands.iter().any(allowed), "{operation:?} reaches {}", programs.spec(tensor).name);
            }
            for operand in &operands {
                assert!(seen.contains(operand), "{operation:?} does without {}", programs.spec(operand.0).name);
            }
        }
    }
}
