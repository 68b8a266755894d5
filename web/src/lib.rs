//! The engine in a web page: what its worker (`page/worker.js`) calls.
#![cfg(target_family = "wasm")]

mod files;
mod lab;
mod run;
mod words;

use wasm_bindgen::prelude::*;

/// Runs when the module is loaded: a panic says where it was before it stops the worker.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}
