//! Offsets committed and deleted, groups described, listed and deleted.

use super::classic::{CONSUMER_PROTOCOL, Group, Member, State};
use super::machine::{AnyGroup, GroupMachine};
use super::record::Record;
use super::turn::Turn;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use crate::wire::messages::list_groups::ListedGroup;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use crate::wire::records::{OffsetCommitKey, OffsetCommitValue};

/// Stands for the retention of the broker (`OffsetCommitRequest.DEFAULT_RETENTION_TIME`).
const DEFAULT_RETENTION: i64 = -1;
/// First version that says of a missing group that it is missing.
const GROUP_ID_NOT_FOUND_VERSION: i16 = 9;
/// State of a group that does not exist.
const DEAD: &str = "Dead";
/// Kafka's names of the kinds of groups (`Group.GroupType`).
const CLASSIC_TYPE: &str = "classic";
const CONSUMER_TYPE: &str = "consumer";

impl GroupMachine {
    /// Commits offsets. Members must be of the generation; without members anyone may commit.
    pub(super) fn commit(
        &mut self,
        request: &OffsetCommitRequest,
        version: i16,
        turn: &mut Turn,
    ) -> OffsetCommitResponse {
        match self.check_commit(request, Some(version), turn) {
            Ok(()) => write_offsets(request, turn),
            Err(error) => commit_refused(request, error),
        }
    }

