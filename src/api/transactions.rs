//! What the APIs of transactions have in common: asking the coordinator of a transaction about
//! partitions before something is written there (Kafka: `AddPartitionsToTxnManager`).

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::coordinator::transaction::{Add, Producer, TopicPartition};
use crate::wire::ErrorCode;

/// What a client of a version can take, and asks for by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Support {
    /// It has added the partition before, and knows no TRANSACTION_ABORTABLE.
    Basic,
    /// It has added the partition before.
    Abortable,
    /// The partition is added by what it sends (KIP-890).
    Implicit,
}

impl Support {
    /// By the first versions that know TRANSACTION_ABORTABLE and that add partitions.
    pub(super) fn of(version: i16, abortable: i16, implicit: i16) -> Self {
        match version {
            _ if version >= implicit => Self::Implicit,
            _ if version >= abortable => Self::Abortable,
            _ => Self::Basic,
        }
    }
}

/// Adds partitions to a producer's transaction, or sees that they are in it; those that are not, with
/// the error that its client can take.
pub(super) async fn admit(
    context: Context<'_>,
    id: &str,
    producer: Producer,
    partitions: BTreeSet<TopicPartition>,
    support: Support,
) -> BTreeMap<TopicPartition, ErrorCode> {
    let transactions = &context.shared.transactions;
    let mut add = Add { id: id.to_owned(), producer, partitions, client_version: 0 };
    let all = |error, partitions: BTreeSet<TopicPartition>| {
        partitions.into_iter().map(|partition| (partition, told(error, support))).collect()
    };
    let asked = add.partitions.clone();
    if support == Support::Implicit {
        add.client_version = 2;
        return match transactions.add_partitions(add).await {
            Ok(()) => BTreeMap::new(),
            Err(error) => all(error, asked),
        };
    }
    match transactions.verify(add).await {
        Ok(missing) => all(ErrorCode::TransactionAbortable, missing),
        Err(error) => all(error, asked),
    }
}

fn told(error: ErrorCode, support: Support) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if support == Support::Basic => ErrorCode::InvalidTxnState,
        error => error,
    }
}

/// What clients that do not know PRODUCER_FENCED yet are told instead.
pub(super) fn fenced_as(error: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if !knows_fenced => ErrorCode::InvalidProducerEpoch,
        error => error,
    }
}
