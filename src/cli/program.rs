//! `ffcl-gpu program`: what a training step does, dispatch by dispatch.

use super::arguments::ProgramOptions;
use super::terminal::{print, print_line};
use ffcl_gpu::config::{Extent, Idle};
use ffcl_gpu::kernels::tiles::Tiles;
use ffcl_gpu::kernels::{Access, Launch, Operand, Operation, Whose};
use ffcl_gpu::program::{Plan, Programs, unfusible};
use ffcl_gpu::{Error, Result};

/// Prints the operations of each stage, or the shader of one.
pub fn run(options: &ProgramOptions) -> Result<()> {
    let config = options.options.check(Extent::default(), Idle::Refused(&options.options.given()))?;
    let plan = if options.fused { Plan::Fused } else { Plan::Layered };
    if let (Plan::Fused, Some(reason)) = (plan, unfusible(&config)) {
        return Err(Error::Configuration(format!("--fused is not possible: {reason}; remove it")));
    }
    let programs = Programs::on_blank_images(&config, plan)?;
    if let Some(number) = options.wgsl {
        let operations: Vec<&Operation> = programs.stages.iter().flatten().collect();
        let operation = operations.get(number).ok_or_else(|| {
            let count = operations.len();
            Error::Configuration(format!("--wgsl {number} is not a dispatch of this step; give a number below {count}"))
        })?;
        let launch = Launch { tiles: &Tiles::GPU, slots: programs.slots };
        return print(operation.variant(launch).wgsl().as_bytes());
    }
    let mut number = 0;
    for (stage, operations) in programs.stages.iter().enumerate() {
        print_line(&format!("stage {}: {} dispatches a step, {plan} plan", stage + 1, operations.len()))?;
        for operation in operations {
            let list = |access: Access| {
                let operands = operation.describe().operands().into_iter().filter(|operand| operand.access == access);
                operands.filter_map(|operand| name(&programs, operand)).collect::<Vec<_>>().join(", ")
            };
            print_line(&format!("{number:>4}  {}", operation.kernel().name()))?;
            print_line(&format!("        reads   {}", list(Access::Read)))?;
            print_line(&format!("        writes  {}", list(Access::Write)))?;
            number += 1;
        }
    }
    Ok(())
}

fn name(programs: &Programs, operand: Operand) -> Option<String> {
    let spec = programs.spec(operand.tensor?);
    let name = spec.name.trim_start_matches("training: ");
    Some(match (operand.packed, operand.whose) {
        (true, _) => format!("{name} and what shares its buffer"),
        (_, Whose::Own) => name.to_owned(),
        (_, Whose::Partner) => format!("{name} (also the partner's)"),
        (_, Whose::All) => format!("{name} (everybody's)"),
    })
}
