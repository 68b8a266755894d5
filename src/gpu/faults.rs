//! What goes wrong on a device after it was opened: kept from wgpu's callbacks, and from a panic of it.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, Once};

/// The first failure that no error scope caught.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

#[derive(Clone)]
enum Fault {
    Lost(String),
    Memory(String),
    Other(String),
}

impl Faults {
    /// Listens to `device` from now on.
    pub fn of(device: &wgpu::Device) -> Self {
        let faults = Self::default();
        let kept = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let problem = one_line(&error.to_string());
            kept.keep(match error {
                wgpu::Error::OutOfMemory { .. } => Fault::Memory(problem),
                _ => Fault::Other(problem),
            });
        }));
        let kept = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                kept.keep(Fault::Lost(one_line(&message)));
            }
        });
        faults
    }

    fn keep(&self, fault: Fault) {
        if let Ok(mut kept) = self.0.lock() {
            kept.get_or_insert(fault);
        }
    }

    /// Fails if anything has failed so far.
    pub fn check(&self, during: &str) -> Result<()> {
        let during = during.to_owned();
        match self.0.lock().ok().and_then(|fault| fault.clone()) {
            None => Ok(()),
            Some(Fault::Lost(problem)) => Err(Error::DeviceLost { during, problem }),
            Some(Fault::Memory(problem)) => Err(Error::DeviceMemory { during, problem }),
            Some(Fault::Other(problem)) => Err(Error::Gpu { during, problem }),
        }
    }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `wait`; nothing where it panics. wgpu panics where a device is lost during a wait, instead of returning the error that it
/// has (wgpu 30, `Device::poll`): for real GPUs the usual way to be lost. It has told the device-lost callback by then. No
/// message is printed: panics of other threads, and of this one at other times, go to the hook that was there before.
pub fn without_panic<T>(wait: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                before(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    // What a panic may leave half-done belongs to the device, which is given up then.
    let result = catch_unwind(AssertUnwindSafe(wait));
    IS_QUIET.set(false);
    result.ok()
}

/// wgpu's messages span lines; ours do not.
pub fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_nothing_and_a_value_stays() {
        assert_eq!(without_panic(|| 7), Some(7));
        assert_eq!(without_panic(|| -> i32 { panic!("unseen") }), None);
        assert!(!IS_QUIET.get());
    }
}
