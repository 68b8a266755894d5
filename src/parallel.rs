//! Work on all cores, or on the one there is: a browser gives WebAssembly a single thread.

#[cfg(not(target_family = "wasm"))]
use rayon::prelude::*;

/// Threads that share the work.
pub fn threads() -> usize {
    #[cfg(not(target_family = "wasm"))]
    return rayon::current_num_threads();
    #[cfg(target_family = "wasm")]
    1
}

/// Does `work` to each item, which gets to know its position.
pub fn for_each<T: Send>(items: &mut [T], work: impl Fn((usize, &mut T)) + Sync + Send) {
    #[cfg(not(target_family = "wasm"))]
    items.par_iter_mut().enumerate().for_each(work);
    #[cfg(target_family = "wasm")]
    items.iter_mut().enumerate().for_each(work);
}

/// What `work` makes of each item, in their order.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    #[cfg(not(target_family = "wasm"))]
    return items.par_iter().map(work).collect();
    #[cfg(target_family = "wasm")]
    items.iter().map(work).collect()
}

/// Runs `work`, which hands out small pieces again and again, where they go from thread to thread without waking one up.
pub fn awake(work: impl FnOnce() + Send) {
    #[cfg(not(target_family = "wasm"))]
    rayon::scope(|_| work());
    #[cfg(target_family = "wasm")]
    work();
}
