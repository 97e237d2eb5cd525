//! How a producer gets a transactional id, and its partitions into a transaction (KIP-98, KIP-360,
//! KIP-890; Kafka: `TransactionCoordinator`).

use std::collections::BTreeSet;

use super::command::{Add, Init, Reply};
use super::decision::{Decision, Refusal};
use super::state::{EPOCH_BUMP, LAST_EPOCH, NO_EPOCH, NO_ID, Producer, State, Transaction};
use crate::wire::ErrorCode;

/// Decides on InitProducerId; `new_id` gives a producer id that was never used, if there is one at
/// hand.
pub(super) fn init(
    known: Option<&Transaction>,
    init: &Init,
    now_ms: i64,
    new_id: &dyn Fn() -> Option<i64>,
    server_version: i16,
) -> Result<Decision, Refusal> {
    let fresh;
    let known = if let Some(known) = known {
        known
    } else {
        let id = new_id().ok_or(Refusal::NoProducerId)?;
        fresh = Transaction::new(id, init.timeout_ms, now_ms);
        &fresh
    };
    if known.state.is_ending() {
        return Err(Refusal::Ending);
    }
    if init.expected.is_some_and(|expected| !may_go_on(known, expected)) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    if known.state == State::Ongoing {
        let fenced = super::end::fence(known, now_ms, new_id, server_version)?;
        return Ok(Decision::new(fenced, Reply::Refused(ErrorCode::ConcurrentTransactions)));
    }
    let expected = init.expected.map(|expected| expected.epoch);
    let mut next = known.to(State::Empty, now_ms);
    if known.is_exhausted() && expected.is_none_or(|epoch| epoch == known.producer.epoch) {
        let id = new_id().ok_or(Refusal::NoProducerId)?;
        next.producer = Producer { id, epoch: 0 };
        next.last_epoch = expected.map_or(NO_EPOCH, |_| known.producer.epoch);
    } else {
        (next.producer.epoch, next.last_epoch) = next_epoch(known, expected)?;
    }
    next.timeout_ms = init.timeout_ms;
    next.partitions = BTreeSet::new();
    next.start_ms = -1;
    let reply = Reply::Producer(next.producer);
    Ok(Decision::new(next, reply))
}

/// A producer may go on with what it has, and may ask again if its answer was lost.
fn may_go_on(known: &Transaction, expected: Producer) -> bool {
    known.producer.epoch == NO_EPOCH
        || expected.id == known.producer.id
        || expected.id == known.previous_producer_id && expected.epoch >= LAST_EPOCH
}

/// The epoch to give out and the one before (Kafka: `prepareIncrementProducerEpoch`).
fn next_epoch(known: &Transaction, expected: Option<i16>) -> Result<(i16, i16), Refusal> {
    let epoch = known.producer.epoch;
    if known.is_exhausted() {
        return Err(ErrorCode::UnknownServerError.into());
    }
    match expected {
        None => Ok((epoch + 1, NO_EPOCH)),
        Some(expected) if epoch == NO_EPOCH || expected == epoch => Ok((epoch + 1, epoch)),
        Some(expected) if expected == known.last_epoch => Ok((epoch, known.last_epoch)),
        Some(_) => Err(ErrorCode::ProducerFenced.into()),
    }
}

/// The transaction of a producer that may change it.
fn of_producer(known: Option<&Transaction>, producer: Producer) -> Result<&Transaction, ErrorCode> {
    let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
    if known.producer.id != producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if known.producer.epoch != producer.epoch {
        return Err(ErrorCode::ProducerFenced);
    }
    Ok(known)
}

/// Decides on partitions to be added.
pub(super) fn add(
    known: Option<&Transaction>,
    add: &Add,
    now_ms: i64,
) -> Result<Decision, Refusal> {
    // First: the producer may know of an epoch that counts only when the markers are written.
    if known.is_some_and(|known| known.state.is_ending()) {
        return Err(Refusal::Ending);
    }
    let known = of_producer(known, add.producer)?;
    let is_open = known.state == State::Ongoing;
    if is_open && add.partitions.is_subset(&known.partitions) {
        return Ok(Decision::reply(Reply::Done));
    }
    let mut next = known.to(State::Ongoing, now_ms);
    next.partitions.extend(add.partitions.iter().cloned());
    next.client_version = add.client_version;
    if !is_open {
        next.start_ms = now_ms;
    }
    Ok(Decision::new(next, Reply::Done))
}

/// Decides on partitions that are to be in the transaction already.
pub(super) fn verify(known: Option<&Transaction>, add: &Add) -> Result<Decision, Refusal> {
    let known = of_producer(known, add.producer)?;
    if known.state.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let missing = add.partitions.difference(&known.partitions).cloned().collect();
    Ok(Decision::reply(Reply::Missing(missing)))
}

/// The epoch that a producer which is fenced leaves behind, and the producer id after it.
pub(super) fn raised(
    known: &Transaction,
    state: State,
    now_ms: i64,
    new_id: &dyn Fn() -> Option<i64>,
) -> Result<Transaction, Refusal> {
    let mut next = known.to(state, now_ms);
    next.next_producer_id = match known.is_exhausted() {
        true => new_id().ok_or(Refusal::NoProducerId)?,
        false => NO_ID,
    };
    next.last_epoch = known.producer.epoch;
    next.producer.epoch = known.producer.epoch.saturating_add(1);
    next.client_version = EPOCH_BUMP;
    Ok(next)
}
