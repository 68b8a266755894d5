//! A dispatch that is run again, and in other orders: its bits may not change.

use super::Row;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::run_once::{Argument, run_once};
use crate::kernels::Variant;
use crate::kernels::order::Order;

/// Bytes of results up to which other orders are tried: several workgroups, and every shape of tail, at little cost.
const SMALL: usize = 1 << 15;
/// Bytes of results from which on a software adapter, for which they take long, runs nothing again.
const LARGE: usize = 1 << 20;

/// Runs `variant` as [`run_once`] does, then again; where the results are small in each of the `orders`, of which the natural one is the
/// first. Any bit that differs fails. With wgpu's checks in the shaders it runs once: they are not what is trained with, and each order
/// costs a compilation.
pub(super) async fn run(
    context: &Context,
    row: &mut Row,
    variant: &Variant,
    arguments: &mut [Argument<'_>],
    (groups, orders): ([u32; 3], &[Order]),
) -> Result<()> {
    if context.has_shader_checks() {
        return run_once(context, variant, arguments, groups).await;
    }
    let before = written(arguments);
    run_once(context, variant, arguments, groups).await?;
    let expected = written(arguments);
    let bytes: usize = expected.iter().map(Vec::len).sum();
    let orders = match bytes {
        ..=SMALL => orders,
        LARGE.. if context.description.is_software() => &[],
        _ => &orders[..1],
    };
    for &order in orders {
        write(arguments, &before);
        run_once(context, &variant.in_order(order), arguments, groups).await?;
        row.reruns += 1;
        for (buffer, (actual, expected)) in written(arguments).iter().zip(&expected).enumerate() {
            if let Some(place) = actual.iter().zip(expected).position(|(actual, expected)| actual != expected) {
                row.compare(f64::INFINITY, 0.0, || {
                    format!("written buffer {buffer}, byte {place}: another value when run again, {order:?}")
                });
            }
        }
    }
    write(arguments, &expected);
    Ok(())
}

/// What the buffers hold that the kernel writes.
fn written(arguments: &[Argument]) -> Vec<Vec<u8>> {
    let content = |argument: &Argument| if let Argument::Write(bytes) = argument { Some(bytes.to_vec()) } else { None };
    arguments.iter().filter_map(content).collect()
}

/// Puts it back.
fn write(arguments: &mut [Argument], contents: &[Vec<u8>]) {
    let buffers =
        arguments.iter_mut().filter_map(|argument| if let Argument::Write(bytes) = argument { Some(bytes) } else { None });
    buffers.zip(contents).for_each(|(bytes, content)| bytes.copy_from_slice(content));
}
