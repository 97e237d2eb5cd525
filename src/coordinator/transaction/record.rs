//! The records of `__transaction_state` as bytes: the newest one of a transactional id says all.
//!
//! Written is version 1 of the value, or 0 where `transaction.version` is 0. Two words more than Kafka
//! writes stand in tagged fields that Kafka passes over: without them, a producer whose answer to
//! InitProducerId was lost would be fenced after a restart, and one whose transaction was aborted
//! under it would be told INVALID_TXN_STATE.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::{NO_EPOCH, Producer, State, TopicPartition, Transaction, by_topic};
use crate::coordinator::value::{ReplayError, prefixed, value};
use crate::shard::KeyValue;
use crate::wire::records::{PartitionsSchema, TransactionLogKey, TransactionLogValue};
use crate::wire::{Decoder, Field, Keyed, Message};

/// A record of `__transaction_state`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// The transactional id.
    pub(super) id: Arc<str>,
    /// Where it stands; None removes it.
    pub(super) transaction: Option<Transaction>,
    /// Version of the value.
    pub(super) version: i16,
}

impl Record {
    /// Key and value.
    pub(super) fn encode(&self) -> KeyValue {
        let key = TransactionLogKey { transactional_id: self.id.to_string() };
        let encode = |transaction| prefixed(self.version, &to_value(transaction), self.version);
        KeyValue {
            key: Some(prefixed(TransactionLogKey::KEY, &key, 0)),
            value: self.transaction.as_ref().map(encode),
        }
    }

    /// Reads a record. None for the kinds of a newer Kafka, which passes them over, too.
    pub(super) fn decode(raw: KeyValue) -> Result<Option<Self>, ReplayError> {
        let mut key = Decoder::new(raw.key.ok_or(ReplayError::NoKey)?);
        let kind = i16::read(&mut key, TransactionLogKey::format(0)).map_err(ReplayError::Key)?;
        if kind != TransactionLogKey::KEY {
            return Ok(None);
        }
        let key = TransactionLogKey::decode(&mut key, 0).map_err(ReplayError::Key)?;
        let transaction = value(kind, raw.value)?.map(from_value).transpose()?;
        let (id, version) = (key.transactional_id.into(), *TransactionLogValue::VERSIONS.end());
        Ok(Some(Self { id, transaction, version }))
    }
}

fn to_value(transaction: &Transaction) -> TransactionLogValue {
    let implied = transaction.implied_last_epoch();
    let told = transaction.last_epoch != implied;
    TransactionLogValue {
        producer_id: transaction.producer.id,
        previous_producer_id: transaction.previous_producer_id,
        next_producer_id: transaction.next_producer_id,
        producer_epoch: transaction.producer.epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state as i8,
        transaction_partitions: (transaction.state != State::Empty)
            .then(|| to_topics(&transaction.partitions)),
        transaction_last_update_timestamp_ms: transaction.last_update_ms,
        transaction_start_timestamp_ms: transaction.start_ms,
        client_transaction_version: transaction.client_version,
        next_producer_epoch: NO_EPOCH,
        last_producer_epoch: if told { transaction.last_epoch } else { NO_EPOCH },
        fenced: transaction.fenced,
    }
}

fn from_value(value: TransactionLogValue) -> Result<Transaction, ReplayError> {
    let state = State::from_number(value.transaction_status);
    let topics = value.transaction_partitions.into_iter().flatten();
    let mut transaction = Transaction {
        producer: Producer { id: value.producer_id, epoch: value.producer_epoch },
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        last_epoch: value.last_producer_epoch,
        timeout_ms: value.transaction_timeout_ms,
        state: state.ok_or(ReplayError::State(value.transaction_status))?,
        partitions: topics
            .flat_map(|it| TopicPartition::of_topic(&it.topic, it.partition_ids))
            .collect(),
        start_ms: value.transaction_start_timestamp_ms,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        client_version: value.client_transaction_version,
        fenced: value.fenced,
    };
    if transaction.last_epoch == NO_EPOCH {
        transaction.last_epoch = transaction.implied_last_epoch();
    }
    Ok(transaction)
}

fn to_topics(partitions: &BTreeSet<TopicPartition>) -> Vec<PartitionsSchema> {
    let topics = by_topic(partitions.iter().map(|it| (it, it.partition)));
    topics.map(|(topic, partition_ids)| PartitionsSchema { topic, partition_ids }).collect()
}
