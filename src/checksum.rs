//! SHA-256 as hexadecimal text.

use sha2::{Digest, Sha256};

/// The hash of all that `hash` was fed with, in hexadecimal digits.
pub fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
