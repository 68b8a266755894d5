//! Waiting for a device: asynchronous inside the library, and blocking for its callers.
//!
//! What waits is `async`, and where that is public it has a namesake that blocks, by [`wait`] alone. A page cannot block: there the
//! names that end in `_async` are the ones to call. On other systems their futures block by themselves when they are polled, inside
//! [`crate::gpu::context`], and are ready then; so are the CPU backend's everywhere.

use crate::error::Result;
use std::pin::Pin;

#[cfg(not(target_family = "wasm"))]
pub(crate) use std::time::Instant;
#[cfg(target_family = "wasm")]
pub(crate) use web_time::Instant;

/// What comes when the device is done.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Blocks until `future` is ready.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}
