//! Commits a group's offsets with a transaction.

use crate::wire::message;

message! {
    /// Commits offsets that count once the transaction is committed.
    pub struct TxnOffsetCommitRequest: key 28, versions 0..=5, flexible 3, answer TxnOffsetCommitResponse {
        transactional_id: String,
        group_id: String,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32 [3..] = -1,
        member_id: String [3..],
        group_instance_id: Option<String> [3..],
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    pub struct TxnOffsetCommitRequestTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    pub struct TxnOffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2..] = -1,
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// What became of each offset.
    pub struct TxnOffsetCommitResponse: key 28, versions 0..=5, flexible 3 {
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    pub struct TxnOffsetCommitResponseTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
