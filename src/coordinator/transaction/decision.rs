//! What a command comes to.

use super::command::Reply;
use super::state::Transaction;
use crate::wire::ErrorCode;

/// What is to be written and answered.
#[derive(Debug)]
pub(super) struct Decision {
    /// The new state; None where nothing changes.
    pub(super) next: Option<Transaction>,
    pub(super) reply: Reply,
}

impl Decision {
    pub(super) fn new(next: Transaction, reply: Reply) -> Self {
        Self { next: Some(next), reply }
    }

    pub(super) fn reply(reply: Reply) -> Self {
        Self { next: None, reply }
    }
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client gets this error.
    Error(ErrorCode),
    /// Markers are being written; it can be decided when they are.
    Ending,
    /// There is no new producer id at hand.
    NoProducerId,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error)
    }
}
