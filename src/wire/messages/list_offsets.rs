//! Looks up offsets by timestamp.

use crate::wire::message;

message! {
    /// Looks up offsets by timestamp.
    pub struct ListOffsetsRequest: key 2, versions 1..=11, flexible 6, answer ListOffsetsResponse {
        replica_id: i32,
        /// 1 is read committed.
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic>,
        timeout_ms: i32 [10..],
    }

    pub struct ListOffsetsTopic {
        name: String,
        partitions: Vec<ListOffsetsPartition>,
    }

    pub struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4..] = -1,
        /// Milliseconds, or negative for special offsets: -1 the end, -2 the start, and others.
        timestamp: i64,
    }

    /// The offsets found.
    pub struct ListOffsetsResponse: key 2, versions 1..=11, flexible 6 {
        throttle_time_ms: i32 [2..],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    pub struct ListOffsetsTopicResponse {
        name: String,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    pub struct ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: i16,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}
