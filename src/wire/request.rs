//! Which response answers which request.

use std::fmt::Debug;

use super::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use super::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
};
use super::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use super::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use super::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use super::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use super::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use super::messages::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use super::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use super::messages::delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
use super::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use super::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use super::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use super::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use super::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use super::messages::describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
use super::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use super::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse,
};
use super::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use super::messages::fetch::{FetchRequest, FetchResponse};
use super::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use super::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::messages::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use super::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use super::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use super::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use super::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use super::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use super::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use super::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use super::messages::metadata::{MetadataRequest, MetadataResponse};
use super::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use super::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use super::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
use super::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use super::messages::produce::{ProduceRequest, ProduceResponse};
use super::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use super::messages::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use super::messages::write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use super::{Keyed, Message};

/// A request that knows its response.
pub trait Request: Message + Keyed {
    /// What answers it.
    type Response: Message + Debug + 'static;
}

macro_rules! answered {
    ($($request:ident => $response:ident),* $(,)?) => {
        $(impl Request for $request { type Response = $response; })*
    };
}
answered! {
    AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    AlterConfigsRequest => AlterConfigsResponse,
    ApiVersionsRequest => ApiVersionsResponse,
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    CreatePartitionsRequest => CreatePartitionsResponse,
    CreateTopicsRequest => CreateTopicsResponse,
    DeleteGroupsRequest => DeleteGroupsResponse,
    DeleteRecordsRequest => DeleteRecordsResponse,
    DeleteTopicsRequest => DeleteTopicsResponse,
    DescribeClusterRequest => DescribeClusterResponse,
    DescribeConfigsRequest => DescribeConfigsResponse,
    DescribeGroupsRequest => DescribeGroupsResponse,
    DescribeLogDirsRequest => DescribeLogDirsResponse,
    DescribeProducersRequest => DescribeProducersResponse,
    DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    DescribeTransactionsRequest => DescribeTransactionsResponse,
    EndTxnRequest => EndTxnResponse,
    FetchRequest => FetchResponse,
    FindCoordinatorRequest => FindCoordinatorResponse,
    HeartbeatRequest => HeartbeatResponse,
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    InitProducerIdRequest => InitProducerIdResponse,
    JoinGroupRequest => JoinGroupResponse,
    LeaveGroupRequest => LeaveGroupResponse,
    ListConfigResourcesRequest => ListConfigResourcesResponse,
    ListGroupsRequest => ListGroupsResponse,
    ListOffsetsRequest => ListOffsetsResponse,
    ListTransactionsRequest => ListTransactionsResponse,
    MetadataRequest => MetadataResponse,
    OffsetCommitRequest => OffsetCommitResponse,
    OffsetDeleteRequest => OffsetDeleteResponse,
    OffsetFetchRequest => OffsetFetchResponse,
    OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    ProduceRequest => ProduceResponse,
    SyncGroupRequest => SyncGroupResponse,
    TxnOffsetCommitRequest => TxnOffsetCommitResponse,
    WriteTxnMarkersRequest => WriteTxnMarkersResponse,
}
