//! The program end to end, as a user calls it: what it prints, what it writes, how it refuses, and its exit codes. What needs an adapter is in `tests/backends`.

mod answers;
mod assembly;
mod audit;
mod bench;
mod commands;
mod data;
#[cfg(unix)]
mod disk_faults;
mod docs;
mod output;
mod own_data;
mod refusals;
mod report;
mod resume;
mod study;
#[path = "../support/mod.rs"]
mod support;
mod train;
