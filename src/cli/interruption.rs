//! Ctrl-C and requests to terminate: the first one is noted, so that the run can end where it stands; the second one ends the
//! program.

use super::terminal::report;
use ffcl_gpu::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

/// Whether the user asked to stop.
#[derive(Clone, Debug)]
pub struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&asked);
        ctrlc::set_handler(move || {
            if heard.swap(true, Ordering::Relaxed) {
                std::process::exit(EXIT_CODE.into());
            }
            report("stopping after the steps that are under way (again: at once)");
        })
        .map_err(|error| Error::Configuration(format!("cannot listen for Ctrl-C: {error}; run it in another environment")))?;
        Ok(Self(asked))
    }

    /// Whether the user has asked to stop.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
