//! What the steps ask, by whoever says who he is.

use ottla::wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla::wire::messages::describe_transactions::DescribeTransactionsRequest;
use ottla::wire::messages::end_txn::EndTxnRequest;
use ottla::wire::messages::init_producer_id::InitProducerIdRequest;
use ottla::wire::messages::produce::ProduceRequest;
use ottla::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::{Identity, Partitions};
use crate::produce::{producing, three};
use crate::raw_client::Batch;
use crate::side::Side;

const TRANSACTIONAL: i16 = 0x10;
/// Longer than a run, so that nothing is aborted in the middle of it.
const TIMEOUT_MS: i32 = 600_000;

pub(super) fn initialising(id: &str) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: TIMEOUT_MS,
        ..Default::default()
    }
}

pub(super) fn describing(ids: &[&str]) -> DescribeTransactionsRequest {
    DescribeTransactionsRequest { transactional_ids: ids.iter().map(ToString::to_string).collect() }
}

/// Adds partitions, in the form of every version.
pub(super) fn adding(who: &Identity, partitions: Partitions<'_>) -> AddPartitionsToTxnRequest {
    let topic = |(name, partitions): &(&str, &[i32])| AddPartitionsToTxnTopic {
        name: (*name).into(),
        partitions: partitions.to_vec(),
    };
    let topics: Vec<_> = partitions.iter().map(topic).collect();
    AddPartitionsToTxnRequest {
        transactions: vec![AddPartitionsToTxnTransaction {
            transactional_id: who.transactional_id.clone(),
            producer_id: who.producer_id,
            producer_epoch: who.epoch,
            verify_only: false,
            topics: topics.clone(),
        }],
        v3_and_below_transactional_id: who.transactional_id.clone(),
        v3_and_below_producer_id: who.producer_id,
        v3_and_below_producer_epoch: who.epoch,
        v3_and_below_topics: topics,
    }
}

pub(super) fn adding_offsets(who: &Identity, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest {
        transactional_id: who.transactional_id.clone(),
        producer_id: who.producer_id,
        producer_epoch: who.epoch,
        group_id: group.into(),
    }
}

pub(super) fn ending(who: &Identity, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: who.transactional_id.clone(),
        producer_id: who.producer_id,
        producer_epoch: who.epoch,
        committed,
    }
}

/// Three records of a producer in its transaction.
pub(super) fn batch(who: &Identity, time_ms: i64, sequence: i32) -> Batch {
    Batch {
        attributes: TRANSACTIONAL,
        producer_id: who.producer_id,
        producer_epoch: who.epoch,
        base_sequence: sequence,
        ..three(time_ms)
    }
}

pub(super) fn writing(
    side: &Side,
    who: &Identity,
    time_ms: i64,
    (topic, partitions): (&str, &[i32]),
    sequence: i32,
) -> ProduceRequest {
    let batch = batch(who, time_ms, sequence).encode();
    let data: Vec<_> = partitions.iter().map(|index| (*index, Some(batch.clone()))).collect();
    ProduceRequest {
        transactional_id: Some(who.transactional_id.clone()),
        ..producing(side, topic, &data)
    }
}

/// Topics, and partitions with the offsets to commit.
pub(super) type Offsets<'a> = &'a [(&'a str, &'a [(i32, i64)])];

pub(super) fn committing(
    who: &Identity,
    group: &str,
    offsets: Offsets<'_>,
) -> TxnOffsetCommitRequest {
    let partition =
        |(partition_index, committed_offset): &(i32, i64)| TxnOffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *committed_offset,
            committed_metadata: Some(format!("at {committed_offset}")),
            ..Default::default()
        };
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| TxnOffsetCommitRequestTopic {
        name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
    };
    TxnOffsetCommitRequest {
        transactional_id: who.transactional_id.clone(),
        group_id: group.into(),
        producer_id: who.producer_id,
        producer_epoch: who.epoch,
        topics: offsets.iter().map(topic).collect(),
        ..Default::default()
    }
}
