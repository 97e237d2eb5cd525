//! Typed requests, each with the response that answers it, and what else may become of one.

use std::fmt::Debug;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use ottla::wire::header::RequestHeader;
use ottla::wire::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use ottla::wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla::wire::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use ottla::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use ottla::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla::wire::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla::wire::messages::delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
use ottla::wire::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla::wire::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ottla::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use ottla::wire::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use ottla::wire::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use ottla::wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse,
};
use ottla::wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use ottla::wire::messages::fetch::{FetchRequest, FetchResponse};
use ottla::wire::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla::wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla::wire::messages::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla::wire::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use ottla::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use ottla::wire::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use ottla::wire::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla::wire::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use ottla::wire::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla::wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
use ottla::wire::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use ottla::wire::messages::produce::{ProduceRequest, ProduceResponse};
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla::wire::{Decoder, Encoder, Keyed, Message};

/// A request that knows its response.
pub(crate) trait Request: Message + Keyed {
    /// What answers it.
    type Response: Message + Debug + 'static;
}

macro_rules! answered {
    ($($request:ident => $response:ident),* $(,)?) => {
        $(impl Request for $request { type Response = $response; })*
    };
}
answered! {
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
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A frame without its length.
    Answer(Bytes),
    /// The broker closed the connection.
    Closed,
    /// Nothing, and the connection is open.
    Silent,
}

impl Outcome {
    /// What comes next; the first byte may take as long as `patience`, all others as long as `timeout`.
    pub(crate) fn next(
        mut stream: &TcpStream,
        patience: Duration,
        timeout: Duration,
    ) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        let mut length = [0; 4];
        let read = match stream.read(&mut length) {
            Ok(0) => return Ok(Self::Closed),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Self::Silent);
            }
            Err(_) => return Ok(Self::Closed),
        };
        stream.set_read_timeout(Some(timeout))?;
        stream.read_exact(&mut length[read..])?;
        let length = usize::try_from(i32::from_be_bytes(length));
        let mut frame = vec![0; length.map_err(|_| ErrorKind::InvalidData)?];
        stream.read_exact(&mut frame)?;
        Ok(Self::Answer(frame.into()))
    }
}

/// A request in a frame, as a client sends it.
pub(crate) fn framed_as<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Bytes {
    let mut encoder = Encoder::frame();
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id,
        client_id: Some(client_id.into()),
    };
    header.write(&mut encoder, version >= R::FLEXIBLE);
    request.encode(&mut encoder, version);
    encoder.finish().into_bytes().expect("a request is in memory")
}

/// Reads the answer to `R` in a frame; its correlation id, and what it says. What does not give the same bytes when it
/// is written again was not read in full.
pub(crate) fn unframed<R: Request>(
    frame: &Bytes,
    version: i16,
) -> Result<(i32, R::Response), String> {
    let unreadable = |error| format!("key {} version {version}: {error}", R::KEY);
    let mut decoder = Decoder::new(frame.clone());
    let correlation_id = decoder.array().map(i32::from_be_bytes).map_err(unreadable)?;
    if version >= R::FLEXIBLE
        && R::KEY != ApiVersionsRequest::KEY
        && decoder.unsigned_varint() != Ok(0)
    {
        return Err(format!("tags in the header of {frame:?}"));
    }
    let body = frame.slice(frame.len() - decoder.remaining()..);
    let response = R::Response::decode(&mut decoder, version).map_err(unreadable)?;
    if response.to_bytes(version).ok() != Some(body) {
        return Err(format!("other bytes than what they say: {frame:?} {response:?}"));
    }
    Ok((correlation_id, response))
}

/// A topic to create, of one replica.
pub(crate) fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    };
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}
