//! Replacing sealed segments by what compaction leaves of them.
//!
//! ```text
//!   [segment 0][segment 40][segment 80][active 120      log.rewrite(0, 120)
//!        |          |           |
//!        v          v           v                        append, append, ...
//!   [segment 0                     ][active 120          finish
//! ```
//!
//! Readers see all of it or nothing, before a crash and after. Neither they nor appends wait.

use super::{AbortedTransaction, AppendError};

/// A rewrite of sealed segments under way: one at a time for a log. Dropped, it changes nothing.
/// Its calls block.
pub trait Rewrite: Send {
    /// Adds a batch, whose offsets lie in the range and above those of the batch before; with the
    /// transaction that it aborts, as far as readers still have to know of it.
    fn append(
        &mut self,
        batch: &[u8],
        aborts: Option<AbortedTransaction>,
    ) -> Result<(), RewriteError>;
    /// Puts what was added in the place of the segments, durably, as one segment.
    fn finish(self: Box<Self>) -> Result<(), RewriteError>;
}

/// Why segments were not rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// There are no such sealed segments, or no longer.
    #[error("the segments have changed meanwhile")]
    Changed,
    /// The batches do not fit one segment (2 GiB, 2^31 offsets).
    #[error("what is left does not fit one segment")]
    TooLarge,
    /// The log did not do it.
    #[error(transparent)]
    Log(#[from] AppendError),
}
