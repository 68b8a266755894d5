//! The engine for Python: arrays in and out. What estimators need beside it is Python (`ffcl_gpu/`).
//!
//! Whatever can take long runs without the interpreter's lock; whatever fails, panics too, is a Python exception.

mod data;
mod device;
mod errors;
mod model;
mod run;

use ffcl_gpu::config::RunOptions;
use pyo3::prelude::*;

/// The native part of ffcl_gpu.
#[pymodule]
mod _ffcl {
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::options;
    #[pymodule_export]
    use super::run::Run;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// The options of a run, of the engine's one table: names and what they do.
#[pyfunction]
fn options() -> Vec<(String, String)> {
    RunOptions::TABLE.iter().map(|option| (option.name().replace('-', "_"), option.help().to_owned())).collect()
}
