//! How a transaction ends: by its producer, or by its coordinator.
//!
//! With `transaction.version` 2 every end raises the producer's epoch, so that nothing of the ended
//! transaction can be taken for the next one. Who has not heard of its end names the epoch before:
//!
//! ```text
//!   request \ state    Empty           CompleteAbort   CompleteCommit    Ongoing
//!   abort, epoch       abort nothing   abort nothing   abort nothing     abort
//!   abort, before      fenced          as answered     INVALID_TXN_STATE fenced
//!   commit, epoch      INVALID_...     INVALID_...     INVALID_...       commit
//!   commit, before     fenced          INVALID_...     as answered       fenced
//! ```
//!
//! Before version 2 the epoch stays, and an end is taken for a repetition of the last one.

use super::begin::raised;
use super::command::{End, Reply};
use super::decision::{Decision, Refusal};
use super::state::{EPOCH_BUMP, LAST_EPOCH, NO_EPOCH, NO_ID, Producer, State, Transaction};
use crate::wire::ErrorCode;

/// What clients before version 2 are told of producers.
const NO_PRODUCER: Producer = Producer { id: NO_ID, epoch: NO_EPOCH };

/// Decides on EndTxn.
pub(super) fn end(
    known: Option<&Transaction>,
    end: &End,
    now_ms: i64,
    new_id: &dyn Fn() -> Option<i64>,
) -> Result<Decision, Refusal> {
    let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
    if end.client_version >= EPOCH_BUMP {
        return end_raising(known, end, now_ms, new_id);
    }
    if known.producer.id != end.producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if known.producer.epoch != end.producer.epoch {
        return Err(ErrorCode::ProducerFenced.into());
    }
    match (known.state, end.committed) {
        (State::PrepareCommit | State::PrepareAbort, _) => Err(Refusal::Ending),
        (State::Ongoing, _) => {
            let mut next = known.to(ending(end.committed), now_ms);
            next.client_version = 0;
            next.next_producer_id = NO_ID;
            Ok(Decision::new(next, Reply::Producer(NO_PRODUCER)))
        }
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => {
            Ok(Decision::reply(Reply::Producer(NO_PRODUCER)))
        }
        _ => Err(ErrorCode::InvalidTxnState.into()),
    }
}

fn end_raising(
    known: &Transaction,
    end: &End,
    now_ms: i64,
    new_id: &dyn Fn() -> Option<i64>,
) -> Result<Decision, Refusal> {
    // First: the producer may name a producer id that counts only when the markers are written.
    if known.state.is_ending() {
        return Err(Refusal::Ending);
    }
    let Producer { id, epoch } = end.producer;
    let is_new_id =
        known.previous_producer_id == id && epoch == LAST_EPOCH && known.producer.epoch == 0;
    let is_retry = is_new_id || i32::from(known.producer.epoch) == i32::from(epoch) + 1;
    let is_complete = matches!(known.state, State::CompleteCommit | State::CompleteAbort);
    if known.producer.id != id && !is_new_id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if known.producer.epoch != epoch && !(is_complete && is_retry) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    let (next, began_ms) = match (known.state, end.committed) {
        (State::Ongoing, committed) => (ending(committed), known.start_ms),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry => {
            return Ok(Decision::reply(Reply::Producer(known.producer)));
        }
        (State::Empty, false) => (State::PrepareAbort, now_ms),
        (_, false) if is_complete && !is_retry => (State::PrepareAbort, now_ms),
        // Its time-out has come first. Kafka 4.3 answers INVALID_TXN_STATE (KAFKA-20785).
        (State::CompleteAbort, true) if is_retry && known.fenced => {
            return Err(ErrorCode::ProducerFenced.into());
        }
        _ => return Err(ErrorCode::InvalidTxnState.into()),
    };
    let mut next = raised(known, next, now_ms, new_id)?;
    next.start_ms = began_ms;
    let reply = Reply::Producer(next.completed(now_ms).producer);
    Ok(Decision::new(next, reply))
}

/// Aborts an open transaction so that its producer can go on no more.
pub(super) fn fence(
    known: &Transaction,
    now_ms: i64,
    new_id: &dyn Fn() -> Option<i64>,
    server_version: i16,
) -> Result<Transaction, Refusal> {
    if server_version >= EPOCH_BUMP {
        let raised = raised(known, State::PrepareAbort, now_ms, new_id)?;
        return Ok(Transaction { fenced: true, ..raised });
    }
    let mut next = known.to(State::PrepareAbort, now_ms);
    next.producer.epoch = known.producer.epoch.saturating_add(1);
    next.last_epoch = NO_EPOCH;
    next.next_producer_id = NO_ID;
    next.client_version = 0;
    Ok(next)
}

fn ending(committed: bool) -> State {
    if committed { State::PrepareCommit } else { State::PrepareAbort }
}
