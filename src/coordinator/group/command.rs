//! What the machine of groups is asked, and what it answers: the messages of the protocol, and who
//! sends them.

use std::sync::Arc;

use crate::metadata::MetadataImage;
use crate::partition::{Guard, TransactionMarker};
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_describe::DescribedGroup as DescribedConsumerGroup;
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use crate::wire::messages::describe_groups::DescribedGroup;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use crate::wire::messages::list_groups::ListedGroup;
use crate::wire::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use crate::wire::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use crate::wire::messages::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

/// Who asks, as far as a group remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Client id of the request.
    pub client_id: String,
    /// `/` and the address, as Java prints it.
    pub client_host: String,
    /// Version of the request.
    pub version: i16,
}

/// What the machine is asked. Group ids are those of this partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Join a group.
    Join(Caller, JoinGroupRequest),
    /// Ask for the assignment, or bring it.
    Sync(SyncGroupRequest),
    /// Stay in a group.
    Heartbeat(HeartbeatRequest),
    /// Leave a group.
    Leave(LeaveGroupRequest),
    /// Join, stay in or leave a consumer group.
    ConsumerHeartbeat(Caller, ConsumerGroupHeartbeatRequest),
    /// Describe a consumer group.
    ConsumerDescribe(String),
    /// Commit offsets of partitions that exist; the version of the request.
    Commit(OffsetCommitRequest, i16),
    /// Commit offsets of partitions that exist with a transaction, and the guard if its coordinator
    /// was asked.
    TransactionalCommit(TxnOffsetCommitRequest, Option<Guard>),
    /// End a producer's transaction in this partition.
    EndTransaction(TransactionMarker),
    /// Read offsets, with true also those that a transaction may change.
    Fetch(OffsetFetchRequestGroup, bool),
    /// Delete offsets of partitions that exist.
    DeleteOffsets(OffsetDeleteRequest),
    /// Describe groups.
    Describe(Vec<String>),
    /// List all groups.
    List,
    /// Delete groups.
    Delete(Vec<String>),
    /// Delete every group's offsets of topics that no longer exist, as many as one batch holds.
    ForgetTopics(Vec<String>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each answers the command of its name")]
pub enum Reply {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(ErrorCode),
    Leave(LeaveGroupResponse),
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerDescribe(DescribedConsumerGroup),
    Commit(OffsetCommitResponse),
    TransactionalCommit(TxnOffsetCommitResponse),
    EndTransaction,
    Fetch(OffsetFetchResponseGroup),
    DeleteOffsets(OffsetDeleteResponse),
    Describe(Vec<DescribedGroup>),
    List(Vec<ListedGroup>),
    Delete(Vec<(String, ErrorCode)>),
    /// True if there are more.
    ForgetTopics(bool),
}

impl Reply {
    /// A refused SyncGroup.
    pub(super) fn sync_error(error: ErrorCode) -> Self {
        Self::Sync(SyncGroupResponse { error_code: error.code(), ..Default::default() })
    }
}

/// A command, and the cluster's metadata when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub command: Command,
    /// The topics there are, and what is set for groups.
    pub image: Arc<MetadataImage>,
}
