//! Every kernel against its reference: the checks of `ffcl-gpu verify`, as released on all that the adapter has; with `FFCL_LONG_TESTS` set
//! also with wgpu's own checks in the shaders on the smallest adapter that WebGPU allows, and every case with every shape of tile.

use crate::adapter::context;
use crate::harness::{Test, is_long};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::kernels::Kernel;
use ffcl_gpu::verify::{self, Sweep};

/// A test of each kernel, of its name.
pub fn tests() -> Vec<Test> {
    Kernel::ALL.map(|kernel| Test::on_adapter(&format!("kernels::{}", kernel.name()), move || check(kernel))).into()
}

fn check(kernel: Kernel) {
    let as_released = (false, None);
    let checked = is_long().then(|| (true, Some(wgpu::Limits::defaults())));
    for (shader_checks, limits) in checked.into_iter().chain([as_released]) {
        let options = ContextOptions { shader_checks: Some(shader_checks), limits };
        let context = context(&options);
        let sweep = if is_long() { Sweep::Whole } else { Sweep::for_device(&context.description) };
        let row = verify::kernel(&context, kernel, sweep).unwrap();
        println!("{} checks {shader_checks}: {} values, worst ratio {:.3}", row.name, row.values, row.worst);
        assert!(row.passed, "{row:#?}");
        assert!(row.values > 0 && row.cases > 0);
        assert!(shader_checks || row.reruns > row.cases, "{row:#?}");
    }
}
