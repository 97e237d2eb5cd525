//! Seeded simulation: the local engine on a disk that crashes and fails, against a model; a node over two directories.
//!
//! `OTTLA_SEED` is the first seed (0), `OTTLA_SEEDS` how many (50);
//! `OTTLA_TRACE` prints what a failing run did.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compaction;
mod disks;
mod every_operation;
mod found;
mod model;
mod property;
mod seeds;
#[path = "../../src/log/test_batch.rs"]
mod test_batch;
mod world;
