//! Errors as the page gets them: a kind that it knows, and the engine's words.

use ffcl_gpu::Error;
use serde::Serialize;
use wasm_bindgen::JsValue;

#[derive(Serialize)]
struct Failure<'a> {
    kind: &'a str,
    message: String,
}

/// An error as a string of JSON, which JavaScript catches.
pub fn failure(error: &Error) -> JsValue {
    let kind = match error {
        Error::DeviceLost { .. } => "lost",
        Error::DeviceMemory { .. } => "memory",
        Error::Limit { .. } => "limit",
        Error::Gpu { .. } => "gpu",
        Error::Device(_) => "device",
        Error::Format { .. } | Error::File { .. } | Error::Dataset(_) => "data",
        Error::NotFinite(_) => "diverged",
        _ => "request",
    };
    json(&Failure { kind, message: error.to_string() })
}

/// A value as a string of JSON.
pub fn json(value: &impl Serialize) -> JsValue {
    // Nothing that is passed on has a key that is no text, the one thing that fails.
    serde_json::to_string(value).unwrap_or_default().into()
}
