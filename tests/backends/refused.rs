//! What cannot be trained is refused by name.

use crate::adapter::context;
use crate::harness::Device;
use crate::runs::{open, small};
use ffcl_gpu::arithmetic::Blocked;
use ffcl_gpu::config::{Adam, TrainingConfig};
use ffcl_gpu::cpu::backend::CpuBackend;
use ffcl_gpu::dataset::digits;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::ContextOptions;
use ffcl_gpu::model::{Architecture, Parameters};
use ffcl_gpu::train::train;
use std::ops::ControlFlow::Continue;

tests! {
    cpu: divergence_is_an_error, labels_beyond_the_classes_are_refused;
    gpu: limits_are_named;
    both: steps_beyond_the_data_are_refused;
}

/// What does not fit is refused by name, before anything is dispatched.
fn limits_are_named() {
    let dataset = digits::generate_with_counts(0, 300, 100);
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::defaults() };
    let options = ContextOptions { limits: Some(limits), ..ContextOptions::default() };
    let context = context(&options);
    let config = TrainingConfig { architecture: Architecture::dense(&[784, 64, 10]), ..small() };
    let layered = GpuOptions::for_device(&context);
    let error = GpuBackend::new(Job { config: &config, dataset: &dataset }, context, layered).err().unwrap().to_string();
    assert!(error.contains("weights of layer 1") && error.contains("max_storage_buffer_binding_size = 262144"), "{error}");
}

/// Adam's steps are bounded by the learning rate, so huge rates make huge weights and then numbers that are none; the run says so.
fn divergence_is_an_error() {
    let dataset = digits::generate_with_counts(0, 300, 100);
    let config = TrainingConfig { adam: Adam { learning_rate: 1e37, ..Adam::default() }, ..small() };
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = CpuBackend::<Blocked>::new(job).unwrap();
    backend.set_parameters(&Parameters::initialize(&config.architecture, 0, 1)).unwrap();
    let error = train(job, &mut backend, &mut |_| Ok(Continue(()))).unwrap_err().to_string();
    assert!(error.contains("smaller --learning-rate"), "{error}");
}

/// Steps that reach past the data never get to a kernel, which would read past its buffers.
fn steps_beyond_the_data_are_refused(device: Device) {
    use ffcl_gpu::layout::Step;
    let dataset = digits::generate_with_counts(0, 100, 20);
    let config = small();
    let job = Job { config: &config, dataset: &dataset };
    let mut backend = open(device, None, job);
    for (first_row, row_count) in [(71, 30), (0, 0), (0, 31), (usize::MAX, 30)] {
        let step = Step::new(first_row, row_count, &config.adam, 1);
        assert!(backend.train(&[step], &mut |_| Continue(())).is_err(), "{first_row} {row_count}");
    }
    assert!(backend.train(&[Step::new(70, 30, &config.adam, 1)], &mut |_| Continue(())).is_ok());
}

/// A data set built by hand is not trusted either.
fn labels_beyond_the_classes_are_refused() {
    let mut dataset = digits::generate_with_counts(0, 100, 20);
    dataset.test.labels[7] = 10;
    let config = small();
    let error = CpuBackend::<Blocked>::new(Job { config: &config, dataset: &dataset }).err().unwrap().to_string();
    assert!(error.contains("label 10 of test image 7"), "{error}");
}
