//! Appends record batches to partitions.

use bytes::Bytes;
use uuid::Uuid;

use crate::wire::message;

message! {
    /// Appends record batches.
    pub struct ProduceRequest: key 0, versions 3..=13, flexible 9, answer ProduceResponse {
        transactional_id: Option<String>,
        /// 0, 1, or -1 for all in-sync replicas; with 0 there is no answer.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    pub struct TopicProduceData {
        name: String [..=12],
        topic_id: Uuid [13..],
        partition_data: Vec<PartitionProduceData>,
    }

    pub struct PartitionProduceData {
        index: i32,
        records: Option<Bytes>,
    }

    /// Where each batch was appended, or why not.
    pub struct ProduceResponse: key 0, versions 3..=13, flexible 9 {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0],
    }

    pub struct TopicProduceResponse {
        name: String [..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }

    pub struct PartitionProduceResponse {
        index: i32,
        error_code: i16,
        base_offset: i64,
        /// -1 where the topic keeps the time of the producer.
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        /// The records for which a batch was refused.
        record_errors: Vec<BatchIndexAndErrorMessage> [8..],
        error_message: Option<String> [8..],
        /// Set with `NOT_LEADER_OR_FOLLOWER`, its endpoint in `node_endpoints` (KIP-951).
        current_leader: LeaderIdAndEpoch [10.., tag 0],
    }

    pub struct BatchIndexAndErrorMessage {
        batch_index: i32,
        batch_index_error_message: Option<String>,
    }

    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }
}
