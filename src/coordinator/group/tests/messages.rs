//! What tests ask and expect: requests, answers and records of one group.

use bytes::Bytes;

use super::{GROUP, NOW_MS, REBALANCE_MS, SESSION_MS};
use crate::coordinator::group::command::{Caller, Command, Reply};
use crate::coordinator::group::membership;
use crate::coordinator::group::record::Record;
use crate::partition::TransactionMarker;
use crate::shard::KeyValue;
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, JoinGroupResponseMember,
};
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use crate::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::wire::records::{
    GroupMetadataValue, MemberMetadata, OffsetCommitKey, OffsetCommitValue,
};

/// A member's metadata: a consumer's subscription to these topics.
pub(super) fn subscribed(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

pub(super) fn protocol(name: &str, metadata: Bytes) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata }
}

/// What members support unless a test says otherwise.
pub(super) fn range() -> Vec<JoinGroupRequestProtocol> {
    vec![protocol("range", subscribed(&["orders"]))]
}

pub(super) fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: SESSION_MS as i32,
        rebalance_timeout_ms: REBALANCE_MS as i32,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: range(),
        ..Default::default()
    }
}

pub(super) fn joins(client: &str, version: i16, request: JoinGroupRequest) -> Command {
    let (client_id, client_host) = (client.to_owned(), "/127.0.0.1".to_owned());
    Command::Join(Caller { client_id, client_host, version }, request)
}

/// A known member joins again.
pub(super) fn rejoin(member_id: &str) -> Command {
    joins("client", 9, join_request(member_id))
}

/// A client joins that gets its id with the answer.
pub(super) fn join_old(client: &str) -> Command {
    joins(client, 3, join_request(""))
}

pub(super) fn static_join(instance: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance.into()), ..join_request(member_id) }
}

pub(super) fn join_refused(error: ErrorCode, member_id: &str) -> Reply {
    Reply::Join(JoinGroupResponse {
        error_code: error.code(),
        member_id: member_id.into(),
        protocol_name: None,
        ..Default::default()
    })
}

/// A member's place in a generation of "range".
pub(super) fn joined(generation_id: i32, leader: &str, member_id: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: leader.into(),
        member_id: member_id.into(),
        ..Default::default()
    }
}

/// As [`joined`], for the leader of these members.
pub(super) fn leads(generation_id: i32, leader: &str, members: &[&str]) -> JoinGroupResponse {
    let member = |id: &&str| JoinGroupResponseMember {
        member_id: (*id).to_owned(),
        metadata: subscribed(&["orders"]),
        ..Default::default()
    };
    let members = members.iter().map(member).collect();
    JoinGroupResponse { members, ..joined(generation_id, leader, leader) }
}

pub(super) fn sync_request(member_id: &str, generation_id: i32) -> SyncGroupRequest {
    let (group_id, member_id) = (GROUP.to_owned(), member_id.to_owned());
    SyncGroupRequest { group_id, generation_id, member_id, ..Default::default() }
}

pub(super) fn sync_refused(error: ErrorCode) -> Reply {
    Reply::sync_error(error)
}

pub(super) fn syncs(member_id: &str, generation_id: i32) -> Command {
    Command::Sync(sync_request(member_id, generation_id))
}

