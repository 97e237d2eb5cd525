//! AddPartitionsToTxn (key 24): partitions of transactions (KIP-98, KIP-890).
//!
//! Behavior:
//! - All partitions of a transaction are added or none: if one does not exist the others are answered
//!   with OPERATION_NOT_ATTEMPTED. Clients may not add internal topics: TOPIC_AUTHORIZATION_FAILED.
//! - A request without transactions, which Apache Kafka never answers, gets an empty answer.
//!
//! Version notes: up to version 3 a client and its one transaction, PRODUCER_FENCED from 2; from 4
//! brokers and several, also only to ask.

use std::collections::BTreeSet;

use super::transactions::fenced_as;
use super::{Api, Context, Reply};
use crate::coordinator::transaction::{Add, Producer, TopicPartition, by_topic};
use crate::metadata::is_internal_topic;
use crate::wire::ErrorCode;
use crate::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};

/// First version that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;
/// First version of brokers.
const BATCH_VERSION: i16 = 4;

pub(super) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;

    async fn handle(
        context: Context<'_>,
        request: AddPartitionsToTxnRequest,
        version: i16,
    ) -> Reply<AddPartitionsToTxnResponse> {
        if version < BATCH_VERSION {
            let own = AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                verify_only: false,
                topics: request.v3_and_below_topics,
            };
            let results_by_topic_v3_and_below = answer(context, own, version).await;
            return Reply::Ready(AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below,
                ..Default::default()
            });
        }
        let mut results_by_transaction = Vec::new();
        for transaction in request.transactions {
            let transactional_id = transaction.transactional_id.clone();
            let topic_results = answer(context, transaction, version).await;
            results_by_transaction
                .push(AddPartitionsToTxnResult { transactional_id, topic_results });
        }
        Reply::Ready(AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() })
    }
}

async fn answer(
    context: Context<'_>,
    transaction: AddPartitionsToTxnTransaction,
    version: i16,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let image = context.shared.metadata.image();
    let exists = |topic: &str, partition: i32| {
        image.topic(topic).is_some_and(|topic| topic.has_partition(partition))
    };
    let named = |topic: &AddPartitionsToTxnTopic| {
        TopicPartition::of_topic(&topic.name, topic.partitions.clone())
    };
    let partitions: BTreeSet<_> = transaction.topics.iter().flat_map(named).collect();
    let error_of = |it: &TopicPartition| match exists(&it.topic, it.partition) {
        _ if version < BATCH_VERSION && is_internal_topic(&it.topic) => {
            Some(ErrorCode::TopicAuthorizationFailed)
        }
        false => Some(ErrorCode::UnknownTopicOrPartition),
        true => None,
    };
    if partitions.iter().any(|it| error_of(it).is_some()) {
        return results(&partitions, |it| error_of(it).unwrap_or(ErrorCode::OperationNotAttempted));
    }
    let add = Add {
        id: transaction.transactional_id,
        producer: Producer { id: transaction.producer_id, epoch: transaction.producer_epoch },
        partitions: partitions.clone(),
        client_version: if version >= BATCH_VERSION { 2 } else { 0 },
    };
    let transactions = &context.shared.transactions;
    if transaction.verify_only {
        let missing = transactions.verify(add).await;
        return results(&partitions, |it| match &missing {
            Ok(missing) if missing.contains(it) => ErrorCode::TransactionAbortable,
            Ok(_) => ErrorCode::None,
            Err(error) => *error,
        });
    }
    let added = transactions.add_partitions(add).await;
    let error = fenced_as(added.err().unwrap_or(ErrorCode::None), version >= FENCED_VERSION);
    echoed(&transaction.topics, error)
}

/// What was asked, in its own form, with one error.
fn echoed(
    topics: &[AddPartitionsToTxnTopic],
    error: ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let partition_error_code = error.code();
    let result = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
        partition_index,
        partition_error_code,
    };
    let topics = topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic.partitions.iter().map(result).collect(),
    });
    topics.collect()
}

fn results(
    partitions: &BTreeSet<TopicPartition>,
    error: impl Fn(&TopicPartition) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let results = partitions.iter().map(|place| {
        let (partition_index, partition_error_code) = (place.partition, error(place).code());
        (place, AddPartitionsToTxnPartitionResult { partition_index, partition_error_code })
    });
    by_topic(results)
        .map(|(name, results_by_partition)| AddPartitionsToTxnTopicResult {
            name,
            results_by_partition,
        })
        .collect()
}
