// How a register tile's sums reach the code that uses them up. GPU compilers unroll that code and keep the sums in registers. A
// software adapter's compiler gives up unrolling long code, and then keeps the whole tile in memory, during the product too. So
// with STAGE each invocation copies its sums to workgroup memory in short loops, and long loops read them from there. Nobody
// else reads them: no barrier.
//
// The kernel defines THREADS and TILE, the sums of an invocation: a multiple of 8 if STAGE.

var<workgroup> staged: array<vec4<f32>, select(1u, THREADS * TILE, STAGE)>;

fn stage(thread: u32, sums: ptr<function, array<vec4<f32>, TILE>>) {
    if (STAGE) {
        for (var i = 0u; i < TILE / 8u; i++) {
            for (var j = 0u; j < 8u; j++) {
                staged[(8u * i + j) * THREADS + thread] = (*sums)[8u * i + j];
            }
        }
    }
}

fn staged_sum(thread: u32, sums: ptr<function, array<vec4<f32>, TILE>>, i: u32) -> vec4<f32> {
    if (STAGE) {
        return staged[i * THREADS + thread];
    }
    return (*sums)[i];
}

// The limit of a loop, in a form that the compiler cannot see through if STAGE, so that it does not unroll the loop: it does not know
// what is in a uniform.
fn rolled(one_or_more: u32, limit: u32) -> u32 {
    return select(limit, min(limit, limit * one_or_more), STAGE);
}
