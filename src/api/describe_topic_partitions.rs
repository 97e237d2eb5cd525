//! DescribeTopicPartitions (key 75): topics page by page (KIP-966).
//!
//! Behavior:
//! - Topics come sorted by name, each once; an empty list asks for all.
//! - A page has at most `response_partition_limit` partitions, at least one and never more than
//!   `max.request.partition.size.limit`; topics with an error do not count. The next cursor is where
//!   the next page begins; it may name a topic that does not exist.
//! - A cursor has to name a topic of the list, and a partition from 0 on; one that lies behind the
//!   topic's last partition gives the topic without partitions. In a request for all topics its topic
//!   need not exist.
//! - A partition whose directory is offline has no leader, and here no error.
//! - Authorized operations are always there, also for a topic that is not.

use std::collections::BTreeSet;

use super::metadata::TOPIC_OPERATIONS;
use super::{Api, Context, Reply};
use crate::metadata::{MetadataImage, TopicImage, is_internal_topic, validate_topic_name};
use crate::wire::ErrorCode;
use crate::wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};

pub(super) struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeTopicPartitionsRequest,
        _version: i16,
    ) -> Reply<DescribeTopicPartitionsResponse> {
        if let Some(error) = refused(&request) {
            return Reply::Ready(failed(&request, error));
        }
        let limit_max = context.shared.config.max_request_partition_size_limit;
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
        let image = context.shared.metadata.image();
        Reply::Ready(page(&image, &request, limit.min(limit_max).max(1)))
    }
}

/// Why the whole request is refused.
fn refused(request: &DescribeTopicPartitionsRequest) -> Option<ErrorCode> {
    let asks_for = |name: &str| request.topics.iter().any(|topic| topic.name == name);
    match &request.cursor {
        Some(cursor) if cursor.partition_index < 0 => Some(ErrorCode::InvalidRequest),
        Some(cursor) if !request.topics.is_empty() && !asks_for(&cursor.topic_name) => {
            Some(ErrorCode::InvalidRequest)
        }
        // The reference takes an empty name for that of the cursor it does not have.
        None if asks_for("") => Some(ErrorCode::UnknownServerError),
        _ => None,
    }
}

/// What `DescribeTopicPartitionsRequest.getErrorResponse` gives.
fn failed(
    request: &DescribeTopicPartitionsRequest,
    error: ErrorCode,
) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.clone()),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

/// The page from the request's cursor on, with at most `limit` partitions.
fn page(
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let cursor = request.cursor.as_ref();
    let (first, from) =
        cursor.map_or(("", 0), |cursor| (&*cursor.topic_name, cursor.partition_index as usize));
    let names: BTreeSet<&str> = match request.topics.is_empty() {
        true => image.topics().map(|topic| &*topic.name).collect(),
        false => request.topics.iter().map(|topic| topic.name.as_str()).collect(),
    };
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut remaining = limit;
    for name in names.range(first..) {
        let from = if *name == first { from } else { 0 };
        let next = match (image.topic(name), remaining) {
            (_, 0) => Some(0),
            (None, _) => {
                response.topics.push(unknown(name));
                None
            }
            (Some(topic), _) => {
                let until = topic.partitions.len().min(from.saturating_add(remaining));
                response.topics.push(described(topic, from..until, image.node_id));
                remaining -= until.saturating_sub(from);
                (until < topic.partitions.len()).then_some(until)
            }
        };
        if let Some(partition) = next {
            let (topic_name, partition_index) = ((*name).to_owned(), partition as i32);
            response.next_cursor = Some(Cursor { topic_name, partition_index });
            break;
        }
    }
    response
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match validate_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.to_owned()),
        is_internal: is_internal_topic(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn described(
    topic: &TopicImage,
    range: std::ops::Range<usize>,
    node_id: i32,
) -> DescribeTopicPartitionsResponseTopic {
    let listed = topic.partitions.get(range.clone()).unwrap_or_default();
    let partitions =
        range.zip(listed).map(|(number, partition)| DescribeTopicPartitionsResponsePartition {
            error_code: ErrorCode::None.code(),
            partition_index: number as i32,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: vec![node_id],
            isr_nodes: partition.in_sync(node_id),
            eligible_leader_replicas: Some(partition.offline(node_id)),
            last_known_elr: Some(partition.offline(node_id)),
            offline_replicas: partition.offline(node_id),
        });
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topic.internal,
        partitions: partitions.collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
    }
}
