//! Every kernel against its CPU twin: the checks of `ffcl-gpu verify`, with every shape of tile, as released on all that the adapter
//! has; with `FFCL_LONG_TESTS` set also with wgpu's own checks in the shaders on the smallest adapter that WebGPU allows.

use crate::adapter::context;
use crate::harness::is_long;
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::plan::Kernel;
use ffcl_gpu::verify;

fn check(kernel: Kernel) {
    let as_released = (false, None);
    let checked = is_long().then(|| (true, Some(wgpu::Limits::defaults())));
    for (shader_checks, limits) in checked.into_iter().chain([as_released]) {
        let options = ContextOptions { shader_checks: Some(shader_checks), limits };
        let context = context(&options);
        let row = verify::kernel(&context, kernel).unwrap();
        println!("{} checks {shader_checks}: {} values, worst ratio {:.3}", row.name, row.values, row.worst);
        assert!(row.passed, "{row:#?}");
        assert!(row.values > 0 && row.cases > 0);
        assert!(shader_checks || row.reruns > row.cases, "{row:#?}");
    }
}

macro_rules! kernels {
    ($($name:ident: $kernel:ident,)*) => {
        $(fn $name() { check(Kernel::$kernel); })*

        tests! {
            gpu: $($name),*;
            cpu: every_kernel_has_its_test;
        }

        /// A kernel without a test would go unnoticed.
        fn every_kernel_has_its_test() {
            assert_eq!(Kernel::ALL.map(Kernel::name).to_vec(), [$(stringify!($name)),*]);
        }
    };
}

kernels! {
    shuffle: Shuffle,
    gather: Gather,
    forward: Forward,
    batch_mean: BatchMean,
    cosine_gradient: CosineGradient,
    pairs: Pairs,
    pair_gradient: PairGradient,
    normalize: Normalize,
    class_prototypes: ClassPrototypes,
    output_gradient: OutputGradient,
    input_gradient: InputGradient,
    normalize_gradient: NormalizeGradient,
    fused_forward: FusedForward,
    weight_update: WeightUpdate,
    softmax: Softmax,
    accuracy: Accuracy,
    covariance: Covariance,
    weight_norms: WeightNorms,
    reduction: Reduction,
}
