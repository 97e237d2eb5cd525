//! OffsetCommit (key 8): a group's offsets, by its members or without any.
//!
//! Behavior:
//! - Partitions that do not exist are refused each for itself, before the group is asked.
//! - An empty group id and negative offsets are accepted, as Kafka does.
//!
//! Version notes: a retention of its own up to version 4; leader epochs from 6 (KIP-320); instance ids
//! from 7 (KIP-345); GROUP_ID_NOT_FOUND from 9 (KIP-848); topics by id from 10 (KIP-848).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command, commit_refused};
use crate::wire::ErrorCode;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 10;

pub(super) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;

    async fn handle(
        context: Context<'_>,
        mut request: OffsetCommitRequest,
        version: i16,
    ) -> Reply<OffsetCommitResponse> {
        let mut topics = take_unknown(context, &mut request, version);
        if !request.topics.is_empty() {
            let asked = request.clone();
            let group_id = request.group_id.clone();
            let command = Command::Commit(request, version);
            let committed = match context.shared.groups.call(&group_id, command).await {
                Ok(group::Reply::Commit(response)) => response,
                other => commit_refused(&asked, super::refusal(other)),
            };
            merge(&mut topics, committed.topics);
        }
        Reply::Ready(OffsetCommitResponse { topics, ..Default::default() })
    }
}

/// Takes partitions that do not exist out of the request and answers them.
fn take_unknown(
    context: Context<'_>,
    request: &mut OffsetCommitRequest,
    version: i16,
) -> Vec<OffsetCommitResponseTopic> {
    let image = context.shared.metadata.image();
    let mut answers = Vec::new();
    for topic in &mut request.topics {
        let (found, error) = if version >= TOPIC_ID_VERSION {
            (image.topic_by_id(topic.topic_id), ErrorCode::UnknownTopicId)
        } else {
            (image.topic(&topic.name), ErrorCode::UnknownTopicOrPartition)
        };
        let mut unknown = OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::new(),
        };
        let error = if found.is_none() { error } else { ErrorCode::UnknownTopicOrPartition };
        topic.partitions.retain(|partition| {
            let index = partition.partition_index;
            let exists = found.is_some_and(|found| found.has_partition(index));
            if !exists {
                let error_code = error.code();
                let refused = OffsetCommitResponsePartition { partition_index: index, error_code };
                unknown.partitions.push(refused);
            }
            exists
        });
        if let Some(found) = found {
            topic.name = found.name.to_string();
            topic.topic_id = found.id;
            (unknown.name, unknown.topic_id) = (topic.name.clone(), topic.topic_id);
        }
        if !unknown.partitions.is_empty() {
            answers.push(unknown);
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    answers
}

/// A topic has one entry, those refused first; where none is, a topic has one as often as it was named.
fn merge(topics: &mut Vec<OffsetCommitResponseTopic>, committed: Vec<OffsetCommitResponseTopic>) {
    if topics.is_empty() {
        *topics = committed;
        return;
    }
    for topic in committed {
        let known = topics.iter_mut();
        match known.into_iter().find(|known| known.name == topic.name) {
            Some(known) => known.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
}
