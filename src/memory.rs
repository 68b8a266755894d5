//! Whether main memory can hold what a run needs: asked before it is allocated, since a failed allocation ends the process and
//! an overcommitted one gets it killed.

use crate::error::{Error, Result};

/// If the system does not report its free memory, only what no machine has is refused: 1 TiB.
const UNKNOWN: u64 = 1 << 40;

/// Fails if `bytes`, for `what` of a run, exceed the memory that is available now.
pub fn require(bytes: u128, what: &str) -> Result<()> {
    require_or(bytes, what, "use narrower --layers, fewer --replicas or a smaller --batch-size")
}

/// The same with a remedy of its own.
pub fn require_or(bytes: u128, what: &str, remedy: &str) -> Result<()> {
    let available = available().unwrap_or(UNKNOWN);
    if bytes > available.into() {
        return Err(Error::Configuration(format!(
            "{what} would take {:.1} GiB of memory, and {:.1} GiB are available; {remedy}",
            bytes as f64 / f64::from(1 << 30),
            available as f64 / f64::from(1 << 30)
        )));
    }
    Ok(())
}

/// What Linux counts as available, within the container's limit if there is one; other systems are not asked.
fn available() -> Option<u64> {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.checked_mul(1024)?.min(limit.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_machine_has_is_refused() {
        assert!(require(1 << 20, "a little").is_ok());
        let error = require(u128::MAX, "too much").unwrap_err().to_string();
        assert!(error.starts_with("too much would take"), "{error}");
    }
}
