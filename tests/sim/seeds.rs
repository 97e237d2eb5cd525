//! Runs a simulation for many seeds and says how to repeat the one that failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A number from the environment.
pub(crate) fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("seeds are numbers"))
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "panicked".to_owned())
}

/// Calls `run` for each seed asked for; `test` is the name that selects the calling test.
pub(crate) fn run_seeds(test: &str, run: impl Fn(u64)) {
    let (first, count) = (from_env("OTTLA_SEED", 0), from_env("OTTLA_SEEDS", 50));
    let mut failed = 0;
    for seed in first..first + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            failed += 1;
            eprintln!("seed {seed} failed: {}", message(&*panic));
            eprintln!("replay: OTTLA_SEED={seed} OTTLA_SEEDS=1 cargo test --test sim {test}");
        }
    }
    eprintln!("seeds: {} passed, {failed} failed", count - failed);
    assert_eq!(failed, 0, "{test}: failing seeds are listed above");
}
