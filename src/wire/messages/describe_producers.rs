//! Describes the idempotent producers of partitions.

use crate::wire::message;

message! {
    /// Asks for producers.
    pub struct DescribeProducersRequest: key 61, versions 0..=0, flexible 0, answer DescribeProducersResponse {
        topics: Vec<TopicRequest>,
    }

    pub struct TopicRequest {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// The producers.
    pub struct DescribeProducersResponse: key 61, versions 0..=0, flexible 0 {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse>,
    }

    pub struct TopicResponse {
        name: String,
        partitions: Vec<PartitionResponse>,
    }

    pub struct PartitionResponse {
        partition_index: i32,
        error_code: i16,
        error_message: Option<String>,
        active_producers: Vec<ProducerState>,
    }

    pub struct ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}
