//! Deletes committed offsets.

use crate::wire::message;

message! {
    /// Deletes a group's offsets.
    pub struct OffsetDeleteRequest: key 47, versions 0..=0, flexible 32767, answer OffsetDeleteResponse {
        group_id: String,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    pub struct OffsetDeleteRequestTopic {
        name: String,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    pub struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    /// What became of each offset.
    pub struct OffsetDeleteResponse: key 47, versions 0..=0, flexible 32767 {
        error_code: i16,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    pub struct OffsetDeleteResponseTopic {
        name: String,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    pub struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