    /// Whether the commit may come from whoever it comes from; without a version it is that of a
    /// transaction, which does not keep its member alive and may come while the group rebalances.
    pub(super) fn check_commit(
        &mut self,
        request: &OffsetCommitRequest,
        version: Option<i16>,
        turn: &Turn,
    ) -> Result<(), ErrorCode> {
        let outside = request.generation_id_or_member_epoch < 0;
        let group = match self.groups.get_mut(request.group_id.as_str()) {
            Some(AnyGroup::Classic(group)) => group,
            Some(AnyGroup::Consumer(group)) => {
                return group.check_commit(request, version).map_err(|refusal| {
                    tracing::debug!(reason = refusal.message, "commit refused");
                    refusal.error
                });
            }
            Some(AnyGroup::Other) | None if outside => return Ok(()),
            Some(AnyGroup::Other) => return Err(ErrorCode::UnknownMemberId),
            None if version.is_some_and(|version| version >= GROUP_ID_NOT_FOUND_VERSION) => {
                return Err(ErrorCode::GroupIdNotFound);
            }
            None => return Err(ErrorCode::IllegalGeneration),
        };
        if outside && group.state == State::Empty {
            return Ok(());
        }
        let (id, instance) = (&request.member_id, request.group_instance_id.as_deref());
        if outside && id.is_empty() && instance.is_none() {
            // Old clients do not say in a transaction who they are.
            return if version.is_none() { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        }
        group.check_member(id, instance)?;
        if request.generation_id_or_member_epoch != group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if version.is_none() {
            return Ok(());
        }
        match group.state {
            State::CompletingRebalance => return Err(ErrorCode::RebalanceInProgress),
            State::Stable | State::PreparingRebalance => group.keep_alive(id, turn),
            State::Empty => {}
        }
        Ok(())
    }

    /// Reads offsets; a member says its epoch.
    pub(super) fn fetch(
        &self,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let group = self.groups.get(request.group_id.as_str());
        if let Some(AnyGroup::Consumer(group)) = group
            && let Err(error) = group.check_fetch(request)
        {
            return OffsetFetchResponseGroup {
                group_id: request.group_id.clone(),
                error_code: error.code(),
                ..Default::default()
            };
        }
        self.offsets.fetch(request, group.is_some(), require_stable)
    }

    /// Deletes offsets of topics that the group is not subscribed to.
    pub(super) fn delete_offsets(
        &self,
        request: OffsetDeleteRequest,
        turn: &mut Turn,
    ) -> OffsetDeleteResponse {
        let refused = match self.groups.get(request.group_id.as_str()) {
            Some(AnyGroup::Other) | None => Some(ErrorCode::GroupIdNotFound),
            Some(AnyGroup::Classic(group))
                if group.state != State::Empty && !group.is_consumer_group() =>
            {
                Some(ErrorCode::NonEmptyGroup)
            }
            Some(AnyGroup::Classic(_) | AnyGroup::Consumer(_)) => None,
        };
        if let Some(error) = refused {
            return delete_refused(error);
        }
        let group = self.groups.get(request.group_id.as_str());
        let subscribed = |topic: &str| group.is_some_and(|group| group.is_subscribed_to(topic));
        let mut records = Vec::new();
        let mut delete_topic = |topic: OffsetDeleteRequestTopic| {
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
            let partitions = partitions.map(|partition_index| {
                let key = OffsetCommitKey {
                    group: request.group_id.clone(),
                    topic: topic.name.clone(),
                    partition: partition_index,
                };
                let error = if subscribed(&topic.name) {
                    ErrorCode::GroupSubscribedToTopic
                } else {
                    if self.offsets.has(&key) {
                        records.push(Record::Offset(key, None));
                    }
                    ErrorCode::None
                };
                OffsetDeleteResponsePartition { partition_index, error_code: error.code() }
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic { name: topic.name, partitions }
        };
        let topics = request.topics.into_iter().map(&mut delete_topic).collect();
        if !turn.fits(&records) {
            return delete_refused(ErrorCode::UnknownServerError);
        }
        turn.records.append(&mut records);
        OffsetDeleteResponse { topics, ..Default::default() }
    }

    /// Describes groups; a missing one is `Dead` and GROUP_ID_NOT_FOUND.
    pub(super) fn describe(&self, ids: Vec<String>) -> Vec<DescribedGroup> {
        let missing = |id: String| DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(match self.groups.contains_key(id.as_str()) {
                true => format!("Group {id} is not a classic group."),
                false => format!("Group {id} not found."),
            }),
            group_state: DEAD.to_owned(),
            group_id: id,
            ..Default::default()
        };
        let describe = |id: String| match self.classic(&id) {
            Some(group) => described(group, id),
            None => missing(id),
        };
        ids.into_iter().map(describe).collect()
    }

    /// All groups.
    pub(super) fn list(&self) -> Vec<ListedGroup> {
        let listed = |id: &str, protocol_type: &str, state: &str, kind: &str| ListedGroup {
            group_id: id.to_owned(),
            protocol_type: protocol_type.to_owned(),
            group_state: state.to_owned(),
            group_type: kind.to_owned(),
        };
        let listed = self.groups.iter().filter_map(|(id, group)| match group {
            AnyGroup::Classic(group) => {
                let protocol_type = group.protocol_type.as_deref().unwrap_or_default();
                Some(listed(id, protocol_type, group.state.name(), CLASSIC_TYPE))
            }
            AnyGroup::Consumer(group) => {
                Some(listed(id, CONSUMER_PROTOCOL, group.state().name(), CONSUMER_TYPE))
            }
            AnyGroup::Other => None,
        });
        listed.collect()
    }

    /// Deletes groups without members, and their offsets.
    pub(super) fn delete(&self, ids: Vec<String>, turn: &mut Turn) -> Vec<(String, ErrorCode)> {
        let mut delete = |id: &str| {
            let tombstones = match self.groups.get(id) {
                Some(AnyGroup::Classic(group)) if group.state == State::Empty => {
                    vec![Record::remove_group(id)]
                }
                Some(AnyGroup::Consumer(group)) if group.members.is_empty() => {
                    let records = group.tombstones().into_iter();
                    records.map(|record| Record::Consumer(id.to_owned(), record)).collect()
                }
                Some(AnyGroup::Classic(_) | AnyGroup::Consumer(_)) => {
                    return ErrorCode::NonEmptyGroup;
                }
                Some(AnyGroup::Other) | None => return ErrorCode::GroupIdNotFound,
            };
            let keys = self.offsets.keys(|group, _| group == id).into_iter();
            let mut records: Vec<_> = keys.map(|key| Record::Offset(key, None)).collect();
            records.extend(tombstones);
            turn.write_all(records).err().map_or(ErrorCode::None, |refusal| refusal.error)
        };
        ids.into_iter().map(|id| (delete(&id), id)).map(|(error, id)| (id, error)).collect()
    }
}

/// Writes the offsets of a commit that is allowed.
pub(super) fn write_offsets(
    request: &OffsetCommitRequest,
    turn: &mut Turn,
) -> OffsetCommitResponse {
    let mut records = Vec::new();
    let response = commit_answered(request, |topic, partition| {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        if metadata.encode_utf16().count() > turn.settings.offset_metadata_max_bytes {
            return ErrorCode::OffsetMetadataTooLarge;
        }
        records.push(offset_record(request, topic, partition, turn.now_ms));
        ErrorCode::None
    });
    if !turn.fits(&records) {
        return commit_refused(request, ErrorCode::UnknownServerError);
    }
    turn.records.append(&mut records);
    response
}

fn offset_record(
    request: &OffsetCommitRequest,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
    now_ms: i64,
) -> Record {
    let key = OffsetCommitKey {
        group: request.group_id.clone(),
        topic: topic.name.clone(),
        partition: partition.partition_index,
    };
    let expire_timestamp = match request.retention_time_ms {
        DEFAULT_RETENTION => -1,
        retention_ms => now_ms.saturating_add(retention_ms),
    };
    let value = OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: now_ms,
        expire_timestamp,
        topic_id: topic.topic_id,
    };
    Record::Offset(key, Some(value))
}

fn delete_refused(error: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: error.code(), ..Default::default() }
}

/// Every partition of the request with this error.
pub fn commit_refused(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    commit_answered(request, |_, _| error)
}

/// Every partition of the request with its error.
fn commit_answered(
    request: &OffsetCommitRequest,
    mut error: impl FnMut(&OffsetCommitRequestTopic, &OffsetCommitRequestPartition) -> ErrorCode,
) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error(topic, partition).code(),
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn described(group: &Group, group_id: String) -> DescribedGroup {
    // Between two generations the members' metadata may belong to another protocol.
    let protocol = group.protocol_name.as_deref().filter(|_| group.state == State::Stable);
    let member = |(id, member): (&String, &Member)| DescribedGroupMember {
        member_id: id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: member.metadata(protocol),
        member_assignment: member.assignment.clone(),
    };
    DescribedGroup {
        group_id,
        group_state: group.state.name().to_owned(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.unwrap_or_default().to_owned(),
        members: group.members.iter().map(member).collect(),
        ..Default::default()
    }
}
