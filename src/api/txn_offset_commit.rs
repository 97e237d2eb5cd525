//! TxnOffsetCommit (key 28): a group's offsets, which count once the transaction is committed
//! (KIP-98, KIP-447).
//!
//! Behavior:
//! - Partitions that do not exist are refused each for itself, before anybody is asked.
//! - The group's partition of `__consumer_offsets` must be one of the transaction.
//!
//! Version notes: leader epochs from version 2; members and generations from 3 (KIP-447);
//! TRANSACTION_ABORTABLE from 4; from 5 the partition is added to the transaction by this (KIP-890).

use std::collections::BTreeSet;

use super::transactions::{Support, admit};
use super::{Api, Context, Reply};
use crate::coordinator::group::{
    self, Command, OFFSETS_TOPIC, transactional_commit_refused as refused,
};
use crate::coordinator::transaction::{Producer, TopicPartition};
use crate::partition::{Guard, ProducerBatch, ProducerError};
use crate::wire::ErrorCode;
use crate::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};

/// First version that knows COORDINATOR_LOAD_IN_PROGRESS.
const LOADING_VERSION: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_VERSION: i16 = 4;
/// First version that adds the offsets to the transaction.
const IMPLICIT_VERSION: i16 = 5;
/// Records of a coordinator have no sequence.
const NO_SEQUENCE: i32 = -1;

pub(super) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;

    async fn handle(
        context: Context<'_>,
        mut request: TxnOffsetCommitRequest,
        version: i16,
    ) -> Reply<TxnOffsetCommitResponse> {
        let mut topics = take_unknown(context, &mut request);
        if !request.topics.is_empty() {
            let asked = request.clone();
            let committed = match commit(context, request, version).await {
                Ok(response) => response.topics,
                Err(ErrorCode::CoordinatorLoadInProgress) if version < LOADING_VERSION => {
                    refused(&asked, ErrorCode::CoordinatorNotAvailable).topics
                }
                Err(error) => refused(&asked, error).topics,
            };
            merge(&mut topics, committed);
        }
        Reply::Ready(TxnOffsetCommitResponse { topics, ..Default::default() })
    }
}

/// A topic has one entry, those refused first; where none is, a topic has one as often as it was named.
fn merge(
    topics: &mut Vec<TxnOffsetCommitResponseTopic>,
    committed: Vec<TxnOffsetCommitResponseTopic>,
) {
    if topics.is_empty() {
        *topics = committed;
        return;
    }
    for topic in committed {
        match topics.iter_mut().find(|known| known.name == topic.name) {
            Some(known) => known.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
}

/// Takes partitions that do not exist out of the request and answers them.
fn take_unknown(
    context: Context<'_>,
    request: &mut TxnOffsetCommitRequest,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let image = context.shared.metadata.image();
    let mut answers = Vec::new();
    for topic in &mut request.topics {
        let found = image.topic(&topic.name);
        let exists = |index| found.is_some_and(|found| found.has_partition(index));
        let gone = topic.partitions.extract_if(.., |it| !exists(it.partition_index));
        let partitions: Vec<_> = gone.map(|it| unknown(it.partition_index)).collect();
        if !partitions.is_empty() {
            answers.push(TxnOffsetCommitResponseTopic { name: topic.name.clone(), partitions });
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    answers
}

async fn commit(
    context: Context<'_>,
    request: TxnOffsetCommitRequest,
    version: i16,
) -> Result<TxnOffsetCommitResponse, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let guard = guard(context, &request, version).await?;
    let group_id = request.group_id.clone();
    let command = Command::TransactionalCommit(request, guard);
    match context.shared.groups.call(&group_id, command).await {
        Ok(group::Reply::TransactionalCommit(response)) => Ok(response),
        other => Err(super::refusal(other)),
    }
}

/// Has the transaction's coordinator know of the group's partition.
async fn guard(
    context: Context<'_>,
    request: &TxnOffsetCommitRequest,
    version: i16,
) -> Result<Option<Guard>, ErrorCode> {
    let groups = &context.shared.groups;
    let support = Support::of(version, ABORTABLE_VERSION, IMPLICIT_VERSION);
    let number = groups.partition_of(&request.group_id);
    let partition = groups.offsets_partition(number);
    let partition = partition.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let TxnOffsetCommitRequest { producer_id, producer_epoch, .. } = *request;
    let batch = ProducerBatch { producer_id, producer_epoch, base_sequence: NO_SEQUENCE };
    let begun = partition.begin_verification(&batch, support == Support::Implicit);
    let guard = begun.map_err(ProducerError::error_code)?;
    if guard.is_none() {
        return Ok(None);
    }
    let place = TopicPartition { topic: OFFSETS_TOPIC.into(), partition: number };
    let producer = Producer { id: producer_id, epoch: producer_epoch };
    let id = &request.transactional_id;
    let missing = admit(context, id, producer, BTreeSet::from([place]), support).await;
    match missing.into_values().next() {
        None => Ok(guard),
        Some(error) => Err(error),
    }
}

fn unknown(partition_index: i32) -> TxnOffsetCommitResponsePartition {
    let error_code = ErrorCode::UnknownTopicOrPartition.code();
    TxnOffsetCommitResponsePartition { partition_index, error_code }
}
