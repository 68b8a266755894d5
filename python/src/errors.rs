//! Failures as Python's exceptions.

use ffcl_gpu::Error;
use pyo3::PyErr;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// An exception of the fitting type, with the library's words.
pub fn exception(error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Configuration(_) | Error::Dataset(_) | Error::Format { .. } | Error::Limit { .. } => PyValueError::new_err(text),
        Error::File { .. } => PyOSError::new_err(text),
        Error::DeviceMemory { .. } => PyMemoryError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// The message of a panic.
pub fn panicked(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    format!("ffcl_gpu failed by a mistake of its own, please report it: {}", text.unwrap_or("no message"))
}

/// Work that must not take the interpreter with it.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, PyErr> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| exception(&error)),
        Err(payload) => Err(PyRuntimeError::new_err(panicked(payload.as_ref()))),
    }
}

/// The process that used the engine first, as far as this memory knows.
static PROCESS: OnceLock<u32> = OnceLock::new();

/// Refuses to work in a process that was forked from one that had used the engine: neither its threads nor its device came along, and
/// whoever waited for them would wait for ever.
pub fn check_process() -> Result<(), PyErr> {
    let own = std::process::id();
    let first = *PROCESS.get_or_init(|| own);
    if first == own {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "this process was forked from process {first} after ffcl_gpu had been used there, and neither threads nor devices survive that; start workers with multiprocessing.get_context('spawn'), or with joblib's loky"
    )))
}