/// The leader brings assignments.
pub(super) fn assigns(
    leader: &str,
    generation_id: i32,
    assignments: &[(&str, &'static str)],
) -> Command {
    let assigned = |(id, assignment): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: (*id).to_owned(),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    let assignments = assignments.iter().map(assigned).collect();
    Command::Sync(SyncGroupRequest { assignments, ..sync_request(leader, generation_id) })
}

pub(super) fn synced(assignment: &'static str) -> Reply {
    Reply::Sync(SyncGroupResponse {
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: Bytes::from_static(assignment.as_bytes()),
        ..Default::default()
    })
}

pub(super) fn heartbeat_request(member_id: &str, generation_id: i32) -> HeartbeatRequest {
    let (group_id, member_id) = (GROUP.to_owned(), member_id.to_owned());
    HeartbeatRequest { group_id, generation_id, member_id, group_instance_id: None }
}

pub(super) fn beats(member_id: &str, generation_id: i32) -> Command {
    Command::Heartbeat(heartbeat_request(member_id, generation_id))
}

pub(super) fn beat(error: ErrorCode) -> Reply {
    Reply::Heartbeat(error)
}

pub(super) fn identity(member_id: &str, instance: Option<&str>) -> MemberIdentity {
    let group_instance_id = instance.map(str::to_owned);
    MemberIdentity { member_id: member_id.into(), group_instance_id, reason: None }
}

pub(super) fn leaves(members: &[MemberIdentity]) -> Command {
    let (group_id, members) = (GROUP.to_owned(), members.to_vec());
    Command::Leave(LeaveGroupRequest { group_id, members, ..Default::default() })
}

pub(super) fn left(members: &[(&str, Option<&str>, ErrorCode)]) -> Reply {
    let members = members.iter();
    let members =
        members.map(|(id, instance, error)| membership::left(&identity(id, *instance), *error));
    Reply::Leave(LeaveGroupResponse { members: members.collect(), ..Default::default() })
}

pub(super) fn member_record(id: &str, assignment: &'static str) -> MemberMetadata {
    MemberMetadata {
        member_id: id.into(),
        group_instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: REBALANCE_MS as i32,
        session_timeout: SESSION_MS as i32,
        subscription: subscribed(&["orders"]),
        assignment: Bytes::from_static(assignment.as_bytes()),
    }
}

pub(super) fn static_record(instance: &str, id: &str, assignment: &'static str) -> MemberMetadata {
    let group_instance_id = Some(instance.to_owned());
    MemberMetadata { group_instance_id, ..member_record(id, assignment) }
}

pub(super) fn group_value(
    generation: i32,
    since_ms: i64,
    members: Vec<MemberMetadata>,
) -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation,
        protocol: (!members.is_empty()).then(|| "range".to_owned()),
        leader: members.first().map(|member| member.member_id.clone()),
        current_state_timestamp: NOW_MS + since_ms,
        members,
    }
}

/// A generation, led by the first of its members.
pub(super) fn group_record(generation: i32, since_ms: i64, members: Vec<MemberMetadata>) -> Record {
    Record::Group(GROUP.into(), Some(group_value(generation, since_ms, members)))
}

/// The group has come to exist.
pub(super) fn created(since_ms: i64) -> Record {
    let value = group_value(0, since_ms, vec![]);
    Record::Group(GROUP.into(), Some(GroupMetadataValue { protocol_type: String::new(), ..value }))
}

pub(super) fn key(partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: GROUP.into(), topic: "orders".into(), partition }
}

pub(super) fn value(offset: i64) -> OffsetCommitValue {
    OffsetCommitValue { offset, commit_timestamp: NOW_MS, ..Default::default() }
}

pub(super) fn offset_record(partition: i32, offset: i64) -> Record {
    Record::Offset(key(partition), Some(value(offset)))
}

pub(super) fn commit_request(
    member_id: &str,
    generation: i32,
    partitions: Vec<OffsetCommitRequestPartition>,
) -> OffsetCommitRequest {
    let topic =
        OffsetCommitRequestTopic { name: "orders".into(), partitions, ..Default::default() };
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn commit_partition(partition_index: i32, offset: i64) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition { partition_index, committed_offset: offset, ..Default::default() }
}

/// Commits one offset.
pub(super) fn commits(member_id: &str, generation: i32, offset: i64) -> Command {
    Command::Commit(commit_request(member_id, generation, vec![commit_partition(0, offset)]), 9)
}

pub(super) fn commit_answer(partitions: &[(i32, ErrorCode)]) -> Reply {
    let partition = |(partition_index, error): &(i32, ErrorCode)| OffsetCommitResponsePartition {
        partition_index: *partition_index,
        error_code: error.code(),
    };
    let partitions = partitions.iter().map(partition).collect();
    let topic =
        OffsetCommitResponseTopic { name: "orders".into(), partitions, ..Default::default() };
    Reply::Commit(OffsetCommitResponse { topics: vec![topic], ..Default::default() })
}

/// The one offset of [`commits`] is refused, or is not.
pub(super) fn committed(error: ErrorCode) -> Reply {
    commit_answer(&[(0, error)])
}

