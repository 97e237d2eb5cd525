//! ListOffsets (key 2): offsets by timestamp, first, last and of the largest timestamp.
//!
//! Behavior:
//! - A partition named twice is answered once, with INVALID_REQUEST.
//! - Special timestamps: -1 end, -2 start, -3 largest timestamp (KIP-734), -4 earliest local
//!   (KIP-405), -5 latest tiered (KIP-1005), -6 earliest pending upload (KIP-1023); others below
//!   zero find the first record.
//! - Consumers are bounded by the high watermark or the last stable offset; replica ids of 0 and
//!   more and the debugging id read to the end of the log.
//!
//! Version notes: -3 from version 7, -4 from 8, -5 from 9, -6 from 11; leader epochs from 4.

use std::collections::HashMap;

use super::{Api, Context, Reply};
use crate::partition::{Isolation, NotOpen};
use crate::wire::ErrorCode;
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};

/// The replica id of a consumer.
const CONSUMER: i32 = -1;

pub(super) struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;

    async fn handle(
        context: Context<'_>,
        request: ListOffsetsRequest,
        version: i16,
    ) -> Reply<ListOffsetsResponse> {
        let isolation = match (request.replica_id, request.isolation_level) {
            (CONSUMER, 0) => Isolation::ReadUncommitted,
            (CONSUMER, 1) => Isolation::ReadCommitted,
            (_, 0 | 1) => Isolation::LogEnd,
            _ => return Reply::Ready(failed(&request, ErrorCode::UnknownServerError)),
        };
        // The reference groups by topic and keeps one answer for each partition.
        let mut topics: Vec<ListOffsetsTopicResponse> = Vec::new();
        let mut places: HashMap<&str, (usize, HashMap<i32, usize>)> = HashMap::new();
        for topic in request.topics.iter().filter(|topic| !topic.partitions.is_empty()) {
            let (at, indexes) = places.entry(&topic.name).or_insert_with(|| {
                topics.push(ListOffsetsTopicResponse {
                    name: topic.name.clone(),
                    ..Default::default()
                });
                (topics.len() - 1, HashMap::new())
            });
            let answers = &mut topics[*at].partitions;
            for partition in &topic.partitions {
                let index = partition.partition_index;
                if let Some(place) = indexes.get(&index) {
                    answers[*place] = refusal(index, ErrorCode::InvalidRequest);
                    continue;
                }
                let found = find(context, &topic.name, partition, isolation, version).await;
                indexes.insert(index, answers.len());
                answers.push(found.unwrap_or_else(|error| refusal(index, error)));
            }
        }
        Reply::Ready(ListOffsetsResponse { topics, ..Default::default() })
    }
}

async fn find(
    context: Context<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let index = asked.partition_index;
    let needed = match asked.timestamp {
        -3 => 7,
        -4 => 8,
        -5 => 9,
        -6 => 11,
        timestamp if timestamp < -6 => i16::MAX,
        _ => 0,
    };
    if version < needed {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = context.shared.registry.get(topic, index);
    let partition = partition.map_err(NotOpen::error_code)?;
    partition.check_named_epoch(asked.current_leader_epoch)?;
    let found = partition.offset_for_timestamp(asked.timestamp, isolation).await;
    Ok(match found.map_err(|error| error.error_code())? {
        Some(found) => ListOffsetsPartitionResponse {
            partition_index: index,
            error_code: ErrorCode::None.code(),
            timestamp: found.timestamp_ms,
            offset: found.offset,
            leader_epoch: found.leader_epoch,
        },
        None => refusal(index, ErrorCode::None),
    })
}

/// No offset: an error, or nothing found.
fn refusal(partition_index: i32, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code: error.code(), ..Default::default() }
}

/// What `ListOffsetsRequest.getErrorResponse` gives.
fn failed(request: &ListOffsetsRequest, error: ErrorCode) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| refusal(partition.partition_index, error))
            .collect(),
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}
