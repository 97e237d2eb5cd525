//! OffsetFetch (key 9): committed offsets of one or several groups.
//!
//! Behavior:
//! - A group or a partition without an offset is answered with -1 and no error.
//! - `require_stable` answers UNSTABLE_OFFSET_COMMIT where a transaction is still to decide.
//!
//! Version notes: all offsets of a group by null from version 2; several groups from 8 (KIP-709);
//! member ids from 9 (KIP-848); topics by id from 10, also in the answer.

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

/// First version with several groups.
const GROUPS_VERSION: i16 = 8;
/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 10;

pub(super) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;

    async fn handle(
        context: Context<'_>,
        request: OffsetFetchRequest,
        version: i16,
    ) -> Reply<OffsetFetchResponse> {
        let stable = request.require_stable;
        if version >= GROUPS_VERSION {
            let mut groups = Vec::new();
            for group in request.groups {
                groups.push(fetch(context, group, stable, version).await);
            }
            return Reply::Ready(OffsetFetchResponse { groups, ..Default::default() });
        }
        let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: request.group_id,
            topics: request.topics.map(|topics| topics.into_iter().map(topic).collect()),
            ..Default::default()
        };
        let found = fetch(context, group, stable, version).await;
        Reply::Ready(OffsetFetchResponse {
            error_code: found.error_code,
            topics: found.topics.into_iter().map(old_topic).collect(),
            ..Default::default()
        })
    }
}

async fn fetch(
    context: Context<'_>,
    mut asked: OffsetFetchRequestGroup,
    stable: bool,
    version: i16,
) -> OffsetFetchResponseGroup {
    let image = context.shared.metadata.image();
    let by_id = version >= TOPIC_ID_VERSION;
    let unknown = if by_id { take_unknown_ids(&image, &mut asked) } else { Vec::new() };
    let group_id = asked.group_id.clone();
    let topics = asked.topics.clone().unwrap_or_default();
    let found = context.shared.groups.call(&group_id, Command::Fetch(asked, stable)).await;
    let mut answer = match found {
        // The whole question of a member that is not one, or not at its epoch.
        Ok(group::Reply::Fetch(answer)) if answer.error_code != ErrorCode::None.code() => {
            return answer;
        }
        Ok(group::Reply::Fetch(answer)) => answer,
        other => {
            let error = super::refusal(other);
            let failed = |topic| failed_topic(topic, ErrorCode::None);
            // Old versions have no error of the group, so each partition carries it.
            let topics = if version < 2 {
                topics.into_iter().map(|topic| failed_topic(topic, error)).collect()
            } else if version < GROUPS_VERSION {
                topics.into_iter().map(failed).collect()
            } else {
                Vec::new()
            };
            let error_code = error.code();
            return OffsetFetchResponseGroup { group_id, topics, error_code };
        }
    };
    if by_id {
        for topic in &mut answer.topics {
            if let Some(found) = image.topic(&topic.name) {
                topic.topic_id = found.id;
            }
        }
        // A topic deleted since has no id to be named by.
        answer.topics.retain(|topic| !topic.topic_id.is_nil());
        answer.topics.extend(unknown);
    }
    answer
}

/// Takes topics of unknown id out of the question and answers them.
fn take_unknown_ids(
    image: &MetadataImage,
    asked: &mut OffsetFetchRequestGroup,
) -> Vec<OffsetFetchResponseTopics> {
    let mut unknown = Vec::new();
    let topics = asked.topics.take();
    asked.topics = topics.map(|topics| {
        let mut known = Vec::new();
        for mut topic in topics {
            match image.topic_by_id(topic.topic_id) {
                Some(found) => {
                    topic.name = found.name.to_string();
                    known.push(topic);
                }
                None => unknown.push(failed_topic(topic, ErrorCode::UnknownTopicId)),
            }
        }
        known
    });
    unknown
}

fn failed_topic(topic: OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let failed = |partition_index| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        error_code: error.code(),
        ..Default::default()
    };
    OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.into_iter().map(failed).collect(),
    }
}

fn old_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let partitions = topic.partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopic { name: topic.name, partitions }
}
