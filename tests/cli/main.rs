//! The program end to end, as a user calls it: what it prints, what it writes, how it refuses, and its exit codes.

mod answers;
mod bench;
mod commands;
mod data;
#[cfg(target_os = "linux")]
mod device_faults;
#[cfg(unix)]
mod disk_faults;
mod gpu;
mod output;
mod refusals;
mod resume;
mod study;
mod support;
mod train;
