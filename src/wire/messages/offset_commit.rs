//! Commits a group's offsets.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// Commits offsets.
    pub struct OffsetCommitRequest: key 8, versions 2..=10, flexible 8, answer OffsetCommitResponse {
        group_id: String,
        generation_id_or_member_epoch: i32 = -1,
        member_id: String,
        group_instance_id: Option<String> [7..],
        retention_time_ms: i64 [..=4] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    pub struct OffsetCommitRequestTopic {
        name: String [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    pub struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6..] = -1,
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// What became of each offset.
    pub struct OffsetCommitResponse: key 8, versions 2..=10, flexible 8 {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    pub struct OffsetCommitResponseTopic {
        name: String [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    pub struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