/// Producer 4 commits in its transaction, on behalf of this member.
pub(super) fn transactional_request(
    member_id: &str,
    generation_id: i32,
    offsets: &[(i32, i64)],
) -> TxnOffsetCommitRequest {
    let partition = |(partition_index, committed_offset): &(i32, i64)| {
        let (partition_index, committed_offset) = (*partition_index, *committed_offset);
        let (committed_leader_epoch, committed_metadata) = (-1, Some(String::new()));
        TxnOffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch,
            committed_metadata,
        }
    };
    let partitions = offsets.iter().map(partition).collect();
    TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: GROUP.into(),
        producer_id: 4,
        producer_epoch: 0,
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        topics: vec![TxnOffsetCommitRequestTopic { name: "orders".into(), partitions }],
    }
}

pub(super) fn transactional_answer(partitions: &[(i32, ErrorCode)]) -> Reply {
    let partition = |(partition_index, error): &(i32, ErrorCode)| {
        let (partition_index, error_code) = (*partition_index, error.code());
        TxnOffsetCommitResponsePartition { partition_index, error_code }
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![TxnOffsetCommitResponseTopic { name: "orders".into(), partitions }];
    Reply::TransactionalCommit(TxnOffsetCommitResponse { topics, ..Default::default() })
}

/// Ends a producer's transaction.
pub(super) fn ends(producer_id: i64, committed: bool) -> Command {
    Command::EndTransaction(TransactionMarker {
        producer_id,
        producer_epoch: 1,
        coordinator_epoch: 3,
        committed,
        transaction_version: 2,
    })
}

/// Asks for offsets of some partitions, or for all.
pub(super) fn fetches(partitions: Option<&[i32]>, require_stable: bool) -> Command {
    let topic = |partitions: &[i32]| OffsetFetchRequestTopics {
        name: "orders".into(),
        partition_indexes: partitions.to_vec(),
        ..Default::default()
    };
    let request = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: partitions.map(|partitions| vec![topic(partitions)]),
        ..Default::default()
    };
    Command::Fetch(request, require_stable)
}

/// Offsets by partition; -1 for none.
pub(super) fn fetched(offsets: &[(i32, i64, ErrorCode)]) -> Reply {
    let partition =
        |(partition_index, offset, error): &(i32, i64, ErrorCode)| OffsetFetchResponsePartitions {
            partition_index: *partition_index,
            committed_offset: *offset,
            error_code: error.code(),
            ..Default::default()
        };
    let topic = OffsetFetchResponseTopics {
        name: "orders".into(),
        partitions: offsets.iter().map(partition).collect(),
        ..Default::default()
    };
    let topics = if offsets.is_empty() { vec![] } else { vec![topic] };
    Reply::Fetch(OffsetFetchResponseGroup { group_id: GROUP.into(), topics, ..Default::default() })
}

pub(super) fn deletes(topic: &str, partitions: &[i32]) -> Command {
    let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![OffsetDeleteRequestTopic { name: topic.into(), partitions }];
    Command::DeleteOffsets(OffsetDeleteRequest { group_id: GROUP.into(), topics })
}

/// Every partition with this error.
pub(super) fn deleted(topic: &str, partitions: &[i32], error: ErrorCode) -> Reply {
    let partition = |index: &i32| OffsetDeleteResponsePartition {
        partition_index: *index,
        error_code: error.code(),
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![OffsetDeleteResponseTopic { name: topic.into(), partitions }];
    Reply::DeleteOffsets(OffsetDeleteResponse { topics, ..Default::default() })
}

/// The request as a whole with this error.
pub(super) fn delete_refused(error: ErrorCode) -> Reply {
    let error_code = error.code();
    Reply::DeleteOffsets(OffsetDeleteResponse { error_code, ..Default::default() })
}

/// Says that a share (11) or streams (17) group exists, or no longer does.
pub(super) fn other_group(kind: i16, group: &str, exists: bool) -> KeyValue {
    let mut key = kind.to_be_bytes().to_vec();
    key.extend((group.len() as i16).to_be_bytes());
    key.extend(group.as_bytes());
    KeyValue { key: Some(key.into()), value: exists.then(|| Bytes::from_static(&[0; 6])) }
}

/// The end of a transaction.
pub(super) fn marker(commit: bool) -> KeyValue {
    let key = Bytes::copy_from_slice(&[0, 0, 0, u8::from(commit)]);
    KeyValue { key: Some(key), value: Some(Bytes::from_static(&[0; 6])) }
}
