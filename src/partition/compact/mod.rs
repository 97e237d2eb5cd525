//! Log compaction (KIP-58, KIP-354, KIP-534): of each key the last record stays.
//!
//! ```text
//!   start          first dirty         first uncleanable    active segment
//!     |  clean, may be   |   keys go into     |  too young, or      |
//!     |  merged again    |   the key map      |  undecided          |
//!   --[segment][segment]-[segment][segment]---[segment]-------------[segment--
//! ```
//!
//! A cleaning reads the dirty segments and notes the last offset of every key, then writes all
//! segments up to there anew without the records that have a later one (Kafka: `Cleaner`,
//! `LogCleaner`). What is decided about a record, a batch and a range of segments is decided here
//! without a log: [`key_map`], [`transactions`], [`survivors`].

mod clean;
mod cleaner;
mod key_map;
mod range;
mod survivors;
mod throttle;
mod transactions;

pub use cleaner::{Cleaner, CleanerSettings};
pub(super) use survivors::LastRecord;

#[cfg(test)]
pub(super) use {
    clean::{CleanError, Cleaned, Cleaning, Means},
    throttle::Throttle,
};
