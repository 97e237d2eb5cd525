//! End offsets of leader epochs, by which clients find truncations (KIP-320).

use crate::wire::message;

message! {
    /// Asks where leader epochs end.
    pub struct OffsetForLeaderEpochRequest: key 23, versions 2..=4, flexible 4, answer OffsetForLeaderEpochResponse {
        replica_id: i32 [3..] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    pub struct OffsetForLeaderTopic {
        topic: String,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    pub struct OffsetForLeaderPartition {
        partition: i32,
        /// By which a client with old metadata is fenced; -1 if it knows none.
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    /// Where the epochs end.
    pub struct OffsetForLeaderEpochResponse: key 23, versions 2..=4, flexible 4 {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    pub struct OffsetForLeaderTopicResult {
        topic: String,
        partitions: Vec<EpochEndOffset>,
    }

    pub struct EpochEndOffset {
        error_code: i16,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
