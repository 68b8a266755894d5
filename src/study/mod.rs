//! Studies: a file names what varies, every combination is a cell of a grid, each cell is trained with several seeds side by side,
//! and the results are compared. A study can be stopped, continued, and spread over machines that share a folder.
//!
//! [`request`] reads the file, [`grid`] makes its cells, [`run`] trains one, [`results`] keeps what came out, [`summary`] brings it
//! into order, [`report`] and [`plots`] show it.

mod fingerprint;
pub mod grid;
pub mod manifest;
pub mod plots;
pub mod report;
pub mod request;
pub mod results;
pub mod run;
pub mod statistics;
pub mod summary;
