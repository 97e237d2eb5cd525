//! The offsets that a group has committed.

use std::collections::BTreeMap;

use super::{ClientError, Connection, TopicPartition};
use crate::wire::ErrorCode;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

/// The last version of OffsetFetch and OffsetCommit with topics by name.
const NAMED_TOPICS_VERSION: i16 = 9;

/// A committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next to be read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record that was read, or -1.
    pub(crate) epoch: i32,
}

/// Who commits: a member, or nobody that is one, with an empty id and the generation -1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) group: &'a str,
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) generation: i32,
}

/// The partitions of each topic.
pub(crate) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> BTreeMap<&'a str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    topics
}

/// Asks the coordinator for what is committed for these partitions or, with None, for all; those without an offset are left
/// out. The inner error is the code of the group's, or of offsets that an open transaction may still change.
pub(crate) async fn committed(
    coordinator: &mut Connection,
    group: &str,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> Result<Result<BTreeMap<TopicPartition, Committed>, i16>, ClientError> {
    let topics = partitions.map(by_topic);
    let version = coordinator.peer().version::<OffsetFetchRequest>()?.min(NAMED_TOPICS_VERSION);
    let asked = topics.iter().flatten().map(|(name, partitions)| OffsetFetchRequestTopics {
        name: (*name).to_owned(),
        partition_indexes: partitions.clone(),
        ..Default::default()
    });
    let asked: Vec<_> = asked.collect();
    // Before version 8 there is one group, and it stands beside.
    let old = asked.iter().map(|topic| OffsetFetchRequestTopic {
        name: topic.name.clone(),
        partition_indexes: topic.partition_indexes.clone(),
    });
    let request = OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: topics.as_ref().map(|_| old.collect()),
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: topics.as_ref().map(|_| asked.clone()),
            ..Default::default()
        }],
        require_stable,
    };
    let answer = coordinator.call_at(&request, version).await?;
    let error = answer.groups.first().map_or(answer.error_code, |group| group.error_code);
    let mut found = Vec::new();
    for topic in answer.topics {
        found.extend(topic.partitions.into_iter().map(|one| {
            let committed = (one.committed_offset, one.committed_leader_epoch);
            ((topic.name.clone(), one.partition_index), one.error_code, committed)
        }));
    }
    for topic in answer.groups.into_iter().flat_map(|group| group.topics) {
        found.extend(topic.partitions.into_iter().map(|one| {
            let committed = (one.committed_offset, one.committed_leader_epoch);
            ((topic.name.clone(), one.partition_index), one.error_code, committed)
        }));
    }
    let unstable = ErrorCode::UnstableOffsetCommit.code();
    if error != 0 || found.iter().any(|(_, code, _)| *code == unstable) {
        return Ok(Err(if error == 0 { unstable } else { error }));
    }
    let known = found.into_iter().filter(|(_, code, (offset, _))| *code == 0 && *offset >= 0);
    let known =
        known.map(|(partition, _, (offset, epoch))| (partition, Committed { offset, epoch }));
    Ok(Ok(known.collect()))
}

/// Commits; the partitions that were refused, each with the code of its error.
pub(crate) async fn commit(
    coordinator: &mut Connection,
    committer: Committer<'_>,
    offsets: &BTreeMap<TopicPartition, Committed>,
) -> Result<Vec<(TopicPartition, i16)>, ClientError> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition_index), committed) in offsets {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.epoch,
            ..Default::default()
        });
    }
    let topic = |(name, partitions): (&str, _)| OffsetCommitRequestTopic {
        name: name.to_owned(),
        partitions,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: committer.group.to_owned(),
        generation_id_or_member_epoch: committer.generation,
        member_id: committer.member_id.to_owned(),
        group_instance_id: committer.instance_id.map(str::to_owned),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let version = coordinator.peer().version::<OffsetCommitRequest>()?.min(NAMED_TOPICS_VERSION);
    let answer = coordinator.call_at(&request, version).await?;
    let mut refused = Vec::new();
    for topic in answer.topics {
        let failed = topic.partitions.into_iter().filter(|one| one.error_code != 0);
        refused
            .extend(failed.map(|one| ((topic.name.clone(), one.partition_index), one.error_code)));
    }
    Ok(refused)
}
