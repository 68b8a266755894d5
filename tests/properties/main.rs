//! What must hold for every run, file and option, tried on some hundred that nobody thought of: always the same ones.

mod files;
mod options;
mod readers;
mod runs;

use clap::ValueEnum;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Debug;

/// Tries a property on as many values, the same in every run.
fn hold<T: Debug>(cases: u32, values: impl Strategy<Value = T>, property: impl Fn(T)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tried = runner.run(&values, |value| {
        property(value);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// One of an enumeration's values.
fn variant<T: ValueEnum + Clone + Debug + 'static>() -> impl Strategy<Value = T> {
    select(T::value_variants())
}
