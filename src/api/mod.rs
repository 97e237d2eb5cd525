//! The APIs: a type each, one list, one dispatch.
//!
//! An API is a request type, a response type, a version range and a function; the files beside
//! this one hold one each. [`ROWS`] is built from the list below, and both the dispatch and the
//! answer of ApiVersions come from it, so an API cannot be advertised and not served.
//!
//! Errors are data of a response. Only what [`DispatchError`] names closes the connection.

mod admissions;
mod config_changes;
mod context;
mod dispatch;
mod fetch_session;
mod transactions;

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

use std::ops::RangeInclusive;

pub(crate) use context::Context;
pub use context::{Session, Shared};
pub(crate) use dispatch::Reply;
pub use dispatch::{DispatchError, EncodedReply, dispatch};
pub(crate) use fetch_session::FetchSessions;

use crate::coordinator::group;
use crate::wire::{ErrorCode, Message, Request};
use dispatch::{Row, row};

/// One API of the protocol.
pub(crate) trait Api: 'static {
    /// What the client sends; it knows what it gets back.
    type Request: Request<Response: Send> + Send;
    /// The versions that ApiVersions names. A version that is named but that the request cannot be
    /// read in closes the connection (Produce 0 to 2).
    const ADVERTISED: RangeInclusive<i16> = Self::Request::VERSIONS;

    /// Serves one request. The connection's next request waits for this future, not for a
    /// [`Reply::Pending`].
    fn handle(
        context: Context<'_>,
        request: Self::Request,
        version: i16,
    ) -> impl Future<Output = Reply<<Self::Request as Request>::Response>> + Send;
}

/// What Kafka says of INVALID_REQUEST where it says nothing more.
const MALFORMED_REQUEST: &str = "This most likely occurs because of a request being malformed by \
     the client library or the message was sent to an incompatible broker. See the broker logs for \
     more details.";

/// The error of a call to a group's coordinator that did not bring the reply it should.
fn refusal(outcome: Result<group::Reply, ErrorCode>) -> ErrorCode {
    outcome.err().unwrap_or(ErrorCode::UnknownServerError)
}

/// Every API, in the order of the keys.
pub(crate) static ROWS: &[Row] = &[
    row::<produce::Produce>(),
    row::<fetch::Fetch>(),
    row::<list_offsets::ListOffsets>(),
    row::<metadata::Metadata>(),
    row::<offset_commit::OffsetCommit>(),
    row::<offset_fetch::OffsetFetch>(),
    row::<find_coordinator::FindCoordinator>(),
    row::<join_group::JoinGroup>(),
    row::<heartbeat::Heartbeat>(),
    row::<leave_group::LeaveGroup>(),
    row::<sync_group::SyncGroup>(),
    row::<describe_groups::DescribeGroups>(),
    row::<list_groups::ListGroups>(),
    row::<api_versions::ApiVersions>(),
    row::<create_topics::CreateTopics>(),
    row::<delete_topics::DeleteTopics>(),
    row::<delete_records::DeleteRecords>(),
    row::<init_producer_id::InitProducerId>(),
    row::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    row::<add_partitions_to_txn::AddPartitionsToTxn>(),
    row::<add_offsets_to_txn::AddOffsetsToTxn>(),
    row::<end_txn::EndTxn>(),
    row::<write_txn_markers::WriteTxnMarkers>(),
    row::<txn_offset_commit::TxnOffsetCommit>(),
    row::<describe_configs::DescribeConfigs>(),
    row::<alter_configs::AlterConfigs>(),
    row::<describe_log_dirs::DescribeLogDirs>(),
    row::<create_partitions::CreatePartitions>(),
    row::<delete_groups::DeleteGroups>(),
    row::<incremental_alter_configs::IncrementalAlterConfigs>(),
    row::<offset_delete::OffsetDelete>(),
    row::<describe_cluster::DescribeCluster>(),
    row::<describe_producers::DescribeProducers>(),
    row::<describe_transactions::DescribeTransactions>(),
    row::<list_transactions::ListTransactions>(),
    row::<consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    row::<consumer_group_describe::ConsumerGroupDescribe>(),
    row::<list_config_resources::ListConfigResources>(),
    row::<describe_topic_partitions::DescribeTopicPartitions>(),
];
